"""Paired differences between the policies of validation reports, problem by problem."""

import math
from collections import Counter
from collections.abc import Sequence

import torch

from lit_entropy.evaluation.records import Record
from lit_entropy.evaluation.report.records import PolicyReport, ScoreDifference, SetReport
from lit_entropy.evaluation.report.report import by_set
from lit_entropy.evaluation.summary import score_columns
from lit_entropy.functional.paired import Difference, mean_of_differences, paired_difference

#: Name of the plain mean over the sets of their headline scores.
MEAN_OF_SETS = "mean_of_sets"


def paired(first: Sequence[float | None], second: Sequence[float | None]) -> Difference | None:
    """The difference over the problems that both policies have a score for; None without any."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    first_N, second_N = torch.tensor(pairs, dtype=torch.float64).T
    return paired_difference(first_N, second_N)


def differences(
    first: PolicyReport, second: PolicyReport, cover_tau: Sequence[float]
) -> list[ScoreDifference]:
    """Second minus first, for every set and every score that both have, curves of pass@k included.

    Args:
        first: the policy that is compared against.
        second: another policy, evaluated on the same problems.
        cover_tau: thresholds of Cover@tau.

    Raises:
        ValueError: two problems of a set have one id.
    """
    own, other = by_set(second.problems), by_set(first.problems)
    rows, headlines = [], []
    for name in own:
        aligned = _aligned(name, other[name], own[name])
        ks = sorted(_passed(first.sets[name]) & _passed(second.sets[name]))
        for score, found in _set_differences(*aligned, ks, cover_tau).items():
            rows.append(_row(first, second, name, score, found))
            if score == second.sets[name].headline:
                headlines.append(found)
    if len(own) > 1 and len(headlines) == len(own):
        found = mean_of_differences(headlines)
        rows.append(_row(first, second, MEAN_OF_SETS, MEAN_OF_SETS, found))
    return rows


def _passed(own: SetReport) -> set[int]:
    """Every k that the set has pass@k of."""
    scores = {int(key.removeprefix("pass@")) for key in own.scores if key.startswith("pass@")}
    return scores | {point.k for point in own.pass_curve if point.k > 1}  # pass@1 is avg@n


def _set_differences(
    first: Sequence[Record], second: Sequence[Record], ks: Sequence[int], cover_tau: Sequence[float]
) -> dict[str, Difference]:
    one, two = (score_columns(records, ks, cover_tau) for records in (first, second))
    # Cover@tau depends on the number of samples that it is taken from
    counts = zip(_checked_counts(first), _checked_counts(second), strict=True)
    alike = [here == there for here, there in counts]
    for score in one:
        if score.startswith("cover@"):
            pairs = zip(one[score], alike, strict=True)
            one[score] = [value if same else None for value, same in pairs]
    found = {score: paired(one[score], two[score]) for score in one if score in two}
    return {score: value for score, value in found.items() if value is not None}


def _checked_counts(records: Sequence[Record]) -> list[int | None]:
    return [own.checked_count if (own := record.sampled) else None for record in records]


def _aligned(
    name: str, first: Sequence[Record], second: Sequence[Record]
) -> tuple[list[Record], list[Record]]:
    by_id = {record.id: record for record in second}
    if len(by_id) < len(second):
        repeated, count = Counter(record.id for record in second).most_common(1)[0]
        raise ValueError(
            f"{count} problems of the set {name!r} have the id {repeated}, by which policies are "
            "compared problem by problem: give each its own Problem.id and evaluate again"
        )
    return list(first), [by_id[record.id] for record in first]


def _row(
    first: PolicyReport, second: PolicyReport, name: str, score: str, found: Difference
) -> ScoreDifference:
    numbers = (found.mean, found.standard_error, found.low, found.high)
    mean, error, low, high = (value if math.isfinite(value) else None for value in numbers)
    return ScoreDifference(
        policy=second.name,
        against=first.name,
        set=name,
        score=score,
        difference=mean,
        se=error,
        low=low,
        high=high,
        problems=found.problems,
    )
