"""From the records of an evaluation to means over problems with clustered standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_entropy.functional.cover import cover_name, required_count
from lit_entropy.functional.majority import Vote, majority
from lit_entropy.functional.pass_at_k import pass_at_k, standard_error

Record = dict[str, Any]
Column = list[float | None]


def score_columns(
    records: Sequence[Record], pass_k: Sequence[int], cover_tau: Sequence[float]
) -> dict[str, Column]:
    """The scores of each problem, in the order of the records.

    Args:
        records: as :mod:`lit_entropy.evaluation.records` describes them.
        pass_k: values of k.
        cover_tau: thresholds of Cover@tau.

    Returns:
        ``accuracy`` (greedy), ``avg@<n>``, ``maj@<n>``, ``pass@<k>`` and ``cover@<tau>``, as far as
        some problem has them. None stands where a problem has no such score: it was not sampled
        that often, or not enough of its responses could be checked.
    """
    columns: dict[str, Column] = {"accuracy": [r.get("accuracy") for r in records]}
    for n in sorted({record["samples"] for record in records if "samples" in record}):
        own = [record if record.get("samples") == n else {} for record in records]
        columns[f"avg@{n}"] = [_rate(record) for record in own]
        columns[f"maj@{n}"] = [_majority(record) for record in own]
    for k in pass_k:
        columns[f"pass@{k}"] = _pass_column(records, k)
    for tau in cover_tau:
        columns[cover_name(tau)] = [_covered(record, tau) for record in records]
    return {
        name: column
        for name, column in columns.items()
        if any(value is not None for value in column)
    }


def _rate(record: Record) -> float | None:
    checked = record.get("checked_count")
    return record["correct_count"] / checked if checked else None


def _majority(record: Record) -> float | None:
    return majority([Vote(*vote) for vote in record["votes"]]) if "votes" in record else None


def _covered(record: Record, tau: float) -> float | None:
    checked = record.get("checked_count")
    return float(record["correct_count"] >= required_count(checked, tau)) if checked else None


def _pass_column(records: Sequence[Record], k: int) -> Column:
    column: Column = [None] * len(records)
    checked = [record.get("checked_count", 0) for record in records]
    for n in {count for count in checked if count >= k}:
        rows = [row for row, count in enumerate(checked) if count == n]
        values = pass_at_k([records[row]["correct_count"] for row in rows], n, k).tolist()
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
    difficulties = [record["difficulty"] for record in records]
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
    own = [record for record in records if "length" in record]
    if not own:
        return {}
    values = mean_and_error(_tensor([record["length"] for record in own]), "length")
    values["truncated"] = sum(record["truncated"] for record in own) / len(own)
    values["unchecked"] = sum(1.0 - record["checked"] for record in own) / len(own)
    named = [record["malformed"] for record in own if "malformed" in record]
    if named:
        values["format_failure"] = sum(named) / len(named)
    return values


def _sampled_rates(records: Sequence[Record]) -> dict[str, float]:
    """The same of the samples, and their entropies."""
    own = [record for record in records if "samples" in record]
    if not own:
        return {}
    tokens = sum(record["tokens"] for record in own)
    responses = sum(record["samples"] for record in own)
    lengths_N = _tensor([record["tokens"] / record["samples"] for record in own])
    values = mean_and_error(lengths_N, "length_sampled")
    values["entropy"] = sum(record["entropy_total"] for record in own) / tokens
    values["truncated_sampled"] = sum(r["truncated_count"] for r in own) / responses
    unchecked = responses - sum(record["checked_count"] for record in own)
    values["unchecked_sampled"] = unchecked / responses
    named = [record for record in own if "malformed_count" in record]
    if named:
        total = sum(record["samples"] for record in named)
        values["format_failure_sampled"] = sum(r["malformed_count"] for r in named) / total
        values["answer_entropy"] = sum(r["answer_entropy"] for r in named) / len(named)
    return values


def _tensor(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mean_and_error(score_N: Tensor, name: str, suffix: str = "") -> dict[str, float]:
    """``name``: the mean over problems; ``name_se``: its standard error, from two problems on."""
    values = {name + suffix: float(score_N.mean())}
    if len(score_N) > 1:
        values[f"{name}_se{suffix}"] = float(standard_error(score_N))
    return values
