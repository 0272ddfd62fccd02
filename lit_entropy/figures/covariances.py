"""The fall of entropy and the covariance of one run, smoothed alike for every figure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy

from lit_entropy.figures.estimates import smoothed, smoothing_window
from lit_entropy.figures.outcomes import ENTROPY
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import curve

FALL = "minus_delta"
COVARIANCE = "dynamics/bandit_covariance"
#: Bins of group accuracy and how they are named in the figure.
BINS = {"low": r"$\leq$ 1/3", "middle": r"$\leq$ 2/3", "high": "< 1"}


def of_bin(name: str) -> str:
    """Key of the covariance in a bin of group accuracy."""
    return f"{COVARIANCE}/{name}"


def slope_window(run: Run) -> int:
    """RL steps of a slope: a slope is noisier than a mean and takes twice the window, plus one."""
    return 2 * smoothing_window(run) + 1


def with_fall(run: Run) -> Run:
    """The run with ``minus_delta``, the fall of entropy in nats an RL step.

    It is minus the slope of the straight line fitted to ``entropy/token_mean`` in a window of
    :func:`slope_window` RL steps around each (Savitzky-Golay of order 1); at both ends, where no
    whole window fits, that of the outermost line (:func:`measured_fall` leaves these out).

    Raises:
        ValueError: no entropy, an RL step without one, or fewer steps than the window.
    """
    step_N, entropy_N = curve(run, ENTROPY)
    window = slope_window(run)
    has = (f"run {run.name!r} has '{ENTROPY}' at {len(step_N)} RL steps, {step_N[0]:g} to "
           f"{step_N[-1]:g}")  # fmt: skip
    if not (np.diff(step_N) == 1).all():
        raise ValueError(f"{has}, with gaps, and a slope needs every one: log it at every RL step")
    if len(step_N) < window:
        raise ValueError(f"{has}, and a slope takes {window}: train for {window} RL steps or more")
    fall_N = np.full(len(run.history["step"]), np.nan)
    slope_N = scipy.signal.savgol_filter(entropy_N, window, 1, deriv=1)
    fall_N[np.isfinite(run.history[ENTROPY])] = -slope_N
    return replace(run, history={**run.history, FALL: fall_N})


def measured_fall(run: Run) -> Run:
    """The run of :func:`with_fall` with ``minus_delta`` only where a whole window fits."""
    fall_N = run.history[FALL].copy()
    half, row_M = slope_window(run) // 2, np.flatnonzero(np.isfinite(fall_N))
    fall_N[row_M[:half]] = fall_N[row_M[-half:]] = np.nan
    return replace(run, history={**run.history, FALL: fall_N})


def prepared(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Runs with ``minus_delta``, and the same with smoothed covariances."""
    group = [with_fall(run) for run in runs]
    keys = [COVARIANCE, *map(of_bin, BINS)]
    return group, [smoothed(run, *keys) for run in group]


def bin_means(run: Run) -> dict[str, float]:
    """Mean covariance of each bin over the RL steps that have all of them.

    Raises:
        ValueError: there is no such step.
    """
    for name in BINS:
        curve(run, of_bin(name))
    values = np.array([run.history[of_bin(name)] for name in BINS])
    all_bins_N = np.isfinite(values).all(axis=0)
    if not all_bins_N.any():
        raise ValueError(
            f"run {run.name!r} has no RL step with all of {of_bin('{')}{', '.join(BINS)}}}"
        )
    return dict(zip(BINS, values[:, all_bins_N].mean(axis=1).tolist(), strict=True))


def first_fifth(run: Run, key: str) -> float:
    """Mean of ``key`` up to 0.2 times the last RL step that has it."""
    step_N, value_N = curve(run, key)
    return float(value_N[(5 * step_N <= step_N[-1]) | (step_N == step_N[0])].mean())


def correlation(run: Run) -> float | None:
    """Pearson correlation of the fall and the covariance over RL steps; None if one is constant."""
    both_N = np.isfinite(run.history[FALL]) & np.isfinite(run.history[COVARIANCE])
    fall_N, value_N = run.history[FALL][both_N], run.history[COVARIANCE][both_N]
    # a running mean of equal numbers differs in the last bits
    if any(np.ptp(side_N) <= 1e-9 * np.abs(side_N).max() for side_N in (fall_N, value_N)):
        return None
    return float(np.corrcoef(fall_N, value_N)[0, 1])
