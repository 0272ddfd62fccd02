"""Means over seeds, drawn alike everywhere: seeds thin, their mean thick, its interval a band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lit_entropy.figures.marks import BAND, SEED_LINE
from lit_entropy.figures.runs import Run
from lit_entropy.functional.quantiles import t_quantile

#: Seeds below which nothing has an interval: the t interval of two is 13 standard errors wide each
#: way.
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class SeedMean:
    """Mean over seeds at the RL steps that all seeds have."""

    step_N: np.ndarray
    mean_N: np.ndarray  # in the unit of the metric
    # half the width of the 95 % t interval of the mean; NaN for fewer than 3 seeds
    half_width_N: np.ndarray
    seeds: int


def curve(run: Run, key: str) -> tuple[np.ndarray, np.ndarray]:
    """RL steps and values where a run has a finite ``key``.

    Raises:
        ValueError: the run has no such number.
    """
    for name in ("step", key):
        if name not in run.history or not np.isfinite(run.history[name]).any():
            raise ValueError(
                f"run {run.name!r} (label {run.label!r}) has no finite '{name}': "
                "log it, or leave the run out"
            )
    finite = np.isfinite(run.history[key])
    return run.history["step"][finite], run.history[key][finite]


def course(run: Run, key: str) -> tuple[np.ndarray, np.ndarray]:
    """RL steps and values of ``key`` of a run that shows how it changed.

    Raises:
        ValueError: the run has it once or never.
    """
    step_N, value_N = curve(run, key)
    if len(step_N) < 2:
        often = ", or lower trainer.check_val_every_n_epoch" if key.startswith("val/") else ""
        raise ValueError(
            f"run {run.name!r} has '{key}' at RL step {step_N[0]:g} alone, and a change takes two: "
            f"train longer{often}"
        )
    return step_N, value_N


def seed_mean(runs: Sequence[Run], key: str) -> SeedMean:
    """Mean and 95 % t interval of ``key`` over seeds.

    Raises:
        ValueError: no runs, a run without ``key``, or no RL step that all runs have.
    """
    if not runs:
        raise ValueError(f"no runs to average '{key}' over: name at least one")
    curves = [curve(run, key) for run in runs]
    step_N = curves[0][0]
    for step, _ in curves[1:]:
        step_N = np.intersect1d(step_N, step)
    if step_N.size == 0:
        names = [run.name for run in runs]
        raise ValueError(f"runs {names} share no RL step with '{key}': give them one cadence")
    values_SN = np.array([value[np.isin(step, step_N)] for step, value in curves])
    return SeedMean(step_N, values_SN.mean(axis=0), t_half_width(values_SN), len(runs))


def t_half_width(values_SN: np.ndarray) -> np.ndarray:
    """Half the width of the 95 % t interval of the mean over the first axis.

    NaN for fewer than 3 seeds: the interval would say more of t than of the runs.
    """
    seeds = values_SN.shape[0]
    if seeds < FEWEST_SEEDS:
        return np.full(values_SN.shape[1:], np.nan)
    error_N = values_SN.std(axis=0, ddof=1) / np.sqrt(seeds)
    return error_N * t_quantile(0.975, seeds - 1)


def seed_lines(axes: Axes, runs: Sequence[Run], key: str, colour: str, label: str) -> SeedMean:
    """Draw ``key`` against the RL step: seeds thin, their mean thick, its 95 % t interval a band.

    Fewer than 3 seeds have no band, and the label says how many there are.

    Returns:
        The mean that was drawn.

    Raises:
        ValueError: as :func:`seed_mean`.
    """
    mean = seed_mean(runs, key)
    draw_seeds(axes, [curve(run, key) for run in runs], colour)
    draw_mean(axes, mean.step_N, mean.mean_N, mean.half_width_N, colour)
    axes.lines[-1].set_label(f"{label}{seeds_note(mean.seeds)}")
    return mean


def draw_seeds(axes: Axes, curves: Sequence[tuple[np.ndarray, np.ndarray]], colour: str) -> None:
    """One thin line per seed; nothing for a single one, which is the mean."""
    for x_N, y_N in curves if len(curves) > 1 else []:
        axes.plot(x_N, y_N, color=colour, linewidth=0.5, alpha=0.5, gid=SEED_LINE, **_seen(x_N))


def draw_mean(
    axes: Axes, x_N: np.ndarray, mean_N: np.ndarray, half_width_N: np.ndarray, colour: str
) -> None:
    """A thick line and, where it has an interval, a band."""
    if np.isfinite(half_width_N).any():
        axes.fill_between(
            x_N, mean_N - half_width_N, mean_N + half_width_N, color=colour, alpha=0.15,
            linewidth=0, gid=BAND,
        )  # fmt: skip
    axes.plot(x_N, mean_N, color=colour, linewidth=1.5, **_seen(x_N))


def _seen(x_N: np.ndarray) -> dict[str, Any]:
    """A line of one point is not seen: it has a dot."""
    return {"marker": "o", "markersize": 3} if len(x_N) == 1 else {}


def seeds_note(seeds: int) -> str:
    """What a label adds where there are too few seeds for an interval: ``(2 seeds)``."""
    return "" if seeds >= FEWEST_SEEDS else f" ({seeds} seed{'s' if seeds > 1 else ''})"
