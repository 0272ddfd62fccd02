"""Countdown: reach a target with given numbers, each used exactly once, by ``+ - *``.

The prompt ``5;2;3=7 `` asks for an expression such as ``5*2-3``, worked out from left to right as
in chain arithmetic, but with whole numbers. A response may write attempts with their running
values and the target first (``5-2=3*3=9 7;5*2=10-3=7 7;#5*2-3``); only the expression after ``#``
is scored. Often many expressions are right, one always in the order of the prompt, and none need be
found at once.
"""

from collections.abc import Sequence

import torch

from lit_entropy.functional.checks import require_at_most
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.countdown_prompts import (
    canonical,
    evaluate,
    held_out_prompts,
    is_expression,
    numbers_of,
    parse_prompt,
    training_puzzles,
)
from lit_entropy.tasks.lazy import LazyProblems
from lit_entropy.tasks.reward_functions import Reward, reward_function
from lit_entropy.types import Problem

#: Validation ids are ``count * VALIDATION_ID + k``; training ids are the index, below it.
VALIDATION_ID = 1_000_000_000


def final_expression(response: str) -> str | None:
    """The expression after the only ``#``; None for a malformed response."""
    _, mark, text = response.partition("#")
    return text if mark and is_expression(text) else None


def make_problem(identity: int, prompt: str) -> Problem:
    """The problem of a prompt; its answer is the target, its difficulty the count of numbers."""
    numbers, target = parse_prompt(prompt)
    return Problem(identity, prompt, str(target), difficulty=len(numbers))


class Countdown(Task):
    """Numbers 1 to 9, each used once, with + - * to a target of 0 to 30; difficulty is their count.

    Args:
        min_numbers: Fewest numbers of a problem.
        max_numbers: Most numbers of a training problem.
        validation_max_numbers: Most numbers of a validation problem; more than ``max_numbers``
            tests generalisation.
        train_size: Number of training problems; they are made lazily.
        validation_size: Number of validation problems, balanced over counts of numbers.
        seed: Seed of the problem set; the train/validation split does not depend on it.
        reward: A function that gives the rewards, see
            :mod:`lit_entropy.tasks.reward_functions`; the task still says what counts as right.

    Raises:
        ValueError: a number out of range, or more validation problems than there are.
    """

    def __init__(
        self,
        min_numbers: int = 3,
        max_numbers: int = 5,
        validation_max_numbers: int = 5,
        train_size: int = 100_000,
        validation_size: int = 200,
        seed: int = 0,
        reward: str | Reward | None = None,
    ) -> None:
        self.reward_function = reward_function(reward)
        _check_counts(min_numbers, max_numbers, validation_max_numbers)
        if not 1 <= train_size < VALIDATION_ID:
            raise ValueError(f"train_size is {train_size}: choose 1 to {VALIDATION_ID - 1}")
        require_at_most("validation_size", validation_size, VALIDATION_ID - 1)
        self.min_numbers, self.max_numbers = min_numbers, max_numbers
        self.validation_max_numbers, self.train_size = validation_max_numbers, train_size
        self.seed = seed
        self._validation = self._held_out(validation_size)

    def train_problems(self) -> Sequence[Problem]:
        """Lazy sequence: problem i is a pure function of (seed, i)."""
        return LazyProblems(self.train_size, self._training)

    def validation_problems(self) -> Sequence[Problem]:
        """Distinct held-out problems, ordered by count; the first counts take the remainder."""
        return self._validation

    def reward(self, problem: Problem, response: str) -> float:
        """1.0 where the final expression uses every number once and has the target's value."""
        text = final_expression(response)
        numbers, target = parse_prompt(str(problem.prompt))
        return float(
            text is not None and numbers_of(text) == sorted(numbers) and evaluate(text) == target
        )

    def answer_of(self, response: str) -> str | None:
        """The final expression up to the order within runs; None for a malformed response."""
        text = final_expression(response)
        return None if text is None else canonical(text)

    def _training(self, indices: Sequence[int]) -> list[Problem]:
        tensor_N = torch.tensor(indices, dtype=torch.int64)
        puzzles = training_puzzles(tensor_N, self.min_numbers, self.max_numbers, self.seed)
        return [make_problem(i, puzzle.prompt) for i, puzzle in zip(indices, puzzles, strict=True)]

    def _held_out(self, size: int) -> list[Problem]:
        counts = range(self.min_numbers, self.validation_max_numbers + 1)
        each, remainder = divmod(size, len(counts))
        if each < 1:
            raise ValueError(
                f"validation_size is {size}: give at least one problem for each of the "
                f"{len(counts)} counts of numbers"
            )
        problems = []
        for k, count in enumerate(counts):
            wanted = each + (k < remainder)
            prompts = held_out_prompts(count, wanted, self.seed)
            if len(prompts) < wanted:
                raise ValueError(
                    f"validation_size is {size}: of {wanted} held-out prompts of {count} numbers "
                    f"only {len(prompts)} were found; lower it or raise min_numbers"
                )
            problems += [make_problem(count * VALIDATION_ID + i, p) for i, p in enumerate(prompts)]
        return problems


def _check_counts(min_numbers: int, max_numbers: int, validation_max_numbers: int) -> None:
    if min_numbers < 2:
        raise ValueError(f"min_numbers is {min_numbers}: an expression joins at least 2 numbers")
    for name, value in (
        ("max_numbers", max_numbers),
        ("validation_max_numbers", validation_max_numbers),
    ):
        if not min_numbers <= value <= 9:
            raise ValueError(f"{name} is {value}: choose {min_numbers} (min_numbers) to 9")
