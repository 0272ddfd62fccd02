"""Contenders measured in turn, A B A B, so that a machine which slows down slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from benchmarks.machine import wait
from benchmarks.records import Series

#: Measures a contender once.
Contender = Callable[[], float]


def alternate(
    contenders: Mapping[str, Contender], rounds: int, unit: str = "s", warm: bool = True
) -> dict[str, Series]:
    """One value of each contender a round.

    Args:
        contenders: by name, in the order of a round.
        rounds: how many.
        unit: of the values.
        warm: whether a first round is thrown away; False for those that throw away their own.
    """
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + warm):
        for name, contender in contenders.items():
            value = contender()
            if number >= warm:
                values[name].append(value)
    return {name: Series(name, unit, tuple(found)) for name, found in values.items()}


def clocked(function: Callable[[], object]) -> Contender:
    """Seconds of the clock that a call takes, a GPU's work included."""

    def measure() -> float:
        wait()
        start = time.perf_counter()
        function()
        wait()
        return time.perf_counter() - start

    return measure


def rated(function: Callable[[], int]) -> Contender:
    """What a call returns by the seconds of the clock that it takes: tokens a second, say."""

    def measure() -> float:
        wait()
        start = time.perf_counter()
        count = function()
        wait()
        return count / (time.perf_counter() - start)

    return measure
