"""Options of ``lit-entropy pretrain`` that belong to one task; nothing heavy is imported here."""

from dataclasses import dataclass, fields
from typing import Literal

#: What a step's loss is a mean over: the response tokens of all batches alike, or of its own.
Average = Literal["token", "batch"]


@dataclass(frozen=True)
class AttemptMixture:
    """Shares of the styles and their faults; every number is a fraction.

    Attributes:
        direct: share of responses that are the final expression alone.
        guess: probability that a direct response is a random expression of the numbers.
        miss: probability that a written attempt is a random expression, not a solution.
        give_up: probability that an attempt whose last value is not the target is handed in.
        error: probability that a written value is wrong (later steps build on it).
    """

    direct: float = 0.5
    guess: float = 0.4
    miss: float = 0.5
    give_up: float = 0.4
    error: float = 0.05

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{item.name} is {value}: give a fraction from 0 to 1")


@dataclass(frozen=True)
class StrategyOptions:
    """What a base does before it is trained by reinforcement.

    Attributes:
        true: probability of the context's true strategy: the difficulty of the task.
        decoy: probability of its decoy; the other strategies share what is left.
        contexts: number of contexts.
        strategies: number of strategies.
        world: seed of which strategy is right where.
        shared: whether contexts with the same last digit have the same strategies.
        working: what follows the strategy: fixed, or chain arithmetic.
    """

    true: float = 0.02
    decoy: float = 0.6
    contexts: int = 40
    strategies: int = 12
    world: int = 0
    shared: bool = False
    working: Literal["fixed", "arithmetic"] = "fixed"
