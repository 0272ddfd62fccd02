"""The rows of a run, one per RL step, and what callbacks that count updates add to them."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch.loggers import Logger

from lit_entropy.contracts import is_number


@runtime_checkable
class ComparesRows(Protocol):
    """A logger that compares the numbers that a resumed run repeats with those that it has."""

    def log_others(self, metrics: Mapping[str, Any], step: int) -> None:
        """Write numbers of the row of an RL step that a resumed run may repeat otherwise."""


class StepAxis:
    """Gives every logger one row per RL step, whatever counts updates.

    The run's own numbers are added until the RL step is written. ``LightningModule.log`` would make
    a metric of each of them and reduce it, a fifth of the time of a small run; these are final.

    Lightning's monitors (of learning rates, of devices, of throughput) give numbers straight to the
    loggers, and ``self.log`` gives them once an update; their step counts updates. Such numbers are
    held until the RL step under way is written, and go into its row: of several, the last one. What
    counts an update of the row that has been written (Lightning's own call at the end of an epoch)
    is added to that row.
    """

    def __init__(self) -> None:
        self._own: dict[str, float] = {}
        self._held: dict[int, dict[str, Any]] = {}
        self._row: int | None = None  # the last one that was written
        self._updates = 0  # made when it was written

    def attach(self, loggers: Iterable[Logger]) -> None:
        """Stand between callbacks and these loggers until :meth:`detach`; starts from nothing.

        The loggers stay the objects that they are, of any class: others ask them for their folder,
        and look for W&B among them.
        """
        self._own, self._held, self._row = {}, {}, None
        for logger in loggers:
            setattr(logger, "log_metrics", partial(self._log, logger))  # noqa: B010

    def add(self, values: Mapping[str, float]) -> None:
        """Numbers of the RL step under way, the same on every rank."""
        self._own |= values

    def write(self, loggers: Iterable[Logger], rl_step: int, updates: int) -> None:
        """Write the row of an RL step: what was added, and what other callbacks logged.

        Args:
            loggers: those of the Trainer.
            rl_step: number of the row.
            updates: the optimizer steps of the run so far.
        """
        own, self._own = self._own, {}
        self._row, self._updates = rl_step, updates
        for logger in loggers:
            self._write(logger, own, rl_step)

    def detach(self, loggers: Iterable[Logger]) -> None:
        """Leave the loggers; what came after the last row is added to it."""
        for logger in loggers:
            if self._row is not None:
                self._write(logger, {}, self._row)
            vars(logger).pop("log_metrics", None)

    def _log(self, logger: Logger, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if not all(is_number(value) for value in metrics.values()):
            # a table or a picture, which has an x axis of its own
            _writer(logger)(metrics, step=step)
            return
        values = {key: value for key, value in metrics.items() if key not in ("epoch", "step")}
        self._held.setdefault(id(logger), {}).update(values)
        if self._row is not None and step is not None and step < self._updates:
            self._write(logger, {}, self._row)

    def _write(self, logger: Logger, own: Mapping[str, Any], step: int) -> None:
        held = self._held.pop(id(logger), {})
        others = {key: value for key, value in held.items() if key not in own}
        if not isinstance(logger, ComparesRows):
            if own or others:
                _writer(logger)({**own, **others}, step=step)
            return
        if own:
            _writer(logger)(own, step=step)
        if others:
            logger.log_others(others, step)


def _writer(logger: Logger) -> Callable[..., None]:
    return partial(type(logger).log_metrics, logger)
