"""From the records of an evaluation to the numbers of its report."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.records import Record, prompts_hash
from lit_entropy.evaluation.report.records import (
    CheckerCounts,
    CoverPoint,
    CurvePoint,
    PolicyReport,
    Prompts,
    Report,
    Score,
    SetReport,
)
from lit_entropy.evaluation.sets import group_by_source, source_key
from lit_entropy.evaluation.summary import score_columns, summarise
from lit_entropy.functional.cover import cover, cover_bounds
from lit_entropy.functional.majority import MOST_SAMPLES, majority_curve
from lit_entropy.release import VERSION

#: The one set of problems that have no sources, or a single one.
ALL = "all"
#: Most thresholds of the Cover curve.
COVER_POINTS = 32


def powers_of_two(n: int) -> list[int]:
    """1, 2, 4, ... up to n."""
    return [1 << power for power in range(n.bit_length())]


def most_samples(records: Sequence[Record]) -> int:
    """Samples of the most often sampled problem; 0 if none was sampled."""
    return max((record.samples for record in records), default=0)


def by_set(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records by the name of their set; all together where there is one source."""
    groups = group_by_source(records)
    if len(groups) < 2:
        return {ALL: list(records)}
    return {source_key(source): own for source, own in groups.items()}


def policy_report(
    name: str,
    checkpoint: str | None,
    rl_step: int,
    records: Sequence[Record],
    evaluation: Evaluation,
) -> PolicyReport:
    """The numbers of one policy.

    Args:
        name: how tables call it.
        checkpoint: the file that it was loaded from; None for the untouched model.
        rl_step: finished RL steps.
        records: the gathered records of its validation.
        evaluation: how it was made.
    """
    sets = {key: set_report(own, evaluation) for key, own in by_set(records).items()}
    metrics = evaluation.summarise(list(records))
    problems = [replace(record, shown=None) for record in records]
    return PolicyReport(name, checkpoint, rl_step, metrics, sets, problems)


def set_report(records: Sequence[Record], evaluation: Evaluation) -> SetReport:
    """Scores with standard errors, curves over k and tau, rates, and the checker's counts.

    Among the scores are pass@k of the evaluation's ``pass_k`` and of all samples.
    """
    n = most_samples(records)
    ks = sorted({*evaluation.pass_k, *([n] if n > 1 else [])})  # pass@1 is avg@n
    columns = score_columns(records, ks, evaluation.cover_tau)
    rates = summarise(records, (), (), by_difficulty=False)
    passed = score_columns(records, powers_of_two(n), ())
    return SetReport(
        problems=len(records),
        samples=n,
        scores={name: Score.of(column) for name, column in columns.items()},
        rates={
            key: value
            for key, value in rates.items()
            if "@" not in key and not key.startswith("accuracy")
        },
        bounds=bounds(records),
        checker=checker_counts(records),
        pass_curve=[
            CurvePoint(k, Score.of(passed[f"pass@{k}"]))
            for k in powers_of_two(n)
            if f"pass@{k}" in passed
        ],
        majority_curve=_majority_curve(records, n),
        cover_curve=_cover_curve(records, n),
    )


def bounds(records: Sequence[Record]) -> dict[str, list[float]]:
    """Scores with every unchecked response taken as wrong, and as right."""
    found: dict[str, list[float]] = {}
    accuracies = [record.greedy.accuracy for record in records if record.greedy]
    if accuracies:
        right = sum(accuracy or 0.0 for accuracy in accuracies)
        best = right + accuracies.count(None)
        found["accuracy"] = [right / len(accuracies), best / len(accuracies)]
    sampled = [record.sampled for record in records if record.sampled]
    if sampled:
        low = sum(own.correct_count / own.samples for own in sampled) / len(sampled)
        gap = sum(1 - own.checked_count / own.samples for own in sampled) / len(sampled)
        found[f"avg@{most_samples(records)}"] = [low, low + gap]
    return found


def checker_counts(records: Sequence[Record]) -> CheckerCounts:
    """How many responses were right, wrong and unchecked, and how many had no readable answer."""
    greedy = [record.greedy for record in records if record.greedy]
    sampled = [record.sampled for record in records if record.sampled]
    responses = len(greedy) + sum(own.samples for own in sampled)
    checked = sum(own.accuracy is not None for own in greedy)
    checked += sum(own.checked_count for own in sampled)
    right = sum(own.accuracy == 1.0 for own in greedy) + sum(own.correct_count for own in sampled)
    malformed = int(sum(own.malformed or 0.0 for own in greedy))
    malformed += sum(own.malformed_count or 0 for own in sampled)
    return CheckerCounts(responses, right, checked - right, responses - checked, malformed)


def _majority_curve(records: Sequence[Record], n: int) -> list[CurvePoint]:
    """Unbiased maj@k for k = 1, 2, 4, ... n, where the task names answers."""
    sampled = [record.sampled for record in records if record.sampled]
    voting = [own.votes for own in sampled if own.votes is not None and own.samples == n]
    if not voting or n > MOST_SAMPLES:
        return []
    curves = [majority_curve(votes, n) for votes in voting]
    known = [curve_n for curve_n in curves if curve_n is not None]
    return [
        CurvePoint(k, Score.of([float(curve[k - 1]) for curve in known])) for k in powers_of_two(n)
    ]


def _cover_curve(records: Sequence[Record], n: int) -> list[CoverPoint]:
    """Plug-in Cover@tau with the shares that are surely and possibly covered."""
    scored = [r.sampled for r in records if r.sampled and r.sampled.checked_count]
    if not scored:
        return []
    correct_N = torch.tensor([own.correct_count for own in scored])
    samples_N = torch.tensor([own.checked_count for own in scored])
    points = min(n, COVER_POINTS)
    curve = []
    for tau in [(point + 1) / points for point in range(points)]:
        surely, possibly = cover_bounds(correct_N, samples_N, tau)
        covered = Score.of(cover(correct_N, samples_N, tau).tolist())
        curve.append(CoverPoint(tau, covered, surely, possibly))
    return curve


def validation_report(
    policies: Sequence[PolicyReport], evaluation: Evaluation, max_new_tokens: int
) -> Report:
    """The report of policies that were evaluated alike; ``differences`` are added by ``compare``.

    Args:
        policies: as :func:`policy_report` gives them, on the same problems.
        evaluation: how they were evaluated.
        max_new_tokens: limit of training, for sets without their own.
    """
    records = policies[0].problems
    sources = sorted({record.source for record in records})
    return Report(
        lit_entropy=VERSION,
        prompts=Prompts(len(records), prompts_hash(records)),
        sampling={
            source: evaluation.sampling_of(source).with_limit(max_new_tokens) for source in sources
        },
        policies=list(policies),
    )
