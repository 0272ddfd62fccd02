"""What a run came to: a figure in its folder and a short table on the screen."""

import time
from collections.abc import Mapping
from pathlib import Path

import lightning as L
import numpy as np
from lightning.pytorch.loggers import WandbLogger
from rich.console import Console
from rich.table import Table

from lit_entropy.figures.style import save
from lit_entropy.figures.summary import series, summary_figure
from lit_entropy.tracking.metrics_file import METRICS_FILE, read_metrics

#: Metric key and label of the table's lines; every ``val/pass@k`` that was logged is added.
LINES: tuple[tuple[str, str], ...] = (
    ("entropy/token_mean", "entropy, token mean (nats)"),
    ("rollout/accuracy", "accuracy, rollout"),
    ("val/accuracy", "accuracy, held out (greedy)"),
    ("cov/mean", "covariance, mean"),
)
#: In place of a last value where the base alone was measured.
UNTRAINED = "- (not measured after step 0)"


class RunSummary(L.Callback):
    """Writes ``figures/summary.png`` and ``.pdf`` and prints how a fit began and ended.

    W&B gets the picture as ``figures/summary``.

    Reads ``metrics.csv`` of the run's folder, so that a resumed run is summed up whole. Also after
    an early stop. Needs the ``RunLogger`` as the trainer's first logger.
    """

    def __init__(self, print_table: bool = True) -> None:
        """Choose the output.

        Args:
            print_table: print the table beside writing the figure.
        """
        super().__init__()
        self.print_table = print_table
        self._start = time.perf_counter()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write and print."""
        folder = trainer.log_dir  # on every rank: reading it is a collective
        if not trainer.is_global_zero or folder is None:
            return
        if not (Path(folder) / METRICS_FILE).exists():
            return  # a fit of no RL step, or without the RunLogger
        history = read_metrics(folder)
        picture = write_summary(history, Path(folder) / "figures")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("figures/summary", [str(picture)], int(history["step"][-1]))
        if self.print_table:
            seconds = time.perf_counter() - self._start
            console = Console()
            console.print(summary_table(history, seconds, title=Path(folder).name))
            console.print(f"run: {folder}", markup=False, highlight=False, soft_wrap=True)


def write_summary(history: Mapping[str, np.ndarray], folder: Path) -> Path:
    """Write the summary figure of a history as ``summary.png``, which is returned, and as PDF."""
    return save(summary_figure(history), folder / "summary")[0]


def summary_table(history: Mapping[str, np.ndarray], seconds: float, title: str) -> Table:
    """The main metrics at the beginning and at the end.

    What is logged at most RL steps is shown as means over the first and the last tenth of them,
    since single rollouts are noisy; what is validated now and then, as the first and the last
    value, each with its RL step. What was measured at RL step 0 alone, the base's, has no last.

    Args:
        history: as returned by ``read_metrics``.
        seconds: wall time of this fit.
        title: name of the run.
    """
    table = Table(title=title, caption=f"wall time of this fit: {seconds:,.1f} s")
    for column in ("", "first", "last"):
        table.add_column(column, justify="left" if not column else "right")
    passes = sorted(
        (key for key in history if key.startswith("val/pass@") and key[9:].isdigit()),
        key=lambda key: int(key[9:]),
    )
    for key, label in [*LINES, *((key, f"{key[4:]}, held out") for key in passes)]:
        data = series(history, key)
        if data is not None:
            steps, values = data
            size = 1 if key.startswith("val/") else max(1, len(values) // 10)
            first = _cell(steps[:size], values[:size])
            last = _cell(steps[-size:], values[-size:])
            table.add_row(label, first, last if steps[-1] > 0 else UNTRAINED)
    return table


def _cell(steps: np.ndarray, values: np.ndarray) -> str:
    """The mean of a window and its RL steps."""
    first, last = int(steps[0]), int(steps[-1])
    where = f"step {first}" if first == last else f"steps {first}-{last}"
    return f"{values.mean():.3g} ({where})"
