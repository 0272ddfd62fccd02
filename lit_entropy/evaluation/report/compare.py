"""Paired differences between validations that were made separately."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from lit_entropy.evaluation.report.differences import differences
from lit_entropy.evaluation.report.records import Report


def join(reports: Sequence[Report], names: Sequence[str]) -> Report:
    """One report of the policies of several, with differences against the first policy.

    Args:
        reports: validations of the same problems.
        names: the file of each, for messages and to tell equal names apart.

    Raises:
        ValueError: less than two policies, or reports of different problems.
    """
    first = reports[0]
    for name, report in zip(names, reports, strict=True):
        if report.prompts != first.prompts:
            raise ValueError(
                f"{name} and {names[0]} are of different problems: {asdict(report.prompts)} and "
                f"{asdict(first.prompts)}. Differences would not be paired; evaluate both on one "
                "set"
            )
    labels = [policy.name for report in reports for policy in report.policies]
    policies = [
        replace(policy, name=f"{name}: {policy.name}") if labels.count(policy.name) > 1 else policy
        for name, report in zip(names, reports, strict=True)
        for policy in report.policies
    ]
    if len(policies) < 2:
        raise ValueError(f"{list(names)} hold one policy: name two reports or more to compare")
    # seconds of separate calls, perhaps of separate machines, are not for comparison
    joint = replace(first, policies=policies, checking=[], notes=_notes(reports, names))
    return with_differences(joint)


def with_differences(report: Report) -> Report:
    """The report with paired differences of every policy against the first one."""
    first, *others = report.policies
    scores = {
        score for policy in report.policies for own in policy.sets.values() for score in own.scores
    }
    taus = sorted(float(key.removeprefix("cover@")) for key in scores if key.startswith("cover@"))
    rows = [row for policy in others for row in differences(first, policy, taus)]
    return replace(report, differences=rows)


def _notes(reports: Sequence[Report], names: Sequence[str]) -> list[str]:
    """What was set differently, which differences then measure too."""
    notes = []
    for name, report in zip(names[1:], reports[1:], strict=True):
        for source, own in report.sampling.items():
            here, there = asdict(own), asdict(reports[0].sampling[source])
            changed = [
                f"{key} {there[key]} and {here[key]}" for key in here if here[key] != there[key]
            ]
            if changed:
                where = f" for {source}" if source else ""
                notes.append(f"{names[0]} and {name} differ in {', '.join(changed)}{where}.")
    return notes
