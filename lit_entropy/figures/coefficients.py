"""The law's coefficients for the runs of one label, with intervals (Fig. 3 to 7 and 13)."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lit_entropy.figures.estimates import Estimate, by_seed, estimate
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import curve
from lit_entropy.functional.law import LawFit, Pairs, fit, pairs
from lit_entropy.functional.law_report import caveats

COEFFICIENTS = ("a", "b", "ceiling")
#: Entropy of the samples of a validation.
SAMPLED_ENTROPY = "val/entropy"
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


@dataclass(frozen=True)
class LawMetrics:
    """The columns that are R and H in a law.

    The entropy of a rollout stands one row after the validation of the same policy, that of a
    validation's samples in its own.
    """

    accuracy: str = ACCURACY
    entropy: str = ENTROPY

    @property
    def offset(self) -> int:
        """Rows from that of R to that of H."""
        return int(self.entropy == ENTROPY)

    def __str__(self) -> str:
        """``val/avg@4 of val/entropy``."""
        return f"{self.accuracy} of {self.entropy}"


#: The greedy accuracy, and the entropy of the rollouts.
GREEDY = LawMetrics()


class Named:
    """A record whose fields ``a``, ``b`` and ``ceiling`` are the law's coefficients."""

    def coefficient(self, name: str) -> Coefficient:
        """The one of that name."""
        return getattr(self, name)


@dataclass(frozen=True)
class Law(Named):
    """Fits and coefficients of runs that differ in the seed alone."""

    label: str
    metrics: LawMetrics
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


def pairs_of(run: Run, metrics: LawMetrics = GREEDY) -> Pairs:
    """Entropy and held-out accuracy of the same policies of a run.

    Raises:
        ValueError: the run lacks one of the two.
    """
    for key in (metrics.entropy, metrics.accuracy):
        curve(run, key)  # names the run that lacks it
    return pairs(run.history, metrics.accuracy, metrics.entropy, metrics.offset)


def points_of(run: Run, metrics: LawMetrics = GREEDY) -> Points:
    """The pairs as lists."""
    return Points(*(column_N.tolist() for column_N in pairs_of(run, metrics)))


def fit_of(run: Run, metrics: LawMetrics = GREEDY) -> LawFit:
    """The law fitted to one run.

    Raises:
        ValueError: no fit exists; the run is named.
    """
    _, entropy_N, accuracy_N = pairs_of(run, metrics)
    try:
        return fit(entropy_N, accuracy_N)
    except ValueError as error:
        raise ValueError(f"run {run.name!r}: {error}") from error


def law_metrics(runs: Sequence[Run]) -> LawMetrics:
    """R and H in the law of all these runs.

    Accuracy and entropy of the validation's samples where every run has them as often as
    ``val/accuracy``: ``val/entropy``, and the ``val/avg@k`` of the largest k. These are of more
    responses than a rollout has, and both of the same ones. Else :data:`GREEDY`.
    """
    common = set.intersection(*(set(run.history) for run in runs))
    found = {int(match[1]): match[0] for match in map(_SAMPLED.fullmatch, common) if match}
    for _, key in sorted(found.items(), reverse=True):
        counts = [[_count(run, name) for name in (ACCURACY, key, SAMPLED_ENTROPY)] for run in runs]
        if all(0 < greedy <= min(sampled) for greedy, *sampled in counts):
            return LawMetrics(key, SAMPLED_ENTROPY)
    return GREEDY


def _count(run: Run, key: str) -> int:
    return int(np.isfinite(run.history.get(key, np.nan)).sum())


def measure_law(runs: Sequence[Run], metrics: LawMetrics | None = None) -> Law:
    """Fits and coefficients of runs that differ in the seed alone.

    Args:
        runs: of one label, with the entropy (nats) and the accuracy (fraction).
        metrics: R and H; by default those of :func:`law_metrics`.

    Raises:
        ValueError: a missing key, a run without a fit, or two runs of one seed.
    """
    metrics = metrics or law_metrics(runs)
    by_seed(runs, lambda run: float(run.seed))  # refuses two of one seed
    fits = [fit_of(run, metrics) for run in runs]
    return Law(
        runs[0].label,
        metrics,
        [run.seed for run in runs],
        [points_of(run, metrics) for run in runs],
        estimate([law.r2 for law in fits]),
        estimate([law.rmse for law in fits]),
        [
            f"seed {run.seed}: {sentence}"
            for run in runs
            for sentence in caveats(*pairs_of(run, metrics))
        ],
        *(_coefficient(name, fits) for name in COEFFICIENTS),
    )


def _coefficient(name: str, fits: Sequence[LawFit]) -> Coefficient:
    value = estimate([float(getattr(law, name)) for law in fits])
    return Coefficient(value.values, value.mean, value.half_width)
