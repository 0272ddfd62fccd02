"""RL steps of ``lit-entropy fit``, timed from the start of one to the start of the next."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import lightning as L

from lit_entropy.cli.main import main as lit_entropy

CONFIGS = Path(__file__).parents[2] / "configs"
#: Hooks of Lightning that run within an RL step.
HOOKS = tuple(name for name in dir(L.Callback) if name.startswith("on_"))


class Clock(L.Callback):
    """Notes when RL steps start, and the seconds that each other callback spends in its hooks.

    The first RL steps are not counted, since libraries load what they load on first use, nor is the
    last one, whose end has no stamp.

    Args:
        first: RL steps that are not counted.

    Attributes:
        starts: when each RL step started.
        spent: seconds by callback, in the RL steps that are counted.
    """

    def __init__(self, first: int = 1) -> None:
        self.first = first
        self.starts: list[float] = []
        self.spent: Counter[str] = Counter()
        self._running: Counter[str] = Counter()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Time the hooks of the callbacks of this run."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  Lightning's own list
            self._running[type(callback).__name__] = 0.0
            for name in HOOKS:
                own = getattr(type(callback), name) is not getattr(L.Callback, name)
                if callback is not self and own:
                    setattr(callback, name, self._timed(callback, getattr(callback, name)))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start an RL step."""
        if len(self.starts) == self.first:
            self._running = Counter(dict.fromkeys(self._running, 0.0))
        self.starts.append(time.perf_counter())
        self.spent = Counter(self._running)

    @property
    def step_seconds(self) -> float:
        """Mean seconds of the RL steps that are counted."""
        return self.window / (len(self.starts) - 1 - self.first)

    @property
    def window(self) -> float:
        """Seconds of the RL steps that are counted."""
        return self.starts[-1] - self.starts[self.first]

    def _timed(self, callback: L.Callback, hook: Callable[..., Any]) -> Callable[..., Any]:
        name = type(callback).__name__

        @wraps(hook)
        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return hook(*arguments, **options)
            finally:
                self._running[name] += time.perf_counter() - start

        return timed


def fit(arguments: Sequence[str], steps: int, first: int = 1) -> Clock:
    """Run a fit without validation and give its clock.

    Args:
        arguments: of ``lit-entropy fit``, the configuration first.
        steps: RL steps that are counted; ``first`` are made before, and one after them.
        first: those that only warm up.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        cli = lit_entropy(
            ["fit", *arguments, "--trainer.callbacks+=benchmarks.fitted.Clock",
             f"--trainer.callbacks.first={first}", f"--trainer.max_epochs={first + steps + 1}",
             "--trainer.limit_val_batches=0",
             "--trainer.accelerator=cpu", "--run.wandb=off", f"--run.folder={folder}"]
        )  # fmt: skip
    return next(each for each in cli.trainer.callbacks if isinstance(each, Clock))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed within the block; an error takes with it what was."""
    said = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # few workers, no validation
            yield
    except BaseException as error:
        error.add_note(said.getvalue()[-4000:])
        raise
