"""Digests of the rows of ``metrics.csv``, kept in checkpoints: a resume sees what has changed."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

#: 64 bits a row: a run of 10,000 RL steps keeps 160 kB in its checkpoints.
_BYTES = 8

Digests = dict[int, int]


def is_time(key: str) -> bool:
    """Whether a metric is a time or a speed, which no repetition of a run has again."""
    return key.startswith("time/")


def repeated_cells(row: Mapping[str, str], others: Collection[str]) -> dict[str, str]:
    """The cells of a row that an exact repetition of the RL step has again.

    Args:
        row: of the table.
        others: metrics that are not the run's own, see ``RunLogger.log_others``.
    """
    return {key: cell for key, cell in row.items() if not is_time(key) and key not in others}


def row_digest(row: Mapping[str, str]) -> int:
    """A number that another row hardly has, whatever the order of its columns."""
    text = json.dumps(sorted(row.items())).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=_BYTES).digest(), signed=True)


def noted_rows(digests: Digests, last: Iterable[str], others: Iterable[str]) -> dict[str, Any]:
    """What a checkpoint keeps of the rows before it.

    Args:
        digests: of the rows' :func:`repeated_cells` by their RL step.
        last: columns of the last one, to which the run may still add.
        others: columns that are left out of the digests.

    Returns:
        ``steps`` and ``digests``, int64 [rows], and ``last`` and ``others``, lists of columns.
    """
    import torch  # not above: figures read tables without it

    steps = sorted(digests)
    values = [digests[step] for step in steps]
    return {
        "steps": torch.tensor(steps),
        "digests": torch.tensor(values),
        "last": sorted(last),
        "others": sorted(others),
    }


def changed_rows(noted: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> dict[int, str]:
    """RL steps whose rows are no longer what a checkpoint noted, and what is wrong with each.

    Args:
        noted: what :func:`noted_rows` gave.
        rows: the table of now, with the column ``step``; rows after the noted ones are left out.
    """
    steps, digests, others = noted["steps"].tolist(), noted["digests"].tolist(), noted.get("others")
    expected = dict(zip(steps, digests, strict=True))
    final = max(expected, default=-1)
    present = [row for row in rows if int(row["step"]) <= final]
    times = Counter(int(row["step"]) for row in present)
    problems = {step: "is missing" for step in expected.keys() - times.keys()}
    for row in present:
        step = int(row["step"])
        kept = {key: row.get(key, "") for key in noted["last"]} if step == final else row
        if step not in expected:
            problems[step] = "was not there"
        elif times[step] > 1:
            problems[step] = f"is there {times[step]} times"
        # an earlier version noted every cell
        elif row_digest(kept if others is None else repeated_cells(kept, others)) != expected[step]:
            problems[step] = "has other values"
    return dict(sorted(problems.items()))
