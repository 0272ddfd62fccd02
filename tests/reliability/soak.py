"""A run of many RL steps, whose memory, descriptors, processes and temporary files are counted."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
from attacked_runs import SMALLEST
from processes import start
from runs import ALONE

from lit_entropy.cli.main import main

COUNTED = ("memory_mib", "descriptors", "processes", "threads", "temporary_files")
#: Blocks of equal length that a slope is fitted to, and Student's t for a 95 % interval of it.
_BLOCKS, _T = 10, 2.306
#: The part of the samples before which nothing is said: caches fill.
_WARM_UP = 0.1


class Watch(L.Callback):
    """Adds a line to a table every some RL steps.

    Args:
        table: the file.
        every: RL steps between lines.
    """

    def __init__(self, table: str, every: int = 50) -> None:
        self.table, self.every = Path(table), every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        step = trainer.current_epoch + 1
        if step % self.every == 0:
            with self.table.open("a") as file:
                line = (step, *counts(Path(trainer.log_dir or ".")))
                csv.writer(file).writerow(line)


def counts(run: Path) -> tuple[float, ...]:
    """What ``COUNTED`` names, of this process, its children and a run's folder."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads = len(os.listdir("/proc/self/task"))
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    temporary = [*Path(os.environ["TMPDIR"]).iterdir(), *run.rglob("*.tmp-*")]
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return memory, len(os.listdir("/proc/self/fd")), 1 + len(children), threads, len(temporary)


def run_soak(folder: str, steps: int) -> None:
    """In this process; a run that was ended before is continued."""
    os.chdir(folder)
    Path("tmp").mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(Path("tmp").resolve())
    checkpoint = Path("runs/run/checkpoints/last.ckpt")
    resume = ["--ckpt_path=last"] if checkpoint.exists() else []
    main(
        ["fit", *SMALLEST, *ALONE, "--trainer.callbacks+=soak.Watch",
         f"--trainer.callbacks.table={Path('soak.csv').resolve()}",
         "--trainer.callbacks+=lit_entropy.callbacks.EntropyMonitor",
         "--trainer.callbacks+=lit_entropy.callbacks.CovarianceMonitor",
         f"--trainer.max_epochs={steps}", "--checkpoint.every_n_epochs=50", *resume]
    )  # fmt: skip


def soak(folder: Path, steps: int) -> None:
    """Make the run in a process of its own; its table grows at ``soak.csv`` meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    process = start(folder / "log", run_soak, str(folder), steps)
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the soak ended with {process.exitcode}: see {folder / 'log'}")


def slopes(table: Path) -> tuple[int, dict[str, tuple[float, float]]]:
    """How fast each count grows after the warm-up.

    Args:
        table: one line every some RL steps.

    Returns:
        The last RL step, and for each of ``COUNTED`` the slope per 1,000 RL steps and half of its
        95 % interval; not a number with fewer than three samples a block.
    """
    rows = np.loadtxt(table, delimiter=",", ndmin=2)
    kept = rows[int(_WARM_UP * len(rows)) :]
    if len(kept) < 3 * _BLOCKS:
        return int(rows[-1, 0]), dict.fromkeys(COUNTED, (float("nan"), float("nan")))
    blocks = np.array([block.mean(axis=0) for block in np.array_split(kept, _BLOCKS)])
    steps = blocks[:, 0] / 1000
    return int(rows[-1, 0]), {
        name: line(steps, blocks[:, column]) for column, name in enumerate(COUNTED, 1)
    }


def line(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The slope of ``_BLOCKS`` points by least squares and half of its 95 % interval."""
    x, y = np.asarray(x), np.asarray(y)
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    rest = y - y.mean() - slope * centred
    error = float(np.sqrt(rest @ rest / (len(x) - 2) / (centred @ centred)))
    return slope, _T * error
