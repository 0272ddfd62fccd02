"""``lit-entropy compare``: paired differences between validations that were made separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lit_entropy.evaluation.report.differences import differences
from lit_entropy.evaluation.report.files import read_report, write_report
from lit_entropy.evaluation.report.table import table


def compare(reports: list[str], output: str = "") -> dict[str, Any]:
    """Compare validations of the same problems: paired differences against the first.

    Args:
        reports: Files validation.json, or the folders that hold them; every policy in them is
            compared with the first policy of the first file.
        output: Folder to write comparison.json, a table and a plot to; without it the table is
            printed alone.

    Returns:
        The joint report.

    Raises:
        ValueError: less than two policies, or reports of different problems.
        FileNotFoundError: no such report.
    """
    joint = join([read_report(path) for path in reports], reports)
    print(table(joint), flush=True)
    if output:
        print(f"written: {write_report(joint, Path(output), 'comparison')}", flush=True)
    return joint


def join(reports: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """One report of the policies of several, with differences against the first policy.

    Args:
        reports: as ``validation.json`` holds them.
        names: the file of each, for messages and to tell equal names apart.

    Raises:
        ValueError: less than two policies, or reports of different problems.
    """
    first = reports[0]
    for name, report in zip(names, reports, strict=True):
        if report["prompts"] != first["prompts"]:
            raise ValueError(
                f"{name} and {names[0]} are of different problems: {report['prompts']} and "
                f"{first['prompts']}. Differences would not be paired; evaluate both on one set"
            )
    labels = [policy["name"] for report in reports for policy in report["policies"]]
    policies = []
    for name, report in zip(names, reports, strict=True):
        for policy in report["policies"]:
            clash = labels.count(policy["name"]) > 1
            policies.append(
                {**policy, "name": f"{name}: {policy['name']}" if clash else policy["name"]}
            )
    if len(policies) < 2:
        raise ValueError(f"{list(names)} hold one policy: name two reports or more to compare")
    # seconds of separate calls, perhaps of separate machines, are not for comparison
    joint = {**first, "policies": policies, "checking": [], "notes": _notes(reports, names)}
    return with_differences(joint)


def with_differences(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with paired differences of every policy against the first one."""
    first, *others = report["policies"]
    scores = {key for policy in report["policies"] for s in policy["sets"].values()
              for key in s["scores"]}  # fmt: skip
    taus = sorted(float(key.removeprefix("cover@")) for key in scores if key.startswith("cover@"))
    rows = [row for policy in others for row in differences(first, policy, taus)]
    return {**report, "differences": rows}


def _notes(reports: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """What was set differently, which differences then measure too."""
    notes = []
    for name, report in zip(names[1:], reports[1:], strict=True):
        for source, plan in report["sampling"].items():
            against = reports[0]["sampling"][source]
            changed = [
                f"{key} {against[key]} and {plan[key]}" for key in plan if plan[key] != against[key]
            ]
            if changed:
                where = f" for {source}" if source else ""
                notes.append(f"{names[0]} and {name} differ in {', '.join(changed)}{where}.")
    return notes
