"""The law's coefficients for the runs of one label, with intervals (Fig. 3 to 7 and 13)."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lit_entropy.figures.estimates import Estimate, estimate
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import curve
from lit_entropy.functional.law import LawFit, Pairs, fit, pairs
from lit_entropy.functional.law_report import caveats

COEFFICIENTS = ("a", "b", "ceiling")
_SAMPLED = re.compile(r"val/avg@(\d+)")


@dataclass(frozen=True)
class Coefficient(Estimate):
    """A coefficient of the law over seeds."""

    def __str__(self) -> str:
        """``0.78 [0.75, 0.81]``, without the interval for fewer than 3 seeds."""
        low, high = self.bounds
        return f"{self.mean:.2f}" + ("" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]")


@dataclass(frozen=True)
class Points:
    """The pairs of one run: RL step, entropy (nats) and accuracy of the same policy."""

    step: list[float]
    entropy: list[float]
    accuracy: list[float]


class Named:
    """A record whose fields ``a``, ``b`` and ``ceiling`` are the law's coefficients."""

    def coefficient(self, name: str) -> Coefficient:
        """The one of that name."""
        return getattr(self, name)


@dataclass(frozen=True)
class Law(Named):
    """Fits and coefficients of runs that differ in the seed alone."""

    label: str
    accuracy: str  # the metric of the validation that is R
    seeds: list[int]
    points: list[Points]  # pairs of each seed
    # over seeds; R² is NaN where a seed has none
    r2: Estimate
    rmse: Estimate
    caveats: list[str]  # sentences, each with its seed
    # fractions
    a: Coefficient
    b: Coefficient
    ceiling: Coefficient


def pairs_of(run: Run, accuracy: str = ACCURACY) -> Pairs:
    """Entropy and held-out accuracy of the same policies of a run.

    Args:
        run: with both.
        accuracy: the metric of the validation that is taken as R.

    Raises:
        ValueError: the run lacks one of the two.
    """
    for key in (ENTROPY, accuracy):
        curve(run, key)  # names the run that lacks it
    return pairs(run.history, accuracy, ENTROPY)


def points_of(run: Run, accuracy: str = ACCURACY) -> Points:
    """The pairs as lists."""
    return Points(*(column_N.tolist() for column_N in pairs_of(run, accuracy)))


def fit_of(run: Run, accuracy: str = ACCURACY) -> LawFit:
    """The law fitted to one run.

    Raises:
        ValueError: no fit exists; the run is named.
    """
    _, entropy_N, accuracy_N = pairs_of(run, accuracy)
    try:
        return fit(entropy_N, accuracy_N)
    except ValueError as error:
        raise ValueError(f"run {run.name!r}: {error}") from error


def law_accuracy(runs: Sequence[Run]) -> str:
    """The metric of the validation that is R in the law of all these runs.

    The accuracy of sampled responses where every run has it as often as ``val/accuracy``: the
    ``val/avg@k`` of the largest k. Else ``val/accuracy``, the greedy one.
    """
    common = set.intersection(*(set(run.history) for run in runs))
    found = {int(match[1]): match[0] for match in map(_SAMPLED.fullmatch, common) if match}
    for _, key in sorted(found.items(), reverse=True):
        if all(0 < _count(run, ACCURACY) <= _count(run, key) for run in runs):
            return key
    return ACCURACY


def _count(run: Run, key: str) -> int:
    return int(np.isfinite(run.history.get(key, np.nan)).sum())


def measure_law(runs: Sequence[Run], accuracy: str | None = None) -> Law:
    """Fits and coefficients of runs that differ in the seed alone.

    Args:
        runs: of one label, with ``entropy/token_mean`` (nats) and the accuracy (fraction).
        accuracy: the metric of the validation that is R; by default that of :func:`law_accuracy`.

    Raises:
        ValueError: a missing key, or a run without a fit.
    """
    accuracy = accuracy or law_accuracy(runs)
    fits = [fit_of(run, accuracy) for run in runs]
    return Law(
        runs[0].label,
        accuracy,
        [run.seed for run in runs],
        [points_of(run, accuracy) for run in runs],
        estimate([law.r2 for law in fits]),
        estimate([law.rmse for law in fits]),
        [
            f"seed {run.seed}: {sentence}"
            for run in runs
            for sentence in caveats(*pairs_of(run, accuracy))
        ],
        *(_coefficient(name, fits) for name in COEFFICIENTS),
    )


def _coefficient(name: str, fits: Sequence[LawFit]) -> Coefficient:
    value = estimate([float(getattr(law, name)) for law in fits])
    return Coefficient(value.values, value.mean, value.half_width)
