"""The law's coefficients for the runs of one label, with intervals: the numbers of Fig. 3 to 7, 13.

A coefficient is an estimate over seeds (``values``, ``mean``, ``half_width``) with the bounds
``low`` and ``high`` of its 95 % interval: the t interval over seeds, and for a single seed the
block bootstrap over its pairs. A bound that does not exist is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lit_entropy.figures.estimates import Estimate, estimate
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import curve
from lit_entropy.functional.bootstrap import bootstrap
from lit_entropy.functional.law import LawFit, Pairs, fit, pairs
from lit_entropy.functional.law_report import caveats

ENTROPY, ACCURACY = "entropy/token_mean", "val/accuracy"
COEFFICIENTS = ("a", "b", "ceiling")


def pairs_of(run: Run) -> Pairs:
    """Entropy and held-out accuracy of the same policies of a run.

    Raises:
        ValueError: the run lacks one of the two.
    """
    for key in (ENTROPY, ACCURACY):
        curve(run, key)  # names the run that lacks it
    return pairs(run.history, ACCURACY, ENTROPY)


def points_of(run: Run) -> dict[str, list[float]]:
    """The pairs as lists ``step``, ``entropy`` (nats) and ``accuracy``."""
    columns = pairs_of(run)._asdict().items()
    return {name.removesuffix("_N"): value_N.tolist() for name, value_N in columns}


def fit_of(run: Run) -> LawFit:
    """The law fitted to one run.

    Raises:
        ValueError: no fit exists; the run is named.
    """
    _, entropy_N, accuracy_N = pairs_of(run)
    try:
        return fit(entropy_N, accuracy_N)
    except ValueError as error:
        raise ValueError(f"run {run.name!r}: {error}") from error


def measure_law(runs: Sequence[Run]) -> dict[str, Any]:
    """Fits and coefficients of runs that differ in the seed alone.

    Args:
        runs: of one label, with ``entropy/token_mean`` (nats) and ``val/accuracy`` (fraction).

    Returns:
        ``label``; ``seeds``; ``points``: ``step``, ``entropy``, ``accuracy`` of each seed; the
        coefficients ``a``, ``b``, ``ceiling`` (fractions); ``interval``: what their bounds are;
        estimates ``r2`` and ``rmse`` over seeds; ``caveats``: sentences, each with its seed.

    Raises:
        ValueError: a missing key, or a run without a fit.
    """
    fits = [fit_of(run) for run in runs]
    measured: dict[str, Any] = {
        "label": runs[0].label,
        "seeds": [run.seed for run in runs],
        "points": [points_of(run) for run in runs],
        "interval": "t over seeds" if len(runs) > 1 else "block bootstrap",
        "r2": estimate([law.r2 for law in fits]),
        "rmse": estimate([law.rmse for law in fits]),
        "caveats": [
            f"seed {run.seed}: {sentence}" for run in runs for sentence in caveats(*pairs_of(run))
        ],
    }
    for name in COEFFICIENTS:
        values = [float(getattr(law, name)) for law in fits]
        measured[name] = estimate(values) | _bounds(name, values, runs[0])
    return plain(measured)


def _bounds(name: str, values: Sequence[float], first: Run) -> dict[str, float]:
    if len(values) > 1:
        of_seeds: Estimate = estimate(values)
        mean, half_width = of_seeds["mean"], of_seeds["half_width"]
        return {"low": mean - half_width, "high": mean + half_width}
    _, entropy_N, accuracy_N = pairs_of(first)
    interval = getattr(bootstrap(entropy_N, accuracy_N), name)
    return {"low": interval.low, "high": interval.high}


def plain(value: Any) -> Any:
    """The value with None for numbers that are not finite, as JSON wants it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_interval(coefficient: dict[str, Any], digits: int = 2) -> str:
    """A coefficient as text: ``0.78 [0.75, 0.81]``, without an interval that is unbounded."""
    text = f"{coefficient['mean']:.{digits}f}"
    if coefficient["low"] is None or coefficient["high"] is None:
        return text
    return f"{text} [{coefficient['low']:.{digits}f}, {coefficient['high']:.{digits}f}]"
