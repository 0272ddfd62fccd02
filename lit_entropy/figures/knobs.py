"""How the level of entropy follows the knob of a method."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from lit_entropy.figures.estimates import (
    Estimate,
    by_seed,
    by_x,
    estimate,
    labelled,
    over_seeds,
    plateau_values,
)
from lit_entropy.figures.outcomes import ENTROPY, accuracy_plateau, entropy_plateau
from lit_entropy.figures.runs import Run

STEERED = ("Clip-Cov", "KL-Cov")
#: Significant digits in which values of a knob differ: beyond them lies the rounding of a quotient.
DIGITS = 9


@dataclass(frozen=True)
class Knob:
    """Lists over the values of a knob."""

    knob: list[float]  # multiple of the smallest fraction, or beta; ascending
    seeds: list[list[int]]
    # means of the last fifth, nats and fraction
    entropy: list[Estimate]
    accuracy: list[Estimate]
    # standard deviation of the entropy about its straight line in the last fifth, divided by its
    # mean; None below three RL steps
    unsteadiness: list[Estimate | None]
    # of knob and entropy (Spearman), over the seeds that have every value of the knob; None
    # without such a seed, and where the entropies of one are all equal
    rank_correlation: Estimate | None
    # mean unsteadiness over the values of the knob, by seed that has them all
    unsteadiness_of: dict[int, float]


def by_knob(runs: Sequence[Run], label: str) -> dict[float, list[Run]]:
    """The runs of a method by its knob, ascending.

    Clip-Cov's fractions become multiples of the smallest, so that ``x`` may be either; KL-Cov's
    ``x`` is beta. Values that agree in :data:`DIGITS` significant digits are one.

    Raises:
        ValueError: no run of the label, one without ``x``, a Clip-Cov fraction that is not
            positive, or fewer than two values of the knob.
    """
    groups = by_x(labelled(runs, label)[label])
    smallest = min(groups)
    if label == "Clip-Cov" and smallest <= 0:
        raise ValueError(
            f"a run labelled {label!r} has x = {smallest}: its fraction must be positive"
        )
    unit = smallest if label == "Clip-Cov" else 1.0
    found: dict[float, list[Run]] = {}
    for x, group in groups.items():
        found.setdefault(float(f"{x / unit:.{DIGITS}g}"), []).extend(group)
    if len(found) < 2:
        raise ValueError(f"all runs labelled {label!r} have x = {smallest}: add other values")
    return found


def measure_12(runs: Sequence[Run]) -> dict[str, Knob]:
    """How the level of entropy follows the knob of Clip-Cov and of KL-Cov, by method.

    Raises:
        ValueError: as :func:`by_knob`, or a run lacks ``entropy/token_mean`` or ``val/accuracy``.
    """
    return {label: _measure(by_knob(runs, label)) for label in STEERED}


def _measure(groups: dict[float, list[Run]]) -> Knob:
    unsteady = _by_common_seed(groups, unsteadiness)
    return Knob(
        list(groups),
        [[run.seed for run in group] for group in groups.values()],
        [over_seeds(group, entropy_plateau) for group in groups.values()],
        [over_seeds(group, accuracy_plateau) for group in groups.values()],
        [_unsteadiness(group) for group in groups.values()],
        _rank_correlation(list(groups), _by_common_seed(groups, entropy_plateau)),
        {seed: float(np.mean(each)) for seed, each in unsteady.items() if np.isfinite(each).all()},
    )


def _by_common_seed(
    groups: Mapping[float, Sequence[Run]], value: Callable[[Run], float]
) -> dict[int, list[float]]:
    """``value`` at every value of the knob, by seed that has them all."""
    found = [by_seed(group, value) for group in groups.values()]
    common = sorted(set.intersection(*(set(each) for each in found)))
    return {seed: [each[seed] for each in found] for seed in common}


def _rank_correlation(knob: list[float], levels: Mapping[int, list[float]]) -> Estimate | None:
    if not levels or any(len(set(level)) < 2 for level in levels.values()):
        return None
    ranks = [float(scipy.stats.spearmanr(knob, level)[0]) for level in levels.values()]
    return estimate(ranks)


def _unsteadiness(group: Sequence[Run]) -> Estimate | None:
    values = [unsteadiness(run) for run in group]
    return estimate(values) if np.isfinite(values).all() else None


def unsteadiness(run: Run) -> float:
    """Deviation of the last fifth's entropy from its own straight line, relative to its mean.

    NaN below three RL steps: two always lie on a line.
    """
    value_N = plateau_values(run, ENTROPY)
    if len(value_N) < 3:
        return float("nan")
    row_N = np.arange(len(value_N))
    residual_N = value_N - np.polyval(np.polyfit(row_N, value_N, 1), row_N)
    return float(residual_N.std() / value_N.mean())
