"""A real answer checker of a few lines: the last whole number of a response counts."""

from __future__ import annotations

import re

from lit_entropy.verify.base import AnswerChecker


class WholeNumbers(AnswerChecker):
    """Compares whole numbers; a response with ``?`` in it cannot be checked."""

    def __init__(self) -> None:
        self.closed = 0
        self.batches: list[int] = []

    def check_gold(self, answer: str) -> str | None:
        return None if re.fullmatch(r"-?\d+", answer) else f"{answer!r} is no whole number"

    def check(self, answer: str, response: str) -> bool | None:
        if "?" in response:
            return None
        found = self.answer_of(response)
        return found is not None and int(found) == int(answer)

    def check_all(self, answers, responses):  # type: ignore[no-untyped-def]
        self.batches.append(len(answers))
        return super().check_all(answers, responses)

    def answer_of(self, response: str) -> str | None:
        numbers = re.findall(r"-?\d+", response)
        return str(int(numbers[-1])) if numbers else None

    def close(self) -> None:
        self.closed += 1
