"""Chain arithmetic: ``7+5*3-2 `` is worked out left to right, modulo 10; the answer is one digit.

A careful response writes every step (``7+5=2;2*3=6;6-2=4;#4``), a sloppy one skips some
(``7+5*3=6;6-2=4;#4``), a guess writes ``#4`` at once. Only the digit after ``#`` is scored.
"""

import re
from collections.abc import Sequence

import torch

from lit_entropy.functional.checks import require_at_most
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.chain_prompts import (
    held_out_prompts,
    most_held_out,
    running_values,
    training_prompts,
)
from lit_entropy.tasks.lazy import LazyProblems
from lit_entropy.tasks.reward_functions import Reward, reward_function
from lit_entropy.types import Problem

#: Validation ids are ``length * VALIDATION_ID + k``; training ids are the index, below it.
VALIDATION_ID = 1_000_000_000
#: Most operations of a problem: 2,002 characters, and as many draws for each prompt.
LONGEST = 1_000

_ANSWER = re.compile(r"[^#]*#([0-9])")


def extract_answer(response: str) -> str | None:
    """The digit of a well-formed ending: exactly one ``#``, one digit, nothing after; else None."""
    match = _ANSWER.fullmatch(response)
    return match.group(1) if match else None


def make_problem(identity: int, prompt: str) -> Problem:
    """The problem of a prompt; its difficulty is the number of operations."""
    values = running_values(prompt)
    return Problem(identity, prompt, str(values[-1]), difficulty=len(values) - 1)


class ChainArithmetic(Task):
    """Left-to-right arithmetic modulo 10 on digits, with + - *; difficulty is the chain length.

    Args:
        min_length: Fewest operations of a training problem.
        max_length: Most operations of a training problem.
        validation_min_length: Fewest operations of a validation problem; by default
            ``min_length``.
        validation_max_length: Most operations of a validation problem; lengths above
            ``max_length`` test generalisation to unseen lengths.
        train_size: Number of training problems; they are made lazily.
        validation_size: Number of validation problems, balanced over lengths; of a length that has
            fewer held-out prompts (length 1 has 65) all, and the others share the rest.
        seed: Seed of the problem set; the train/validation split does not depend on it.
        reward: A function that gives the rewards, see
            :mod:`lit_entropy.tasks.reward_functions`; the task still says what counts as right.

    Raises:
        ValueError: a length outside 1 to :data:`LONGEST`, an upper one below its lower one, a size
            that is too large, or more validation problems than there are; names the field.
    """

    def __init__(
        self,
        min_length: int = 1,
        max_length: int = 10,
        validation_max_length: int = 10,
        train_size: int = 100_000,
        validation_size: int = 200,
        seed: int = 0,
        reward: str | Reward | None = None,
        validation_min_length: int | None = None,
    ) -> None:
        self.reward_function = reward_function(reward)
        least = min_length if validation_min_length is None else validation_min_length
        lower = "min_length" if validation_min_length is None else "validation_min_length"
        _check_lengths("min_length", min_length, "max_length", max_length)
        _check_lengths(lower, least, "validation_max_length", validation_max_length)
        _check_sizes(least, validation_max_length, train_size, validation_size)
        self.min_length, self.max_length = min_length, max_length
        self.validation_min_length = least
        self.validation_max_length = validation_max_length
        self.train_size, self.validation_size = train_size, validation_size
        self.seed = seed

    def train_problems(self) -> Sequence[Problem]:
        """Lazy sequence: problem i is a pure function of (seed, i), its length uniform."""
        return LazyProblems(self.train_size, self._training)

    def validation_problems(self) -> Sequence[Problem]:
        """Distinct held-out problems, ordered by length; the first lengths take the remainder."""
        problems = []
        for length, count in self._validation_counts().items():
            prompts = held_out_prompts(length, count, self.seed)
            problems += [
                make_problem(length * VALIDATION_ID + k, prompt) for k, prompt in enumerate(prompts)
            ]
        return problems

    def reward(self, problem: Problem, response: str) -> float:
        """1.0 for the right digit in a well-formed ending ``#d``, else 0.0."""
        return float(extract_answer(response) == problem.answer)

    def answer_of(self, response: str) -> str | None:
        """The digit of a well-formed ending ``#d``, else None."""
        return extract_answer(response)

    def _training(self, indices: Sequence[int]) -> list[Problem]:
        tensor_N = torch.tensor(indices, dtype=torch.int64)
        prompts = training_prompts(tensor_N, self.min_length, self.max_length, self.seed)
        return [make_problem(i, prompt) for i, prompt in zip(indices, prompts, strict=True)]

    def _validation_counts(self) -> dict[int, int]:
        counts, left = dict[int, int](), self.validation_size
        for length in range(self.validation_min_length, self.validation_max_length + 1):
            lengths = self.validation_max_length + 1 - length
            counts[length] = min(-(-left // lengths), most_held_out(length))
            left -= counts[length]
        return counts


def _check_lengths(lower: str, least: int, upper: str, most: int) -> None:
    if least < 1:
        raise ValueError(f"{lower} is {least}: a chain has at least 1 operation")
    if most < least:
        raise ValueError(f"{upper} is {most}: raise it to {lower} {least} or more")
    require_at_most(upper, most, LONGEST)


def _check_sizes(least: int, most: int, train_size: int, validation_size: int) -> None:
    """Sizes of sets whose validation problems have ``least`` to ``most`` operations."""
    if not 1 <= train_size < VALIDATION_ID:
        raise ValueError(f"train_size is {train_size}: choose 1 to {VALIDATION_ID - 1}")
    require_at_most("validation_size", validation_size, VALIDATION_ID - 1)
    lengths = most - least + 1
    if validation_size < lengths:
        raise ValueError(
            f"validation_size is {validation_size}: give at least one problem for each of the "
            f"{lengths} validation lengths"
        )
    available = sum(map(most_held_out, range(least, most + 1)))
    if validation_size > available:
        raise ValueError(
            f"validation_size is {validation_size}: only {available} held-out prompts of length "
            f"{least} to {most} exist; choose at most {available} or raise validation_max_length"
        )
