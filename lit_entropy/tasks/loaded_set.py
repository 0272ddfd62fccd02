"""The problems of a set that was read: identities, bad rows, overlaps and the held-out split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from lit_entropy.functional.rng import permutation
from lit_entropy.types import Problem

#: A problem's id is ``number of its set << ROW_BITS | number of its row``; below 2**52, so that a
#: reader of JSON keeps it exact.
ROW_BITS = 32
SET_BITS = 20
#: Different reasons of bad rows that an error lists, and rows that it names of each.
LISTED, NAMED = 20, 3
#: Longest reason that it shows, characters: names of columns are as long as a file makes them.
LONGEST_REASON = 900


def set_number(name: str) -> int:
    """A number in [1, 2**20) for the name of a validation set; the training set has 0.

    It depends on the name alone, so ids do not change with the other sets.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "little") % (2**SET_BITS - 1)


@dataclass
class LoadedSet:
    """The problems of a set and what became of its other rows.

    Attributes:
        place: the setting and its value, for errors.
        problems: usable rows, in file order.
        questions: :func:`question_key` of each problem.
        rows: rows of the file.
        duplicates: rows that were left out because an earlier one asks the same.
        bad: rows that cannot be used.
        reasons: numbers of the rows with each reason.
    """

    place: str
    problems: list[Problem] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    rows: int = 0
    duplicates: int = 0
    bad: int = 0
    reasons: dict[str, list[int]] = field(default_factory=dict)

    def reject(self, row: int, reason: str) -> None:
        """Count a bad row."""
        self.bad += 1
        reason = f"{reason:.{LONGEST_REASON}}"
        if reason in self.reasons or len(self.reasons) < LISTED:
            self.reasons.setdefault(reason, []).append(row)

    def report(self) -> str:
        """The bad rows, those of one reason in one line."""
        lines = [f"{self.place}: {self.bad} of {self.rows} rows cannot be used"]
        lines += [f"{_rows(rows)}, {why}" for why, rows in self.reasons.items()]
        if left := self.bad - sum(map(len, self.reasons.values())):
            lines[-1] += f"; and {left} more {'row' if left == 1 else 'rows'} for other reasons"
        return "\n  ".join(lines)

    def without(self, others: list[LoadedSet]) -> LoadedSet:
        """The set with the rows whose question stands in another set as bad rows."""
        known = {
            question: f"row {row_of(problem)} of {other.place}"
            for other in others
            for question, problem in zip(other.questions, other.problems, strict=True)
        }
        kept = LoadedSet(self.place, [], [], self.rows, self.duplicates, self.bad)
        kept.reasons = {reason: [*rows] for reason, rows in self.reasons.items()}
        for question, problem in zip(self.questions, self.problems, strict=True):
            if (place := known.get(question)) is None:
                kept.problems.append(problem)
                kept.questions.append(question)
            else:
                kept.reject(row_of(problem), f"the prompt is that of {place}")
        return kept

    def split(self, fraction: float, seed: int) -> tuple[list[Problem], list[Problem]]:
        """Training and held-out problems; equal questions stay on one side.

        Raises:
            ValueError: the fraction leaves a side empty.
        """
        questions = list(dict.fromkeys(self.questions))
        size = round(fraction * len(questions))
        if not 0 < size < len(questions):
            raise ValueError(
                f"data.task.validation_fraction={fraction}: of {len(questions)} distinct prompts "
                f"this holds out {size}, which leaves a set empty; change it or give validation"
            )
        order = permutation(len(questions), seed, "validation-split")[:size].tolist()
        held_out = {questions[index] for index in order}
        sides: tuple[list[Problem], list[Problem]] = [], []
        for question, problem in zip(self.questions, self.problems, strict=True):
            sides[question in held_out].append(problem)
        return sides


def _rows(rows: list[int]) -> str:
    """``row 3``, or ``rows 1, 2, 3 and 17 more``."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    first = ", ".join(map(str, rows[:NAMED]))
    return f"rows {first} and {len(rows) - NAMED} more" if len(rows) > NAMED else f"rows {first}"


def row_of(problem: Problem) -> int:
    """The number of a problem's row."""
    return problem.id & (2**ROW_BITS - 1)
