"""An alarm for a method that cannot act, so that a null result is not mistaken for a finding."""

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

#: Selections from which a quota is judged, half of them empty.
_FIRST = 4


class InertAlarm:
    """Warns once when a condition held in every call over ``patience`` consecutive updates."""

    def __init__(self, cause: str, patience: int = 20) -> None:
        """Prepare the alarm.

        Args:
            cause: what the warning says: what does not act, why, and the remedy.
            patience: length of the streak, in optimizer updates, after which it warns.
        """
        self.cause = cause
        self.patience = patience
        self.raised = False
        self._since: int | None = None

    def observe(self, inert: bool, update: int) -> None:
        """Record one call.

        Args:
            inert: whether the method could not act in this call (microbatch).
            update: index of the optimizer update, ``LossBatch.update``.
        """
        if self.raised or not inert:
            self._since = None
            return
        # Counted in updates: all microbatches of an update count once, and each can break a streak.
        self._since = update if self._since is None else self._since
        if update - self._since + 1 > self.patience:
            self.raised = True
            rank_zero_warn(f"{self.cause} (updates {self._since} to {update})", stacklevel=6)


class ShortQuotaAlarm:
    """Warns once when the quota of a selection is no token in two of its first four scopes.

    A streak of updates is no measure of it: lengths vary, and a quota of one token now and then
    ends every streak.
    """

    def __init__(self, name: str, fraction: float) -> None:
        """Prepare the alarm.

        Args:
            name: of the method.
            fraction: share of the scored tokens that it selects.
        """
        self.raised = False
        self._name, self._fraction = name, fraction
        self._scopes, self._empty = 0, 0

    def observe(self, quota: int, tokens: int) -> None:
        """Record a scope.

        Args:
            quota: tokens to select.
            tokens: scored tokens of the scope, more than 0.
        """
        if self.raised or self._scopes == _FIRST:
            return
        self._scopes += 1
        self._empty += quota == 0
        if self._empty == _FIRST // 2:
            self.raised = True
            rank_zero_warn(
                f"{self._name} does not act: model.loss.fraction={self._fraction} of {tokens} "
                "scored tokens is less than one token, so that none is selected. Raise it, to "
                f"{10 / tokens:.1g} for about ten tokens, or set model.loss.quota=official, which "
                "selects at least one",
                stacklevel=7,
            )
