"""A bandit: prompts are words, and every response has a reward that was drawn once."""

from collections.abc import Sequence

from lit_entropy.functional.rng import uniforms
from lit_entropy.tasks.base import Task
from lit_entropy.types import Problem


class KeyedBandit(Task):
    """Prompt k is the word ``w<k>``; rewards are uniform in [0, 1), a function of the texts.

    With responses of one token (``model.max_new_tokens: 1``) a prompt is a state and a token an
    action, as in the paper's theorems. There is nothing to learn of one prompt for another.

    Args:
        contexts: training prompts, ``w0`` and so on.
        held_out: further prompts for validation.
        seed: draws the rewards.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(self, contexts: int = 8, held_out: int = 8, seed: int = 0) -> None:
        for name, value in (("contexts", contexts), ("held_out", held_out)):
            if value < 1:
                raise ValueError(f"{name}={value}: use at least 1")
        self.contexts, self.held_out, self.seed = contexts, held_out, seed
        self._drawn: dict[tuple[int, str], float] = {}

    def train_problems(self) -> Sequence[Problem]:
        """The words ``w0`` to ``w<contexts - 1>``."""
        return [_problem(number) for number in range(self.contexts)]

    def validation_problems(self) -> Sequence[Problem]:
        """The next ``held_out`` words."""
        return [_problem(self.contexts + number) for number in range(self.held_out)]

    def reward(self, problem: Problem, response: str) -> float:
        """Uniform in [0, 1), drawn by (seed, prompt, response)."""
        key = (problem.id, response)
        if key not in self._drawn:
            self._drawn[key] = float(uniforms(self.seed, "bandit", problem.id, response))
        return self._drawn[key]


def _problem(number: int) -> Problem:
    return Problem(number, f"w{number}", "")
