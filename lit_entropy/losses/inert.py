"""An alarm for a method that cannot act, so that a null result is not mistaken for a finding."""

import warnings


class InertAlarm:
    """Warns once when a condition held in every call over ``patience`` consecutive updates."""

    def __init__(self, cause: str, patience: int = 20) -> None:
        """Prepare the alarm.

        Args:
            cause: what the warning says: what does not act, why, and the remedy.
            patience: length of the streak, in optimiser updates, after which it warns.
        """
        self.cause = cause
        self.patience = patience
        self.raised = False
        self._since: int | None = None

    def observe(self, inert: bool, update: int) -> None:
        """Record one call.

        Args:
            inert: whether the method could not act in this call (microbatch).
            update: index of the optimiser update, ``LossBatch.update``.
        """
        if self.raised or not inert:
            self._since = None
            return
        # Counted in updates: all microbatches of an update count once, and each can break a streak.
        self._since = update if self._since is None else self._since
        if update - self._since + 1 > self.patience:
            self.raised = True
            warnings.warn(
                f"{self.cause} (updates {self._since} to {update})", UserWarning, stacklevel=3
            )
