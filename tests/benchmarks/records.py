"""What a case of the benchmarks returns: one number a round of everything that it compares."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Size = Literal["smoke", "full"]
#: Units that need no machine to be read: they are drawn, and lead the table of their case.
RATIO, SHARE, EXPONENT = "ratio", "share", "exponent"


@dataclass(frozen=True)
class Series:
    """One quantity over the rounds of a case.

    Attributes:
        name: what it is of.
        unit: of the values.
        values: one a round.

    Raises:
        ValueError: there is no value, or one that is not finite.
    """

    name: str
    unit: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(
                f"{self.name}={self.values}: every round needs a finite number; measure again"
            )

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and largest of the rounds."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Outcome:
    """What a case came to.

    Attributes:
        series: what was measured.
        missing: what was not, with the command that installs it; empty where all was.
    """

    series: tuple[Series, ...]
    missing: tuple[str, ...] = field(default=())


def ratio(name: str, above: Series, below: Series) -> Series:
    """``above`` by ``below``, round by round, so that what slows a whole round cancels."""
    return Series(name, RATIO, _divided(above, below))


def share(name: str, part: Series, whole: Series) -> Series:
    """The fraction that ``part`` is of ``whole``, round by round."""
    return Series(name, SHARE, _divided(part, whole))


def growth(name: str, sizes: Sequence[float], series: Sequence[Series]) -> Series:
    """The power of the size by which a quantity grows, round by round.

    Args:
        name: of the result.
        sizes: at which the quantity was measured.
        series: the quantity at each size.
    """
    rounds = zip(*(each.values for each in series), strict=True)
    return Series(name, EXPONENT, tuple(exponent(sizes, values) for values in rounds))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of the least-squares line through the logarithms."""
    slope = statistics.linear_regression([*map(math.log, sizes)], [*map(math.log, values)]).slope
    return float(slope)


def _divided(above: Series, below: Series) -> tuple[float, ...]:
    return tuple(a / b for a, b in zip(above.values, below.values, strict=True))
