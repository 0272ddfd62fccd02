"""Numbers of runs that figures, tables and verdicts share: plateaus, means over seeds, pairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import FEWEST_SEEDS, curve, t_half_width
from lit_entropy.functional.rounding import all_the_same


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds."""

    values: list[float]  # one per seed, seeds in order
    mean: float  # of the values
    # half the width of the 95 % t interval of the mean; None for fewer than 3 seeds
    half_width: float | None

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the interval; NaN where there is none."""
        half = np.nan if self.half_width is None else self.half_width
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Paired(Estimate):
    """A mean difference over the ``seeds`` that two groups of runs share.

    ``p_value`` is that of the two-sided paired t test; None for fewer than 3 seeds or for
    differences that are all the same.
    """

    seeds: list[int]
    p_value: float | None


class MissingRunsError(ValueError):
    """A figure has no runs of a setting that it is about."""


def labelled(runs: Sequence[Run], *labels: str) -> dict[str, list[Run]]:
    """The runs of each of ``labels``.

    Raises:
        MissingRunsError: a label has no run.
    """
    groups = by_label(runs)
    if missing := [label for label in labels if label not in groups]:
        raise MissingRunsError(f"no run has label {missing} (labels: {list(groups)})")
    return {label: groups[label] for label in labels}


def by_x(group: Sequence[Run]) -> dict[float, list[Run]]:
    """Runs of one label by the number that was swept, ascending.

    Raises:
        ValueError: a run has none.
    """
    if unknown := [run.name for run in group if run.x is None]:
        raise ValueError(
            f"runs {unknown} (label {group[0].label!r}) have no x: give the coefficient, the "
            "fraction, or for sizes the number of parameters without embeddings"
        )
    found = sorted({float(run.x) for run in group if run.x is not None})
    return {x: [run for run in group if run.x == x] for x in found}


def smoothing_window(run: Run) -> int:
    """RL steps of a running mean: a tenth of the run's rows, odd and at least 3."""
    return max(3, (len(run.history["step"]) // 10) | 1)


def smoothed(run: Run, *keys: str) -> Run:
    """The run with a centred running mean of ``keys`` over :func:`smoothing_window` rows.

    At the start the window shrinks on both sides alike, so that a fast first change is not bent; at
    the end it is cut. Rows without a number stay so and count in no mean.

    Raises:
        ValueError: the run has no finite number of a key.
    """
    history = dict(run.history)
    for key in keys:
        curve(run, key)
        value_N = np.asarray(run.history[key], dtype=float)
        finite_N = np.isfinite(value_N)
        sums_N = np.concatenate([[0.0], np.cumsum(np.where(finite_N, value_N, 0.0))])
        counts_N = np.concatenate([[0], np.cumsum(finite_N)])
        row_M = np.flatnonzero(finite_N)
        half_M = np.minimum(smoothing_window(run) // 2, row_M - row_M[0])
        low_M, high_M = row_M - half_M, np.minimum(row_M + half_M + 1, len(value_N))
        history[key] = np.full(len(value_N), np.nan)
        history[key][row_M] = (sums_N[high_M] - sums_N[low_M]) / (
            counts_N[high_M] - counts_N[low_M]
        )
    return replace(run, history=history)


def first(run: Run, key: str) -> float:
    """The first finite ``key`` of a run."""
    return float(curve(run, key)[1][0])


def last(run: Run, key: str) -> float:
    """The last finite ``key`` of a run.

    Raises:
        ValueError: it was measured before training alone, or not in the second half.
    """
    return float(_trained(run, key)[1][-1])


def _trained(run: Run, key: str) -> tuple[np.ndarray, np.ndarray]:
    """The curve of a key, which must be measured in the second half of the run."""
    step_N, value_N = curve(run, key)
    if step_N[-1] == 0:
        raise ValueError(
            f"run {run.name} has {key} of RL step 0 alone, the base's: train longer, or lower "
            "trainer.check_val_every_n_epoch"
        )
    length = float(np.nanmax(run.history["step"]))
    if step_N[-1] < length / 2:
        raise ValueError(
            f"run {run.name} has {key} up to RL step {step_N[-1]:g} of {length:g} alone, which is "
            "no result of the run: leave it out, or train it again with this metric on throughout"
        )
    return step_N, value_N


def plateau_values(run: Run, key: str) -> np.ndarray:
    """Values of ``key`` in the last fifth: at RL steps above 0.8 times the last one that has it.

    Raises:
        ValueError: it was measured before training alone, or not in the second half.
    """
    step_N, value_N = _trained(run, key)
    return value_N[(5 * step_N > 4 * step_N[-1]) | (step_N == step_N[-1])]


def plateau(run: Run, key: str) -> float:
    """Mean of :func:`plateau_values`, in the unit of the metric."""
    return float(plateau_values(run, key).mean())


def middle(run: Run, key: str) -> float:
    """Mean of ``key`` within a tenth of the run around its middle, or at the row nearest to it."""
    step_N, value_N = curve(run, key)
    distance_N = np.abs(step_N - step_N[-1] / 2)
    near_N = (10 * distance_N <= step_N[-1]) | (distance_N == distance_N.min())
    return float(value_N[near_N].mean())


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of one value per seed, with its 95 % t interval from 3 seeds on.

    Raises:
        ValueError: no values.
    """
    if len(values) == 0:
        raise ValueError("no values to average: name at least one run")
    value_N = np.asarray(values, dtype=float)
    mean, half_width = float(value_N.mean()), float(t_half_width(value_N))
    if all_the_same(value_N):  # else rounding would count as spread
        mean, half_width = float(np.median(value_N)), 0 * half_width
    finite = half_width if np.isfinite(half_width) else None
    return Estimate([float(value) for value in values], mean, finite)


def over_seeds(runs: Sequence[Run], value: Callable[[Run], float]) -> Estimate:
    """:func:`estimate` of ``value(run)``."""
    return estimate([value(run) for run in runs])


def by_seed(runs: Sequence[Run], value: Callable[[Run], float]) -> dict[int, float]:
    """``value(run)`` by seed.

    Raises:
        ValueError: two runs have one seed.
    """
    names: dict[int, str] = {}
    for run in runs:
        if run.seed in names:
            raise ValueError(
                f"runs {names[run.seed]!r} and {run.name!r} (label {run.label!r}) both have seed "
                f"{run.seed}: leave one out"
            )
        names[run.seed] = run.name
    return {run.seed: value(run) for run in runs}


def paired(values: Mapping[int, float], base: Mapping[int, float]) -> Paired | None:
    """Differences ``values - base`` over the seeds that both have; None where they share none."""
    seeds = sorted(values.keys() & base.keys())
    if not seeds:
        return None
    left, right = ([side[seed] for seed in seeds] for side in (values, base))
    differences = [
        0.0 if all_the_same([value, other]) else value - other
        for value, other in zip(left, right, strict=True)
    ]
    p_value = None
    # there is no p-value without spread
    if len(seeds) >= FEWEST_SEEDS and not all_the_same(differences):
        p_value = float(scipy.stats.ttest_rel(left, right).pvalue)
    mean = estimate(differences)
    return Paired(mean.values, mean.mean, mean.half_width, seeds, p_value)


def paired_ratio(values: Mapping[int, float], base: Mapping[int, float]) -> Estimate | None:
    """Ratios ``values / base`` over the seeds that both have.

    None where they share no seed, or a base is 0.
    """
    seeds = sorted(values.keys() & base.keys())
    if not seeds or not all(base[seed] for seed in seeds):
        return None
    return estimate([values[seed] / base[seed] for seed in seeds])


def error_bar(estimates: Sequence[Estimate]) -> np.ndarray:
    """Half widths for ``errorbar``; NaN, which draws nothing, for fewer than 3 seeds."""
    return np.array([np.nan if e.half_width is None else e.half_width for e in estimates])
