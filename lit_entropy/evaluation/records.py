"""What an evaluation keeps: one record per problem, of plain numbers, whatever was sampled."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Self

import torch

from lit_entropy.functional.answer_entropy import NO_ANSWER, answer_entropy
from lit_entropy.functional.majority import Vote, votes
from lit_entropy.types import Problem


@dataclass(frozen=True)
class Response:
    """One decoded response.

    Attributes:
        prompt: token ids of its prompt.
        text: without special tokens.
        reward: None where the response could not be checked.
        correct: False where it could not be checked.
        length: in tokens, the end-of-sequence token included.
        truncated: whether the limit of new tokens ended it.
        entropy: summed over its tokens, in nats; None of a greedy response.
        answer: code of its final answer; None for a task that does not name answers.
    """

    prompt: list[int]
    text: str
    reward: float | None
    correct: bool
    length: int
    truncated: bool
    entropy: float | None = None
    answer: int | None = None

    @property
    def checked(self) -> bool:
        """Whether the response could be checked."""
        return self.reward is not None


@dataclass(frozen=True)
class Greedy:
    """The greedy response to a problem, in numbers.

    Attributes:
        accuracy: 1 right, 0 wrong; None where it could not be checked.
        checked: 1 or 0.
        length: in tokens.
        truncated: 1 or 0.
        malformed: 1 without a readable answer, else 0; None where the task does not name answers.
    """

    accuracy: float | None
    checked: float
    length: int
    truncated: float
    malformed: float | None = None

    @classmethod
    def of(cls, response: Response) -> Self:
        """The numbers of a response."""
        return cls(
            accuracy=float(response.correct) if response.checked else None,
            checked=float(response.checked),
            length=response.length,
            truncated=float(response.truncated),
            malformed=None if response.answer is None else float(response.answer == NO_ANSWER),
        )


@dataclass(frozen=True)
class Samples:
    """The n sampled responses to a problem, in numbers; unchecked ones are neither right nor wrong.

    Attributes:
        samples: their number n.
        checked_count: how many could be checked.
        correct_count: how many of those are right.
        entropy_total: summed over all their tokens, in nats.
        tokens: summed lengths.
        truncated_count: how many the limit of new tokens ended.
        malformed_count: how many have no readable answer; this and the following are None where
            the task does not name answers.
        answer_entropy: entropy of the final answers, in nats.
        votes: one per answer.
    """

    samples: int
    checked_count: int
    correct_count: int
    entropy_total: float
    tokens: int
    truncated_count: int
    malformed_count: int | None = None
    answer_entropy: float | None = None
    votes: list[Vote] | None = None

    @classmethod
    def of(cls, responses: Sequence[Response]) -> Self:
        """The numbers of n responses."""
        # lists: tensors of a problem's few samples would take most of an evaluation's records' time
        answers = [response.answer for response in responses if response.answer is not None]
        correct = [response.correct for response in responses]
        checked = [response.checked for response in responses]
        named = len(answers) == len(responses)
        return cls(
            samples=len(responses),
            checked_count=sum(checked),
            correct_count=sum(compress(correct, checked)),
            entropy_total=sum(response.entropy or 0.0 for response in responses),
            tokens=sum(response.length for response in responses),
            truncated_count=sum(response.truncated for response in responses),
            malformed_count=answers.count(NO_ANSWER) if named else None,
            answer_entropy=float(answer_entropy(torch.tensor([answers]))) if named else None,
            votes=votes(answers, correct, checked) if named else None,
        )


@dataclass(frozen=True)
class Shown:
    """A response in full, for the tables of samples."""

    response: str
    reward: float | None
    correct: bool
    prompt: str
    difficulty: int


@dataclass(frozen=True)
class Record:
    """What an evaluation keeps of a problem.

    Attributes:
        id: ``Problem.id``.
        source: name of its set.
        difficulty: ``Problem.difficulty``.
        fingerprint: a hash of prompt and answer.
        greedy: its greedy response; None where it was not decoded greedily.
        sampled: its samples; None where it was not sampled.
        shown: one response in full; None in a record read from a file.
    """

    id: int
    source: str
    difficulty: int
    fingerprint: str
    greedy: Greedy | None = None
    sampled: Samples | None = None
    shown: Shown | None = None

    @property
    def samples(self) -> int:
        """Number of sampled responses."""
        return self.sampled.samples if self.sampled else 0


def fingerprint(problem: Problem) -> str:
    """A hash of what a problem asks and expects, the same on every machine."""
    text = json.dumps([problem.prompt, problem.answer], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prompts_hash(records: Sequence[Record]) -> str:
    """A hash of the whole set of problems: sources, ids, prompts and answers, in any order."""
    keys = sorted(f"{r.source}\n{r.id}\n{r.fingerprint}" for r in records)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]


def make_record(
    problem: Problem,
    greedy: Response | None = None,
    sampled: Sequence[Response] = (),
    shown: Shown | None = None,
) -> Record:
    """The record of a problem and the responses to it."""
    return Record(
        id=problem.id,
        source=problem.source,
        difficulty=problem.difficulty,
        fingerprint=fingerprint(problem),
        greedy=Greedy.of(greedy) if greedy else None,
        sampled=Samples.of(sampled) if sampled else None,
        shown=shown,
    )
