"""Rows that a resumed run makes again, compared with those that it makes them in place of."""

import math
from collections.abc import Mapping, Sequence

from lit_entropy.tracking.row_digests import is_time

Row = Mapping[str, str]


class RedoneRows:
    """The rows after the checkpoint of a resume; tells once where the run is not the same again.

    An exact resume repeats every number but the times. The first RL step that differs says enough:
    those after it follow from it.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Keep the rows that the run had made before it was continued.

        Args:
            rows: cells as text, with the column ``step``.
        """
        self._before = {int(row["step"]): row for row in rows}
        self._now: dict[str, str] = {}
        self._step = -1

    def observe(self, step: int, values: Mapping[str, float]) -> str:
        """Note numbers that the resumed run logs.

        Args:
            step: their RL step.
            values: by metric; a step may be logged in several calls.

        Returns:
            What :meth:`difference` says of the RL step before, if this one begins another.
        """
        text = self.difference() if step > self._step else ""
        self._step = max(step, self._step)
        if step == self._step:
            self._now |= {key: repr(value) for key, value in values.items()}
        return text

    def difference(self) -> str:
        """How the RL step under way differs from what it was; empty where it does not.

        Once it has told a difference it is silent.
        """
        before, now, self._now = self._before.get(self._step), self._now, {}
        keys = sorted(key for key in now if before and key in before and not is_time(key))
        if before is None or not keys:
            return ""
        other = (key for key in keys if before[key] != now[key])
        # 0.0 and -0.0 are one number
        other = (key for key in other if float(before[key]) != float(now[key]))
        apart = {key: _apart(before[key], now[key]) for key in other}
        if not apart:
            return ""
        self._before = {}
        worst = max(apart, key=lambda key: apart[key])
        return (
            f"The resume was not exact: at RL step {self._step} {len(apart)} of {len(keys)} "
            f"metrics differ from those before the resume, the most by {apart[worst]:.2g} of its "
            f"value ({worst}: {float(before[worst]):.6g}, now {float(now[worst]):.6g})"
        )


def _apart(before: str, now: str) -> float:
    """The relative difference of two numbers, of the larger one's size; infinite with a NaN."""
    first, second = float(before), float(now)
    if not math.isfinite(first) or not math.isfinite(second):
        return math.inf
    return abs(first - second) / max(abs(first), abs(second))
