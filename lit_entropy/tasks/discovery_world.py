"""Which strategy is right in which context, and how often a strategy is rewarded."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from lit_entropy.functional.rng import permutation, uniforms

#: A strategy is named by one of these letters, one token each.
LETTERS = "abcdefghijkl"
#: A strategy in a context: the right one, the tempting one, or another.
Kind = Literal["true", "decoy", "other"]


@dataclass(frozen=True)
class World:
    """True strategy and decoy of every context, a pure function of the fields.

    Each strategy is true in as many contexts as any other (up to one), and decoy likewise, so that
    no strategy is favoured over all contexts.

    Attributes:
        contexts: S, the number of contexts, 1 to 100.
        strategies: K, the number of strategies, 3 to 12.
        seed: of the assignment.
        shared: whether contexts with the same last digit have the same strategies, so that what is
            found in one can be carried over to others.

    Raises:
        ValueError: a number out of range.
    """

    contexts: int = 40
    strategies: int = 12
    seed: int = 0
    shared: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.contexts <= 100:
            raise ValueError(f"contexts is {self.contexts}: choose 1 to 100")
        if not 3 <= self.strategies <= len(LETTERS):
            raise ValueError(f"strategies is {self.strategies}: choose 3 to {len(LETTERS)}")

    def assignment(self) -> tuple[list[int], list[int]]:
        """Numbers of the true strategy and of the decoy of each context, two lists [S]."""
        groups = min(self.contexts, 10) if self.shared else self.contexts
        order = permutation(groups, self.seed, "discovery-contexts").tolist()
        true, decoy = [0] * groups, [0] * groups
        for place, group in enumerate(order):
            block, strategy = divmod(place, self.strategies)
            true[group] = strategy
            # another offset in each block, never 0: a true strategy has several decoys
            decoy[group] = (strategy + 1 + block % (self.strategies - 1)) % self.strategies
        if not self.shared:
            return true, decoy
        digits = [context % 10 for context in range(self.contexts)]
        return [true[digit] for digit in digits], [decoy[digit] for digit in digits]

    def kinds(self) -> list[list[Kind]]:
        """What each strategy is in each context, [S][K]."""
        rows: list[list[Kind]] = []
        for true, decoy in zip(*self.assignment(), strict=True):
            row: list[Kind] = ["other"] * self.strategies
            row[true], row[decoy] = "true", "decoy"
            rows.append(row)
        return rows


@dataclass(frozen=True)
class Odds:
    """A probability for each kind of strategy.

    Attributes:
        true: of the context's true strategy.
        decoy: of its decoy.
        other: of each other strategy.

    Raises:
        ValueError: a probability outside of 0 to 1.
    """

    true: float
    decoy: float
    other: float

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{item.name} is {value}: give a probability from 0 to 1")

    def of(self, kind: Kind) -> float:
        """The probability of a kind."""
        return {"true": self.true, "decoy": self.decoy, "other": self.other}[kind]

    def table(self, world: World) -> Tensor:
        """float64 [S, K]: the probability of each strategy in each context."""
        rows = [[self.of(kind) for kind in row] for row in world.kinds()]
        return torch.tensor(rows, dtype=torch.float64)


def prior(world: World, true: float, decoy: float) -> Tensor:
    """float64 [S, K]: strategies of a base model, the others share what is left equally.

    Args:
        world: contexts and strategies.
        true: probability of the true strategy.
        decoy: probability of the decoy.

    Raises:
        ValueError: the two add up to more than 1.
    """
    if true + decoy > 1:
        raise ValueError(
            f"decoy is {decoy}: with true={true} they add up to more than 1; lower one"
        )
    return Odds(true, decoy, (1 - true - decoy) / (world.strategies - 2)).table(world)


def succeeds(
    odds: Tensor, contexts: Sequence[int], identities: Tensor, seed: int
) -> list[list[bool]]:
    """Whether each strategy succeeds on each problem: a keyed draw, equal for all its samples.

    Args:
        odds: float64 [S, K], probability of success.
        contexts: context of each of N problems.
        identities: int64 [N], their ids.
        seed: of the problem set.

    Returns:
        [N][K].
    """
    places = torch.arange(odds.shape[1])
    draws_NK = uniforms(seed, "discovery-reward", identities[:, None], places)
    success: list[list[bool]] = (draws_NK < odds[list(contexts)]).tolist()
    return success
