"""One progress bar over RL steps, with the numbers of the paper beside it."""

from collections.abc import Mapping

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor

#: Metric key, label and format of what is shown, in this order.
SHOWN: tuple[tuple[str, str, str], ...] = (
    ("rollout/reward", "reward", ".3f"),
    ("val/accuracy", "val acc", ".3f"),
    ("entropy/token_mean", "H", ".3f"),
    ("cov/mean", "cov", ".1e"),
    ("law/ceiling", "ceiling", ".3f"),
    ("time/tokens_per_second", "tok/s", ",.0f"),
)


def describe(metrics: Mapping[str, Tensor | float]) -> str:
    """The shown metrics in one line; missing ones are skipped."""
    parts = (
        f"{label} {float(metrics[key]):{form}}" for key, label, form in SHOWN if key in metrics
    )
    return "  ".join(parts)


class RLProgressBar(ProgressBar):
    """A bar over the RL steps of a fit; plain lines where there is no terminal.

    The numbers of an RL step are shown once Lightning has reduced all of them, which is after the
    last hook of its epoch.
    """

    def __init__(self, print_every: int = 10) -> None:
        """Choose how often to print without a terminal.

        Args:
            print_every: RL steps between two plain lines; the last step is always printed.
        """
        super().__init__()
        if print_every < 1:
            raise ValueError(f"print_every={print_every}: give 1 or more RL steps")
        self.print_every = print_every
        self._enabled = True
        self._console = Console()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._total: int | None = None
        self._finished: int | None = None

    def disable(self) -> None:
        """Show nothing (Lightning calls this on ranks other than zero)."""
        self._enabled = False
        self._stop()

    def enable(self) -> None:
        """Show again."""
        self._enabled = True

    def print(self, *args: object, **kwargs: object) -> None:
        """Print above the bar."""
        if self._enabled:
            self._console.print(*args, markup=False, highlight=False)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the bar at the RL step of the resume."""
        self._finished = None
        epochs = trainer.max_epochs
        self._total = None if epochs is None or epochs < 0 else epochs
        if not (self._enabled and self._console.is_terminal):
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self._console,
        )
        self._task = self._progress.add_task(
            self._label(trainer.current_epoch),
            total=self._total,
            completed=trainer.current_epoch,
            metrics="",
        )
        self._progress.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the RL step that just ended."""
        self._report(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the RL step; its numbers are complete only after this hook."""
        self._finished = trainer.current_epoch + 1

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the last RL step and leave the bar standing."""
        self._report(trainer.callback_metrics, last=True)
        self._stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self._stop()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Give the terminal back."""
        self._stop()

    def _report(self, metrics: Mapping[str, Tensor | float], last: bool = False) -> None:
        step, self._finished = self._finished, None
        if step is None or not self._enabled:
            return
        label, shown = self._label(step), describe(metrics)
        if self._progress is not None:
            self._progress.update(self._task, completed=step, description=label, metrics=shown)
        elif last or step % self.print_every == 0:
            line = f"{label}  {shown}".rstrip()
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _label(self, step: int) -> str:
        return f"RL step {step}" if self._total is None else f"RL step {step}/{self._total}"

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
