"""From the records of an evaluation to means over problems with clustered standard errors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_entropy.evaluation.records import Record, Samples
from lit_entropy.functional.cover import cover_name, required_count
from lit_entropy.functional.majority import majority
from lit_entropy.functional.pass_at_k import pass_at_k, standard_error

Column = list[float | None]


def score_columns(
    records: Sequence[Record], pass_k: Sequence[int], cover_tau: Sequence[float]
) -> dict[str, Column]:
    """The scores of each problem, in the order of the records.

    Args:
        records: one per problem.
        pass_k: values of k.
        cover_tau: thresholds of Cover@tau.

    Returns:
        ``accuracy`` (greedy), ``avg@<n>``, ``maj@<n>``, ``pass@<k>`` and ``cover@<tau>``, as far as
        some problem has them. None stands where a problem has no such score: it was not sampled
        that often, or not enough of its responses could be checked.
    """
    columns: dict[str, Column] = {
        "accuracy": [record.greedy.accuracy if record.greedy else None for record in records]
    }
    sampled = [record.sampled for record in records]
    for n in sorted({own.samples for own in sampled if own}):
        of_n = [own if own and own.samples == n else None for own in sampled]
        columns[f"avg@{n}"] = [_rate(own) for own in of_n]
        columns[f"maj@{n}"] = [_majority(own) for own in of_n]
    for k in pass_k:
        columns[f"pass@{k}"] = _pass_column(sampled, k)
    for tau in cover_tau:
        columns[cover_name(tau)] = [_covered(own, tau) for own in sampled]
    return {
        name: column
        for name, column in columns.items()
        if any(value is not None for value in column)
    }


def _rate(own: Samples | None) -> float | None:
    return own.correct_count / own.checked_count if own and own.checked_count else None


def _majority(own: Samples | None) -> float | None:
    return None if own is None or own.votes is None else majority(own.votes)


def _covered(own: Samples | None, tau: float) -> float | None:
    if own is None or not own.checked_count:
        return None
    return float(own.correct_count >= required_count(own.checked_count, tau))


def _pass_column(sampled: Sequence[Samples | None], k: int) -> Column:
    """pass@k of each problem; those with equally many checked samples are computed at once."""
    column: Column = [None] * len(sampled)
    enough = {row: own for row, own in enumerate(sampled) if own and own.checked_count >= k}
    for n in {own.checked_count for own in enough.values()}:
        rows = [row for row, own in enough.items() if own.checked_count == n]
        values = pass_at_k([enough[row].correct_count for row in rows], n, k).tolist()
        for row, value in zip(rows, values, strict=True):
            column[row] = value
    return column


def summarise(
    records: Sequence[Record],
    pass_k: Sequence[int],
    cover_tau: Sequence[float],
    by_difficulty: bool = True,
) -> dict[str, float]:
    """Means over problems and their standard errors.

    Standard errors are clustered by problem (2411.00640): the spread over problems of the mean
    over a problem's samples, divided by the root of the number of problems.
    """
    values: dict[str, float] = {}
    difficulties = [record.difficulty for record in records]
    for name, column in score_columns(records, pass_k, cover_tau).items():
        pairs = [pair for pair in zip(column, difficulties, strict=True) if pair[0] is not None]
        score_N = torch.tensor([score for score, _ in pairs], dtype=torch.float64)
        values |= mean_and_error(score_N, name)
        difficulty_N = torch.tensor([difficulty for _, difficulty in pairs])
        for level in difficulty_N.unique().tolist() if by_difficulty else ():
            values |= mean_and_error(score_N[difficulty_N == level], name, f"/difficulty_{level}")
    return values | _greedy_rates(records) | _sampled_rates(records)


def _greedy_rates(records: Sequence[Record]) -> dict[str, float]:
    """Length, truncation, format failures and unchecked share of the greedy responses."""
    own = [record.greedy for record in records if record.greedy]
    if not own:
        return {}
    values = mean_and_error(_tensor([greedy.length for greedy in own]), "length")
    values["truncated"] = sum(greedy.truncated for greedy in own) / len(own)
    values["unchecked"] = sum(1.0 - greedy.checked for greedy in own) / len(own)
    malformed = [greedy.malformed for greedy in own if greedy.malformed is not None]
    if malformed:
        values["format_failure"] = sum(malformed) / len(malformed)
    return values


def _sampled_rates(records: Sequence[Record]) -> dict[str, float]:
    """The same of the samples, and their entropies."""
    own = [record.sampled for record in records if record.sampled]
    if not own:
        return {}
    responses = sum(sampled.samples for sampled in own)
    values = mean_and_error(_tensor([s.tokens / s.samples for s in own]), "length_sampled")
    values["entropy"] = sum(s.entropy_total for s in own) / sum(s.tokens for s in own)
    values["truncated_sampled"] = sum(s.truncated_count for s in own) / responses
    values["unchecked_sampled"] = (responses - sum(s.checked_count for s in own)) / responses
    malformed = [(s.malformed_count, s.samples) for s in own if s.malformed_count is not None]
    if malformed:
        counts, samples = zip(*malformed, strict=True)
        values["format_failure_sampled"] = sum(counts) / sum(samples)
    entropies = [s.answer_entropy for s in own if s.answer_entropy is not None]
    if entropies:
        values["answer_entropy"] = sum(entropies) / len(entropies)
    return values


def _tensor(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mean_and_error(score_N: Tensor, name: str, suffix: str = "") -> dict[str, float]:
    """``name``: the mean over problems; ``name_se``: its standard error, from two problems on."""
    values = {name + suffix: float(score_N.mean())}
    if len(score_N) > 1:
        values[f"{name}_se{suffix}"] = float(standard_error(score_N))
    return values
