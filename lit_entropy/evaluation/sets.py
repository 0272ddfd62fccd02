"""Several evaluation sets at once: the sources of the held-out problems."""

import re
from collections.abc import Collection, Mapping, Sequence

from lit_entropy.evaluation.records import Record


def source_key(source: str) -> str:
    """A source as a part of a metric key."""
    return re.sub(r"[^\w.@-]+", "_", source) or "unnamed"


def group_by_source(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each source, sources by name."""
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.source):  # stable
        groups.setdefault(record.source, []).append(record)
    return groups


def check_sources(sets: Collection[str], sources: Collection[str]) -> None:
    """Refuse sets that no held-out problem belongs to, and sources whose keys would be equal.

    Args:
        sets: names in ``evaluation.sets``.
        sources: ``Problem.source`` of the held-out problems.

    Raises:
        ValueError: names the sets, the sources there are, and the remedy.
    """
    if unknown := sorted(set(sets) - set(sources)):
        raise ValueError(
            f"evaluation.sets names {unknown}, but the held-out problems have the sources "
            f"{sorted(sources)}: name one of these, or drop the set"
        )
    by_key: dict[str, str] = {}
    for source in sorted(sources):
        other = by_key.setdefault(source_key(source), source)
        if other != source:
            raise ValueError(
                f"sources {other!r} and {source!r} of the held-out problems would both be logged "
                f"as {source_key(source)!r}: rename one"
            )


def mean_of_sets(
    parts: Mapping[str, Mapping[str, float]], headlines: Mapping[str, str]
) -> dict[str, float]:
    """The plain mean of the sets' headline scores, as Table 2 of 2505.22617 averages benchmarks.

    Args:
        parts: scores of each set.
        headlines: name of the score that stands for each set.

    Returns:
        ``mean_of_sets`` and its standard error (sets are independent); nothing where a set has no
        such score, because it was not sampled in this validation.
    """
    means = [parts[source].get(name) for source, name in headlines.items()]
    errors = [parts[source].get(f"{name}_se") for source, name in headlines.items()]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means):
        return {}
    values = {"mean_of_sets": sum(known) / len(known)}
    squares = [error**2 for error in errors if error is not None]
    if len(squares) == len(known):
        values["mean_of_sets_se"] = sum(squares) ** 0.5 / len(known)
    return values
