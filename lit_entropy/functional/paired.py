"""Paired differences between two policies on the same problems (Miller, 2024, 2411.00640)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.quantiles import t_quantile


class Difference(NamedTuple):
    """A mean difference with its t interval.

    Attributes:
        mean: second minus first.
        standard_error: clustered; NaN for a single cluster.
        low: lower end of the interval; NaN for a single cluster.
        high: upper end of the interval.
        problems: problems that both policies were scored on.
        freedom: degrees of freedom of the t interval.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    problems: int
    freedom: float


def paired_difference(
    first_N: Tensor,
    second_N: Tensor,
    clusters_N: Sequence[object] | None = None,
    confidence: float = 0.95,
) -> Difference:
    """The mean over problems of the difference of two scores, and its clustered standard error.

    Pairing removes what the problems' difficulty adds to both: Var(d) = Var(a) + Var(b) -
    2 Cov(a, b). With C clusters of problems, SE^2 = C / (C - 1) * sum_c (sum_{i in c} (d_i -
    mean))^2 / N^2; a cluster a problem gives std(d) / sqrt(N). The interval is a t interval with
    C - 1 degrees of freedom. Scores that are equal on every problem give the interval [0, 0]: then
    the problems show no difference, and nothing tells how large it may be on others.

    Args:
        first_N: score of each problem under the first policy, a mean over its samples.
        second_N: the same problems in the same order under the second one.
        clusters_N: label of each problem's cluster, for problems that are not independent (several
            questions to one text); every problem is its own cluster by default.
        confidence: of the interval.

    Raises:
        ValueError: the lengths differ, there is no problem, or a score is not finite.
    """
    if first_N.shape != second_N.shape or first_N.dim() != 1 or len(first_N) == 0:
        raise ValueError(
            f"scores of shapes {tuple(first_N.shape)} and {tuple(second_N.shape)}: give one number "
            "for each of the same problems, at least one"
        )
    difference_N = second_N.double() - first_N.double()
    if not bool(difference_N.isfinite().all()):
        raise ValueError("a score is not finite: leave out problems that were not scored")
    mean, size = float(difference_N.mean()), len(difference_N)
    labels = list(range(size)) if clusters_N is None else list(clusters_N)
    if len(labels) != size:
        raise ValueError(f"{len(labels)} cluster labels for {size} problems: give one for each")
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    index_N = torch.tensor([numbers[label] for label in labels])
    sums_C = torch.zeros(len(numbers), dtype=torch.float64)
    sums_C.index_add_(0, index_N, difference_N - mean)
    count = len(numbers)
    if count < 2:
        return Difference(mean, math.nan, math.nan, math.nan, size, 0.0)
    error = math.sqrt(count / (count - 1) * float(sums_C.square().sum())) / size
    return interval(mean, error, size, count - 1, confidence)


def interval(
    mean: float, error: float, problems: int, freedom: float, confidence: float = 0.95
) -> Difference:
    """The t interval of a difference with a known standard error."""
    half_width = t_quantile(0.5 + confidence / 2, freedom) * error
    return Difference(mean, error, mean - half_width, mean + half_width, problems, freedom)


def mean_of_differences(parts: Sequence[Difference], confidence: float = 0.95) -> Difference:
    """The plain mean of the differences on independent sets of problems.

    SE^2 = sum SE_s^2 / S^2, with the degrees of freedom of Welch and Satterthwaite.

    Args:
        parts: one difference a set, each of two problems or more for an interval.
        confidence: of the interval.
    """
    count = len(parts)
    mean = sum(part.mean for part in parts) / count
    problems = sum(part.problems for part in parts)
    variances = [part.standard_error**2 / count**2 for part in parts]
    total = sum(variances)
    if math.isnan(total):
        return Difference(mean, math.nan, math.nan, math.nan, problems, 0.0)
    spread = sum(v**2 / part.freedom for v, part in zip(variances, parts, strict=True))
    freedom = total**2 / spread if spread > 0 else sum(part.freedom for part in parts)
    return interval(mean, math.sqrt(total), problems, freedom, confidence)
