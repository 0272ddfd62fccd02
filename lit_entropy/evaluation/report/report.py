"""The numbers of a validation as plain data: what ``validation.json`` holds.

A report has ``format``, ``lit_entropy`` (version), ``prompts`` (count and hash), ``sampling`` by
source, ``policies``, ``differences`` and ``checking`` (``responses`` of each policy and the
wall-clock ``seconds`` that scoring them took, added over ranks). A policy has ``name``,
``checkpoint``, ``rl_step``, ``metrics`` (as logged, without ``val/``), ``sets`` and ``problems``,
one row each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

import lit_entropy
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.records import prompts_hash
from lit_entropy.evaluation.sets import group_by_source, source_key
from lit_entropy.evaluation.summary import score_columns, summarise
from lit_entropy.functional.cover import cover, cover_bounds
from lit_entropy.functional.majority import MOST_SAMPLES, Vote, majority_curve

Record = dict[str, Any]

FORMAT = 1
#: The one set of problems that have no sources, or a single one.
ALL = "all"
#: Most thresholds of the Cover curve.
COVER_POINTS = 32


def powers_of_two(n: int) -> list[int]:
    """1, 2, 4, ... up to n."""
    return [1 << power for power in range(n.bit_length())]


def most_samples(records: Sequence[Record]) -> int:
    """Samples of the most often sampled problem; 0 if none was sampled."""
    return max((record.get("samples", 0) for record in records), default=0)


def by_set(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records by the name of their set; all together where there is one source."""
    groups = group_by_source(records)
    if len(groups) < 2:
        return {ALL: list(records)}
    return {source_key(source): own for source, own in groups.items()}


def policy_report(
    name: str, checkpoint: str | None, rl_step: int, records: Sequence[Record], plan: Evaluation
) -> dict[str, Any]:
    """The numbers of one policy.

    Args:
        name: how tables call it.
        checkpoint: the file that it was loaded from; None for the untouched model.
        rl_step: finished RL steps.
        records: the gathered records of its validation.
        plan: the evaluation.
    """
    return {
        "name": name,
        "checkpoint": checkpoint,
        "rl_step": rl_step,
        "metrics": plan.summarise(list(records)),
        "sets": {key: set_report(own, plan) for key, own in by_set(records).items()},
        "problems": [
            {key: value for key, value in record.items() if key != "sample"} for record in records
        ],
    }


def set_report(records: Sequence[Record], plan: Evaluation) -> dict[str, Any]:
    """Scores with standard errors, curves over k and tau, rates, and the checker's counts."""
    n = most_samples(records)
    columns = score_columns(records, plan.pass_k, plan.cover_tau)
    rates = summarise(records, (), (), by_difficulty=False)
    passed = score_columns(records, powers_of_two(n), ())
    return {
        "problems": len(records),
        "samples": n,
        "scores": {name: mean_of(column) for name, column in columns.items()},
        "rates": {
            key: value
            for key, value in rates.items()
            if "@" not in key and not key.startswith("accuracy")
        },
        "bounds": bounds(records),
        "checker": checker_counts(records),
        "pass_curve": [{"k": k} | mean_of(passed[f"pass@{k}"]) for k in powers_of_two(n)
                       if f"pass@{k}" in passed],
        "majority_curve": _majority_curve(records, n),
        "cover_curve": _cover_curve(records, n),
    }  # fmt: skip


def mean_of(column: Sequence[float | None]) -> dict[str, Any]:
    """``mean``, ``se`` (None for one problem) and the number of ``problems`` with a score."""
    known = np.array([value for value in column if value is not None], dtype=np.float64)
    error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else None
    mean = float(known.mean()) if len(known) else None
    return {"mean": mean, "se": error, "problems": len(known)}


def bounds(records: Sequence[Record]) -> dict[str, list[float]]:
    """Scores with every unchecked response taken as wrong, and as right."""
    found: dict[str, list[float]] = {}
    greedy = [record for record in records if "accuracy" in record]
    if greedy:
        right = sum(record["accuracy"] or 0.0 for record in greedy)
        unknown = sum(record["accuracy"] is None for record in greedy)
        found["accuracy"] = [right / len(greedy), (right + unknown) / len(greedy)]
    sampled = [record for record in records if "samples" in record]
    if sampled:
        low = [r["correct_count"] / r["samples"] for r in sampled]
        gap = [1 - r["checked_count"] / r["samples"] for r in sampled]
        mean = sum(low) / len(low)
        found[f"avg@{most_samples(records)}"] = [mean, mean + sum(gap) / len(gap)]
    return found


def checker_counts(records: Sequence[Record]) -> dict[str, int]:
    """How many responses were right, wrong and unchecked, and how many had no readable answer."""
    greedy = [record for record in records if "accuracy" in record]
    sampled = [record for record in records if "samples" in record]
    responses = len(greedy) + sum(r["samples"] for r in sampled)
    checked = sum(r["accuracy"] is not None for r in greedy)
    checked += sum(r["checked_count"] for r in sampled)
    right = sum(r["accuracy"] == 1.0 for r in greedy) + sum(r["correct_count"] for r in sampled)
    malformed = sum(r.get("malformed", 0) for r in greedy)
    malformed += sum(r.get("malformed_count", 0) for r in sampled)
    return {
        "responses": responses,
        "right": right,
        "wrong": checked - right,
        "unchecked": responses - checked,
        "malformed": int(malformed),
    }


def _majority_curve(records: Sequence[Record], n: int) -> list[dict[str, Any]]:
    """Unbiased maj@k for k = 1, 2, 4, ... n, where the task names answers."""
    voting = [r for r in records if "votes" in r and r["samples"] == n]
    if not voting or n > MOST_SAMPLES:
        return []
    curves = [majority_curve([Vote(*vote) for vote in r["votes"]], n) for r in voting]
    known = [curve_n for curve_n in curves if curve_n is not None]
    return [{"k": k} | mean_of([float(curve[k - 1]) for curve in known]) for k in powers_of_two(n)]


def _cover_curve(records: Sequence[Record], n: int) -> list[dict[str, Any]]:
    """Plug-in Cover@tau with the shares that are surely and possibly covered."""
    scored = [record for record in records if record.get("checked_count")]
    if not scored:
        return []
    correct_N = torch.tensor([record["correct_count"] for record in scored])
    samples_N = torch.tensor([record["checked_count"] for record in scored])
    points = min(n, COVER_POINTS)
    curve = []
    for tau in [(point + 1) / points for point in range(points)]:
        surely, possibly = cover_bounds(correct_N, samples_N, tau)
        values = mean_of(cover(correct_N, samples_N, tau).tolist())
        curve.append({"tau": tau} | values | {"surely": surely, "possibly": possibly})
    return curve


def validation_report(
    policies: Sequence[Mapping[str, Any]],
    records: Sequence[Record],
    plan: Evaluation,
    max_new_tokens: int,
) -> dict[str, Any]:
    """The report of policies that were evaluated alike; ``differences`` are added by ``compare``.

    Args:
        policies: as :func:`policy_report` gives them.
        records: the records of any one of them.
        plan: the evaluation.
        max_new_tokens: limit of training, for sets without their own.
    """
    sampling = {}
    for source in sorted({record["source"] for record in records}):
        own = plan.plan_of(source)
        if own.max_new_tokens is None:
            own = replace(own, max_new_tokens=max_new_tokens)
        sampling[source] = asdict(own)
    return {
        "format": FORMAT,
        "lit_entropy": lit_entropy.__version__,
        "prompts": {"count": len(records), "hash": prompts_hash(records)},
        "sampling": sampling,
        "policies": list(policies),
        "differences": [],
        "checking": [],
    }
