"""Majority vote over the final answers of a problem's samples (self-consistency, 2203.11171)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lit_entropy.functional.answer_entropy import NO_ANSWER

#: Largest number of samples whose binomials fit into a float64.
MOST_SAMPLES = 1000


class Vote(NamedTuple):
    """The samples of a problem that gave one answer.

    Attributes:
        samples: those with the answer.
        checked: those of them that could be scored.
        correct: those of them that are right.
    """

    samples: int
    checked: int
    correct: int

    @property
    def value(self) -> float | None:
        """Share of right ones, 0 or 1 unless equal answers are scored differently; None where no
        sample of the answer could be scored."""
        return self.correct / self.checked if self.checked else None


def votes(answers: Sequence[int], correct: Sequence[bool], checked: Sequence[bool]) -> list[Vote]:
    """The votes of one problem, one an answer, in the order of its first sample.

    Args:
        answers: codes; ``NO_ANSWER`` where a response names none: it does not vote.
        correct: whether each response is right.
        checked: whether it could be scored.
    """
    found: dict[int, list[int]] = {}
    for code, right, known in zip(answers, correct, checked, strict=True):
        if code != NO_ANSWER:
            tally = found.setdefault(code, [0, 0, 0])
            tally[0] += 1
            tally[1] += known
            tally[2] += known and right
    return [Vote(*tally) for tally in found.values()]


def majority(votes_A: Sequence[Vote]) -> float | None:
    """maj@n of one problem: whether the most frequent answer is right.

    Answers that tie share the decision: the value is their mean, as if a fair draw broke the tie.
    A problem without a single vote is wrong.

    Returns:
        A number in [0, 1]; None where no sample of a winning answer could be scored.
    """
    if not votes_A:
        return 0.0
    most = max(vote.samples for vote in votes_A)
    values = [vote.value for vote in votes_A if vote.samples == most]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def majority_curve(votes_A: Sequence[Vote], n: int) -> np.ndarray | None:
    """Unbiased maj@k of one problem for every k = 1..n at once.

    The expectation of :func:`majority` over the C(n, k) subsets of k of the n samples, exactly: an
    answer wins with j votes, shared by t other answers, in
    C(c, j) * ways(k - j, t) of them, where ways(s, t) counts the draws of s other samples in which
    t answers have j votes and none has more. At k = n it is the plain majority vote.

    Args:
        votes_A: the answers' votes; all must have been scored in part.
        n: samples of the problem, those that name no answer included.

    Returns:
        float64 [n], entry k - 1 is maj@k; None where an answer could not be scored.

    Raises:
        ValueError: more votes than samples, or more samples than float64 binomials bear.
    """
    counts = [vote.samples for vote in votes_A]
    if not sum(counts) <= n <= MOST_SAMPLES:
        raise ValueError(f"n={n} must lie between the {sum(counts)} votes and {MOST_SAMPLES}")
    values = [vote.value for vote in votes_A]
    if any(value is None for value in values):
        return None
    wins_n = np.zeros(n + 1)
    for count in sorted(set(counts)):
        value = sum(v for c, v in zip(counts, values, strict=True) if c == count and v)
        if not value:
            continue
        others = list(counts)
        others.remove(count)
        for j in range(1, count + 1):
            ways_st = _ways(others, n - sum(counts), j, n - j)
            shared_s = (ways_st / np.arange(1, ways_st.shape[1] + 1)).sum(1)
            wins_n[j:] += value * math.comb(count, j) * shared_s
    draws_n = np.array([float(math.comb(n, k)) for k in range(1, n + 1)])
    return wins_n[1:] / draws_n


def _ways(others: Sequence[int], silent: int, j: int, most: int) -> np.ndarray:
    """[s, t]: draws of s <= ``most`` samples with t answers at j votes and none above."""
    ways_st = np.zeros((most + 1, most // j + 1))
    ways_st[0, 0] = 1.0
    for count, tie in [(silent, 0), *((count, j) for count in others)]:
        grown_st = np.zeros_like(ways_st)
        for i in range(min(count, j if tie else count, most) + 1):
            rows_st = math.comb(count, i) * ways_st[: most + 1 - i]
            if tie and i == j:
                grown_st[i:, 1:] += rows_st[:, :-1]
            else:
                grown_st[i:] += rows_st
        ways_st = grown_st
    return ways_st
