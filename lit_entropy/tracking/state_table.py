"""The file of a run that holds predicted and realised changes of entropy, state by state."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lit_entropy.atomic import atomic_write

STATES_FILE = "theorem_states.csv"
#: RL step, whether the prompt is held out, its id; then nats.
COLUMNS = ("step", "held_out", "state", "delta", "lemma1", "theorem1", "theorem2", "sampled")


def write_states(folder: Path, rows: Sequence[Sequence[float]]) -> Path:
    """Write one line per RL step and state; NaN as an empty cell.

    Args:
        folder: the run's.
        rows: numbers in the order of ``COLUMNS``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([["" if value != value else value for value in row] for row in rows])
    with atomic_write(folder / STATES_FILE) as file:
        file.write(text.getvalue().encode())
    return folder / STATES_FILE


def read_states(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a run's file, float64; an empty cell is NaN.

    Raises:
        FileNotFoundError: the run has no such file.
        ValueError: its columns are others.
    """
    path = folder / STATES_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: train the run to its end with the callback TheoremCheck")
    with path.open(newline="") as file:
        head, *lines = csv.reader(file)
    if tuple(head) != COLUMNS:
        raise ValueError(f"{path} has the columns {head}, and not {list(COLUMNS)}")
    table = np.array([[float(cell or "nan") for cell in line] for line in lines])
    return dict(zip(COLUMNS, table.reshape(-1, len(COLUMNS)).T, strict=True))
