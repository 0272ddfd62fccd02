"""The contract of an answer checker: is the answer that a response gives the reference answer?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class AnswerChecker(ABC):
    """Base of every answer checker. Subclass it in any file and name it by ``class_path``.

    A verdict has three values: True (right), False (wrong, also for a response without a readable
    answer) and None (could not be checked: the checker ran out of time or memory, say). None is
    never a verdict on the response, so nothing may treat it as a reward of 0.
    """

    @abstractmethod
    def check_gold(self, answer: str) -> str | None:
        """Why a reference answer cannot be used, for the data's author; None where it can."""

    @abstractmethod
    def check(self, answer: str, response: str) -> bool | None:
        """Whether the final answer of a response equals the reference answer.

        Args:
            answer: reference answer, one that :meth:`check_gold` accepts.
            response: decoded response, without special tokens.

        Returns:
            True if it is right, False if it is wrong or has no readable answer, None if it could
            not be checked.

        Raises:
            ValueError: the reference answer is one that :meth:`check_gold` refuses.
        """

    def check_all(self, answers: Sequence[str], responses: Sequence[str]) -> list[bool | None]:
        """:meth:`check` of each pair, in order; override it to check several at a time."""
        return [self.check(*pair) for pair in zip(answers, responses, strict=True)]

    @abstractmethod
    def answer_of(self, response: str) -> str | None:
        """The final answer of a response, as text that is equal for equal answers.

        Majority votes and the entropy of the answers are built on it.

        Returns:
            The answer, right or wrong; None for a response without a well-formed one.
        """

    def close(self) -> None:  # noqa: B027  optional
        """Give back what the checker holds (processes, pipes); it may be used again afterwards."""

    def __enter__(self) -> AnswerChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
