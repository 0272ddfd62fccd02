"""Digests of the rows of ``metrics.csv``, kept in checkpoints: a resume sees what has changed."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: 64 bits a row: a run of 10,000 RL steps keeps 160 kB in its checkpoints.
_BYTES = 8

Digests = dict[int, int]


def row_digest(row: Mapping[str, str]) -> int:
    """A number that another row hardly has, whatever the order of its columns."""
    text = json.dumps(sorted(row.items())).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=_BYTES).digest(), signed=True)


def noted_rows(digests: Digests, last: Iterable[str]) -> dict[str, Any]:
    """What a checkpoint keeps of the rows before it.

    Args:
        digests: of the rows by their RL step.
        last: columns of the last one, to which the run may still add.

    Returns:
        ``steps`` and ``digests``, int64 [rows], and ``last``, a list of columns.
    """
    import torch  # not above: figures read tables without it

    steps = sorted(digests)
    values = [digests[step] for step in steps]
    columns = sorted(last)
    return {"steps": torch.tensor(steps), "digests": torch.tensor(values), "last": columns}


def changed_rows(noted: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> dict[int, str]:
    """RL steps whose rows are no longer what a checkpoint noted, and what is wrong with each.

    Args:
        noted: what :func:`noted_rows` gave.
        rows: the table of now, with the column ``step``; rows after the noted ones are left out.
    """
    steps, digests = noted["steps"].tolist(), noted["digests"].tolist()
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
        elif row_digest(kept) != expected[step]:
            problems[step] = "has other values"
    return dict(sorted(problems.items()))
