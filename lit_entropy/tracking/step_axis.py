"""The RL step as the x axis of every logger, also for callbacks that count updates."""

from collections.abc import Callable, Collection, Iterable, Mapping
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
    """Puts what other callbacks log into the row of the RL step under way.

    Lightning's monitors (of learning rates, of devices, of throughput) give numbers straight to the
    loggers, and ``self.log`` gives them once an update; their step counts updates. Such numbers are
    held until the run logs a row of its own, and go into that row: of several, the last one. A call
    is the run's own where it holds every key that was announced.
    """

    def __init__(self) -> None:
        self._own: frozenset[str] = frozenset()
        self._held: dict[int, dict[str, Any]] = {}
        self._row: int | None = None  # the last one of the run's own

    def attach(self, loggers: Iterable[Logger]) -> None:
        """Stand between callbacks and these loggers; a second call changes nothing more.

        The loggers stay the objects that they are, of any class: others ask them for their folder,
        and look for W&B among them.
        """
        for logger in loggers:
            write = partial(type(logger).log_metrics, logger)
            setattr(logger, "log_metrics", partial(self._log, logger, write))  # noqa: B010

    def announce(self, keys: Collection[str]) -> None:
        """Name the keys by which the run's next rows are known."""
        self._own = frozenset(keys)

    def flush(self, loggers: Iterable[Logger]) -> None:
        """Write what is held to the last row of the run's own, once no other will come."""
        for logger in loggers:
            if self._row is not None and self._held.get(id(logger)):
                self._write_row(logger, partial(type(logger).log_metrics, logger), {}, self._row)

    def _log(
        self,
        logger: Logger,
        write: Callable[..., None],
        metrics: Mapping[str, Any],
        step: int | None = None,
    ) -> None:
        if self._own and self._own <= metrics.keys() and step is not None:
            self._row = step
            self._write_row(logger, write, metrics, step)
        elif all(is_number(value) for value in metrics.values()):
            values = {key: value for key, value in metrics.items() if key not in ("epoch", "step")}
            self._held.setdefault(id(logger), {}).update(values)
        else:  # a table or a picture, which has an x axis of its own
            write(metrics, step=step)

    def _write_row(
        self, logger: Logger, write: Callable[..., None], own: Mapping[str, Any], step: int
    ) -> None:
        held = self._held.pop(id(logger), {})
        others = {key: value for key, value in held.items() if key not in own}
        if not isinstance(logger, ComparesRows):
            write({**own, **others}, step=step)
            return
        if own:
            write(own, step=step)
        if others:
            logger.log_others(others, step)
