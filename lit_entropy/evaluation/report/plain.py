"""Reports as the plain data of ``validation.json``, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from lit_entropy.evaluation.records import Greedy, Record, Samples
from lit_entropy.evaluation.report.records import (
    CheckerCounts,
    Checking,
    CoverPoint,
    CurvePoint,
    PolicyReport,
    Prompts,
    Report,
    Score,
    ScoreDifference,
    SetReport,
)
from lit_entropy.evaluation.sampling import SetSampling
from lit_entropy.functional.majority import Vote

Plain = dict[str, Any]

FORMAT = 1


def report_to_plain(report: Report) -> Plain:
    """What ``validation.json`` holds; absent parts are left out."""
    row: Plain = {"format": FORMAT, "lit_entropy": report.lit_entropy}
    row |= {"prompts": asdict(report.prompts)}
    row |= {"sampling": {source: asdict(own) for source, own in report.sampling.items()}}
    row |= {"policies": [_policy_to_plain(policy) for policy in report.policies]}
    row |= {"differences": [asdict(difference) for difference in report.differences]}
    row |= {"checking": [asdict(checking) for checking in report.checking]}
    return row if report.notes is None else row | {"notes": report.notes}


def report_from_plain(row: Plain) -> Report:
    """The report that a file holds.

    Raises:
        KeyError: a part is missing.
        TypeError: a part is of another kind.
    """
    return Report(
        lit_entropy=row["lit_entropy"],
        prompts=Prompts(**row["prompts"]),
        sampling={source: SetSampling(**own) for source, own in row["sampling"].items()},
        policies=[_policy_from_plain(policy) for policy in row["policies"]],
        differences=[ScoreDifference(**difference) for difference in row["differences"]],
        checking=[Checking(**checking) for checking in row.get("checking", [])],
        notes=row.get("notes"),
    )


def _policy_to_plain(policy: PolicyReport) -> Plain:
    sets = {name: _set_to_plain(own) for name, own in policy.sets.items()}
    problems = [record_to_plain(record) for record in policy.problems]
    row = {field.name: getattr(policy, field.name) for field in fields(policy)}
    return row | {"sets": sets, "problems": problems}


def _policy_from_plain(row: Plain) -> PolicyReport:
    sets = {name: _set_from_plain(own) for name, own in row["sets"].items()}
    problems = [record_from_plain(record) for record in row["problems"]]
    return PolicyReport(**row | {"sets": sets, "problems": problems})


def _set_to_plain(own: SetReport) -> Plain:
    row = asdict(own)
    for curve in ("pass_curve", "majority_curve"):
        row[curve] = [{"k": p.pop("k"), **p.pop("score")} for p in row[curve]]
    row["cover_curve"] = [{"tau": p.pop("tau"), **p.pop("score"), **p} for p in row["cover_curve"]]
    return row


def _set_from_plain(row: Plain) -> SetReport:
    curves = {
        name: [CurvePoint(point["k"], _score(point)) for point in row[name]]
        for name in ("pass_curve", "majority_curve")
    }
    cover = [
        CoverPoint(point["tau"], _score(point), point["surely"], point["possibly"])
        for point in row["cover_curve"]
    ]
    scores = {name: _score(score) for name, score in row["scores"].items()}
    checker = CheckerCounts(**row["checker"])
    return SetReport(**row | curves | {"cover_curve": cover, "scores": scores, "checker": checker})


def _score(row: Plain) -> Score:
    return Score(row["mean"], row["se"], row["problems"])


def record_to_plain(record: Record) -> Plain:
    """One flat row of numbers, without the response in full; absent parts are left out.

    A greedy response that could not be checked has the ``accuracy`` None.
    """
    row: Plain = {"id": record.id, "source": record.source, "difficulty": record.difficulty}
    row["fingerprint"] = record.fingerprint
    for part in (record.greedy, record.sampled):
        values = asdict(part) if part else {}
        row |= {k: v for k, v in values.items() if v is not None or k == "accuracy"}
    if record.sampled and record.sampled.votes is not None:
        row["votes"] = [list(vote) for vote in record.sampled.votes]
    return row


def record_from_plain(row: Plain) -> Record:
    """The record of a row."""
    greedy = Greedy(**_entries(Greedy, row)) if "accuracy" in row else None
    sampled = None
    if "samples" in row:
        votes = [Vote(*vote) for vote in row["votes"]] if "votes" in row else None
        sampled = Samples(**_entries(Samples, row) | {"votes": votes})
    head = (row["id"], row["source"], row["difficulty"], row["fingerprint"])
    return Record(*head, greedy=greedy, sampled=sampled)


def _entries(kind: type[Greedy] | type[Samples], row: Mapping[str, Any]) -> Plain:
    return {field.name: row[field.name] for field in fields(kind) if field.name in row}
