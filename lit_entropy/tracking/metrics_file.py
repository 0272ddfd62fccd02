"""The table ``metrics.csv`` of a run: one row per RL step, one column per metric."""

import csv
import errno
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lit_entropy.atomic import atomic_write, sweep_unfinished, write_once
from lit_entropy.closest import files_near
from lit_entropy.errors import PartError
from lit_entropy.tracking.row_digests import Digests, noted_rows, repeated_cells, row_digest

METRICS_FILE = "metrics.csv"
#: Rows after the checkpoint that a resume continues; further ones ``metrics-abandoned-2.csv``, ...
ABANDONED = "metrics-abandoned"
STEP = "step"

Row = dict[str, str]


class MetricsFile:
    """Adds numbers to the table; rows that a resume makes again are set aside, never deleted.

    Every call is on disk when it returns. A new step is appended with one write; whatever changes
    existing bytes (a second call of a step, a new column) goes to a file beside it that then
    replaces the table, so that a reader or a kill at any time finds a whole table.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a table, keeping the rows it has.

        Args:
            path: the CSV file; made with the first write.

        Raises:
            ValueError: the file is not a table of this kind.
        """
        self.path = Path(path)
        self._columns: list[str] = []
        self._last: Row = {}
        self._last_offset = 0
        self._last_step = -1
        self._digests: Digests = {}
        self._others: frozenset[str] = frozenset()  # columns that no digest holds
        self._size = 0  # bytes, after the last write
        if self.path.exists():
            sweep_unfinished(self.path.parent)
            rows, self._size = self._read(), self.path.stat().st_size
            if rows:
                self._replace(rows)  # also cuts a last line that a power cut left incomplete

    @property
    def last_step(self) -> int:
        """RL step of the last row; -1 without any."""
        return self._last_step

    def write(
        self, step: int, metrics: Mapping[str, float], others: bool = False
    ) -> dict[str, tuple[str, str]]:
        """Add metrics to the row of an RL step.

        Args:
            step: RL step, at least 0.
            metrics: finite or not; written with all digits of a float64.
            others: whether a repetition of the RL step may have other values.

        Returns:
            The metrics that the table already had with another value: (kept, refused).

        Raises:
            ValueError: a negative step, or a name with a line end or another control character.
            OSError: the disk is full, and the like; the table is left as it was.
            RuntimeError: another program has removed, cut or extended the table.
        """
        if step < 0:
            raise ValueError(f"step is {step}: log the key `step` with the RL step, 0 or more")
        for key in metrics:
            if not key or not key.isprintable():
                raise ValueError(f"the metric {key!r} has no printable name: log it by another one")
        self._require_own()
        if others and not self._others.issuperset(metrics):
            self._others |= metrics.keys()
            self._digest(self._read())
        new = {key: repr(float(value)) for key, value in metrics.items() if key != STEP}
        appended = step > self._last_step
        if not appended and step != self._last_step:
            return self._amend(step, new)
        row = {STEP: str(step)} if appended else self._last
        conflicts = _conflicts(row, new)
        merged = {**new, **row}
        if not appended and len(merged) == len(row):
            return conflicts
        if not merged.keys() <= set(self._columns):
            self._replace([*self._read(), merged] if appended else [*self._read()[:-1], merged])
        elif appended:
            self._append(merged)
        else:
            self._replace_last(merged)
        self._last, self._last_step = merged, step
        self._digests[step] = row_digest(repeated_cells(merged, self._others))
        return conflicts

    def cut(self, step: int) -> tuple[list[Row], Path | None]:
        """Take away the rows after an RL step, which a resumed run makes again.

        They are written to a file beside the table before they leave it, so that a kill at any time
        loses none.

        Args:
            step: the last RL step whose row stays.

        Returns:
            The rows and the file that has them; none and None where the table ends with that step.

        Raises:
            OSError: the disk is full, and the like; the table is left as it was.
        """
        rows = self._read()
        kept = [row for row in rows if int(row[STEP]) <= step]
        cut = [row for row in rows if int(row[STEP]) > step]
        if not cut:
            return [], None
        columns = _columns(cut)
        table = b"".join(_line(row, columns) for row in [_header(columns), *cut])
        file = write_once(self.path.parent, ABANDONED, ".csv", table, warn=False)
        if kept:
            self._replace(kept)
        else:
            self.path.unlink()
            self._forget()
        return cut, file

    def noted(self, step: int) -> dict[str, Any]:
        """What a checkpoint of an RL step keeps of its row and of those before it.

        See :func:`lit_entropy.tracking.row_digests.noted_rows`.
        """
        digests = {at: digest for at, digest in self._digests.items() if at <= step}
        final = max(digests, default=-1)
        last = self._last
        if final != self._last_step:  # rows behind the checkpoint that a resumed run repeats
            last = next((row for row in self._read() if int(row[STEP]) == final), {})
        return noted_rows(digests, last, self._others)

    def _digest(self, rows: Sequence[Row]) -> None:
        cells = {int(row[STEP]): repeated_cells(row, self._others) for row in rows}
        self._digests = {step: row_digest(row) for step, row in cells.items()}

    def _amend(self, step: int, new: Row) -> dict[str, tuple[str, str]]:
        """Complete an earlier row, which a resumed run passes again."""
        rows = self._read()
        row = next((row for row in rows if int(row[STEP]) == step), None)
        if row is None:
            row = {STEP: str(step)}
            rows = sorted([*rows, row], key=lambda row: int(row[STEP]))
        conflicts = _conflicts(row, new)
        if not new.keys() <= row.keys():
            row.update({key: value for key, value in new.items() if key not in row})
            self._replace(rows)
        return conflicts

    def _require_own(self) -> None:
        """Refuse to add to what another program has made of the table meanwhile.

        Rows that it had would be lost without a word, or have no header above them.
        """
        found = self.path.stat().st_size if self.path.exists() else 0
        if found != self._size:
            raise PartError(
                f"{self.path} has {found} bytes, not the {self._size} that this run has written: "
                "another program has changed or removed it. Restore the file, and continue with "
                f"--ckpt_path {self.path.parent / 'checkpoints' / 'last.ckpt'}"
            )

    def _forget(self) -> None:
        """Begin as with a table that does not exist."""
        self._columns, self._last, self._digests = [], {}, {}
        self._last_offset, self._last_step, self._size = 0, -1, 0

    def _read(self) -> list[Row]:
        return read_rows(self.path) if self.path.exists() else []

    def _append(self, row: Row) -> None:
        line = _line(row, self._columns)
        with open(self.path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                _write_whole(file, line)
                os.fsync(file.fileno())  # a checkpoint that asks for the row survives a power cut
            except OSError as error:
                file.truncate(end)
                error.add_note(
                    f"while adding RL step {row[STEP]} to {self.path}, which is as it was"
                )
                raise
        self._last_offset, self._size = end, end + len(line)

    def _replace_last(self, row: Row) -> None:
        with atomic_write(self.path) as file, open(self.path, "rb") as old:
            shutil.copyfileobj(old, file)
            file.seek(self._last_offset)
            file.truncate()
            file.write(_line(row, self._columns))
            size = file.tell()
        self._size = size

    def _replace(self, rows: Sequence[Row]) -> None:
        columns = _columns(rows)
        with atomic_write(self.path) as file:
            file.write(_line(_header(columns), columns))
            for row in rows:
                offset = file.tell()
                file.write(_line(row, columns))
            size = file.tell()
        self._size = size
        self._columns, self._last_offset = columns, offset
        self._last, self._last_step = dict(rows[-1]), int(rows[-1][STEP])
        self._digest(rows)


def _columns(rows: Sequence[Row]) -> list[str]:
    return [STEP, *sorted({key for row in rows for key in row} - {STEP})]


def _header(columns: Sequence[str]) -> Row:
    return {name: name for name in columns}  # a row like others, so that it is quoted as needed


def _write_whole(file: io.FileIO, content: bytes) -> None:
    """Write bytes to an unbuffered file, which may take a part of them at a time.

    A disk that fills up takes a part without an error, and says at the next write why.
    """
    while content:
        taken = file.write(content)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
        content = content[taken:]


def _line(row: Row, columns: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def _conflicts(row: Row, new: Row) -> dict[str, tuple[str, str]]:
    return {key: (row[key], new[key]) for key in new.keys() & row.keys() if row[key] != new[key]}


def read_rows(path: str | Path) -> list[Row]:
    """Rows as text, without empty cells; a last line that was cut short is left out.

    Raises:
        ValueError: the file has no column ``step`` of integers, or is no table of text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        text = text[: text.rfind("\n") + 1]
        rows = [
            {key: cell for key, cell in row.items() if key and cell}
            for row in csv.DictReader(io.StringIO(text))
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no metrics table ({error}): move it away") from error
    if not all(row.get(STEP, "").isascii() and row.get(STEP, "").isdigit() for row in rows):
        raise ValueError(f"{path} is no metrics table (no RL step in every row): move it away")
    return rows


def read_metrics(run_folder: str | Path) -> dict[str, np.ndarray]:
    """The history of a run, for figures and notebooks.

    Args:
        run_folder: folder of the run, or a CSV file.

    Returns:
        One float64 array a column, in the order of the rows; NaN where a step has no such metric.

    Raises:
        FileNotFoundError: the run has no metrics yet.
        ValueError: the file is no table of numbers.
    """
    path = Path(run_folder)
    path = path / METRICS_FILE if path.is_dir() else path
    if not path.exists():
        near = "" if Path(run_folder).exists() else files_near(str(run_folder))
        raise FileNotFoundError(
            f"There is no {path}: name the folder of a run that has begun{near}"
        )
    rows = read_rows(path)
    keys = sorted({key for row in rows for key in row})
    try:
        return {key: np.array([float(row.get(key, "nan")) for row in rows]) for key in keys}
    except ValueError as error:
        raise ValueError(f"{path} is no metrics table ({error}): move it away") from error
