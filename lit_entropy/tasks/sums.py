"""Short sums in natural language, for an instruction-tuned model of some 100 M parameters.

The prompt shows solved examples as chat turns, so that a small model answers ``8 + 5 = 13`` in a
dozen tokens; without them SmolLM2-135M-Instruct rambles. The last number of the response counts.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import torch

from lit_entropy.functional.checks import require_at_most
from lit_entropy.functional.rng import uniforms
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.lazy import LazyProblems
from lit_entropy.tasks.reward_functions import Reward, reward_function
from lit_entropy.types import Problem
from lit_entropy.verify.answers import last_number

#: Validation ids are ``VALIDATION_ID + k``; training ids are the index, below it.
VALIDATION_ID = 1_000_000_000
#: One in so many sums is held out; the split is a hash of the sorted terms, whatever the seed.
HELD_OUT_ONE_IN = 5
#: Terms of the solved examples.
_EXAMPLES = ((4, 9), (12, 7), (6, 3), (15, 16))
#: Counters of a draw: the number of terms, then up to six terms.
_PLACES = torch.arange(7)


def is_held_out(terms: Sequence[int]) -> bool:
    """Whether a sum belongs to validation; the order of its terms does not matter."""
    digest = hashlib.blake2b("+".join(map(str, sorted(terms))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % HELD_OUT_ONE_IN == 0


class ShortSums(Task):
    """Sums of a few numbers; difficulty is the number of digits of all terms together.

    Measured with SmolLM2-135M-Instruct at temperature 1, two terms, one example: right in about 0.8
    of the cases for terms up to 9, 0.5 up to 20, 0.3 up to 40 (then three groups of
    8 in four are mixed), 0.2 up to 99; 0.1 for three terms up to 9.

    Args:
        min_terms: Fewest terms of a sum.
        max_terms: Most terms of a sum.
        largest_term: Terms are uniform over 1 to this number.
        examples: Solved examples shown before the question, 0 to 4.
        system_prompt: System message, short since every token of it is paid for in every row.
        train_size: Number of training problems; they are made lazily.
        validation_size: Number of validation problems, all distinct.
        seed: Seed of the problem set; the train/validation split does not depend on it.
        reward: A function that gives the rewards, see
            :mod:`lit_entropy.tasks.reward_functions`; the task still says what counts as right.

    Raises:
        ValueError: a number out of range, or more validation problems than held-out sums.
    """

    def __init__(
        self,
        min_terms: int = 2,
        max_terms: int = 2,
        largest_term: int = 40,
        examples: int = 1,
        system_prompt: str = "Add.",
        train_size: int = 10_000,
        validation_size: int = 64,
        seed: int = 0,
        reward: str | Reward | None = None,
    ) -> None:
        self.reward_function = reward_function(reward)
        if not 2 <= min_terms <= max_terms <= 6:
            raise ValueError(
                f"min_terms={min_terms}, max_terms={max_terms}: use 2 <= min <= max <= 6"
            )
        if not 9 <= largest_term <= 999:
            raise ValueError(f"largest_term={largest_term}: use 9 to 999")
        if not 0 <= examples <= len(_EXAMPLES):
            raise ValueError(f"examples={examples}: use 0 to {len(_EXAMPLES)}")
        if not 1 <= train_size < VALIDATION_ID:
            raise ValueError(f"train_size={train_size}: use 1 to {VALIDATION_ID - 1}")
        if validation_size < 1:
            raise ValueError(f"validation_size={validation_size}: use at least 1")
        require_at_most("validation_size", validation_size, VALIDATION_ID - 1)
        self.min_terms, self.max_terms, self.largest_term = min_terms, max_terms, largest_term
        self.examples, self.system_prompt, self.seed = examples, system_prompt, seed
        self._train = LazyProblems(train_size, self._training)
        self._validation = self._held_out(validation_size)

    def train_problems(self) -> Sequence[Problem]:
        """Lazy sequence: problem i is a pure function of (seed, i)."""
        return self._train

    def validation_problems(self) -> Sequence[Problem]:
        """Distinct held-out problems."""
        return self._validation

    def reward(self, problem: Problem, response: str) -> float:
        """1.0 where the last number of the response is the sum, else 0.0."""
        return float(last_number(response) == int(problem.answer))

    def answer_of(self, response: str) -> str | None:
        """The last number of the response, None where there is none."""
        number = last_number(response)
        return None if number is None else str(number)

    def training_terms(self, index: int) -> list[int]:
        """The terms of training sum ``index``: its first draw that is not held out."""
        for attempt in itertools.count():
            terms = self._terms(uniforms(self.seed, "sums", index, attempt, _PLACES).tolist())
            if not is_held_out(terms):
                return terms
        raise AssertionError("unreachable: four sums in five are training sums")

    def problem(self, identity: int, terms: Sequence[int]) -> Problem:
        """The problem of given terms, examples first."""
        shown = [message for example in _EXAMPLES[: self.examples] for message in _turn(example)]
        system = {"role": "system", "content": self.system_prompt}
        digits = sum(len(str(term)) for term in terms)
        return Problem(identity, [system, *shown, _turn(terms)[0]], str(sum(terms)), digits)

    def _training(self, indices: Sequence[int]) -> list[Problem]:
        return [self.problem(index, self.training_terms(index)) for index in indices]

    def _terms(self, numbers: list[float]) -> list[int]:
        """Terms from uniform numbers: how many, then each of them."""
        count = self.min_terms + int(numbers[0] * (self.max_terms - self.min_terms + 1))
        return [1 + int(number * self.largest_term) for number in numbers[1 : count + 1]]

    def _held_out(self, size: int) -> list[Problem]:
        """The first ``size`` distinct held-out sums among 500 + 20 * size draws."""
        draws = torch.arange(500 + 20 * size)
        numbers = uniforms(self.seed, "sums-held-out", draws[:, None], _PLACES).tolist()
        drawn = (tuple(self._terms(row)) for row in numbers)
        found = list(dict.fromkeys(terms for terms in drawn if is_held_out(terms)))[:size]
        if len(found) == size:
            return [self.problem(VALIDATION_ID + k, terms) for k, terms in enumerate(found)]
        raise ValueError(
            f"validation_size={size}: found only {len(found)} distinct held-out sums; lower it, or "
            "raise largest_term or max_terms"
        )


def _turn(terms: Sequence[int]) -> list[dict[str, str]]:
    """Question and worked answer as chat messages."""
    terms_text = " + ".join(map(str, terms))
    return [
        {"role": "user", "content": f"What is {terms_text}?"},
        {"role": "assistant", "content": f"{terms_text} = {sum(terms)}"},
    ]
