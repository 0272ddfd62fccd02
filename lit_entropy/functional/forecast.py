"""Forecasts from the first part of a run: the law and three rivals (arXiv 2505.22617, Fig. 5)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from lit_entropy.functional.law import MINIMUM, Array, LawFit, checked, fit, has_spread, line

#: Half a sum of squared residuals, in squared accuracies, below which fits are equally good: what
#: is less is rounding, which differs between machines.
SAME_COST = 1e-10


class Prediction(NamedTuple):
    """What one method says of the rest of a run.

    Attributes:
        accuracy_N: predicted accuracies at the points of the rest.
        rmse: root mean squared error over the rest, in units of R.
        final_error: absolute error at the last point.
    """

    accuracy_N: Array
    rmse: float
    final_error: float


class Forecast(NamedTuple):
    """Forecasts of a run from its first points.

    Attributes:
        fitted: number of first points that every method saw.
        law: the law's fit to them; ``law.ceiling`` is a forecast that needs no later entropy.
        methods: ``law`` and ``linear in H``, which read the measured entropies of the rest, and
            ``last value`` and ``sigmoid in steps``, which read nothing of it.
    """

    fitted: int
    law: LawFit
    methods: dict[str, Prediction]


class Window(NamedTuple):
    """The law fitted to the first share of a run; ``rmse_rest`` is NaN where there is no rest."""

    share: float
    fit: LawFit
    rmse_rest: float


def forecast(
    step_N: ArrayLike, entropy_N: ArrayLike, accuracy_N: ArrayLike, share: float = 0.15
) -> Forecast:
    """Fit the first share of the points and predict the others.

    Args:
        step_N: RL steps, increasing.
        entropy_N: entropies, nats.
        accuracy_N: accuracies, fractions.
        share: share of the points that is fitted, rounded up, at least 3 points; the paper's 15 %.

    Raises:
        ValueError: fewer than 4 points, steps that do not increase, a share outside (0, 1), or
            first points without a fit (see ``law.fit``).
    """
    step_N = np.asarray(step_N, dtype=np.float64)
    entropy_N, accuracy_N = checked(entropy_N, accuracy_N)
    if step_N.shape != entropy_N.shape or not (np.diff(step_N) > 0).all():
        raise ValueError("step_N must be as long as entropy_N and increase: sort the points by it")
    if not 0 < share < 1:
        raise ValueError(f"share={share} must lie between 0 and 1: 0.15 is the paper's")
    count = first_points(len(step_N), share)
    if count >= len(step_N):
        raise ValueError(
            f"a forecast of {share:.0%} needs points after the first {count}, got {len(step_N)}"
        )
    first, rest = slice(count), slice(count, None)
    law = fit(entropy_N[first], accuracy_N[first])
    intercept, slope = line(entropy_N[first], accuracy_N[first])
    predicted = {
        "law": law.predict(entropy_N[rest]),
        "last value": np.full(len(step_N) - count, accuracy_N[count - 1]),
        "linear in H": intercept + slope * entropy_N[rest],
        "sigmoid in steps": sigmoid(step_N[first], accuracy_N[first], step_N[rest]),
    }
    methods = {name: _score(value_N, accuracy_N[rest]) for name, value_N in predicted.items()}
    return Forecast(count, law, methods)


def first_points(count: int, share: float) -> int:
    """Number of points in the first share of ``count``: rounded up, at least 3."""
    # rounded first: 0.15 * 20 is a little more than 3
    return max(MINIMUM, int(np.ceil(round(share * count, 9))))


def sigmoid(step_N: Array, accuracy_N: Array, at_M: Array) -> Array:
    """Accuracies [M] at RL steps by a saturating sigmoid in steps t (arXiv 2510.13786).

    R(t) = R_0 + (A - R_0) / (1 + (t_half / t)^B), t counted from the first point; R_0, A, t_half
    and B by bounded least squares, the best of a fixed grid of starts, of equally good ones the
    first. Three points do not determine four numbers: every start fits them, and the solution is
    the one near the first.
    """
    low, high = min(0.0, accuracy_N.min()), max(1.0, accuracy_N.max())
    time_N, span = step_N - step_N[0], step_N[-1] - step_N[0]
    margin = 1e-9 * (high - low)  # the solver wants starts inside the bounds
    bounds = ([low, low, np.log(span) - 5, 0.2], [high, high, np.log(span) + 5, 5.0])
    solutions = [
        scipy.optimize.least_squares(lambda p: _curve(p, time_N) - accuracy_N, start, bounds=bounds)
        for start in (
            (*np.clip(accuracy_N[[0, -1]], low + margin, high - margin), np.log(span * part), 1.0)
            for part in (0.1, 0.5, 1.0, 3.0)
        )
    ]
    lowest = min(solution.cost for solution in solutions)
    best = next(each for each in solutions if each.cost <= lowest + SAME_COST)
    return _curve(best.x, at_M - step_N[0])


def window_sensitivity(
    entropy_N: ArrayLike,
    accuracy_N: ArrayLike,
    shares: Sequence[float] = (0.15, 0.25, 0.5, 0.75, 1.0),
) -> list[Window]:
    """How the fit depends on how much of the run it saw; pairs in the order of RL steps.

    Shares that come to the same number of points are given once; a share whose entropies are all
    equal is left out.

    Raises:
        ValueError: no fit to the whole exists (see ``law.fit``).
    """
    entropy_N, accuracy_N = checked(entropy_N, accuracy_N)
    windows: dict[int, Window] = {}
    for share in shares:
        count = first_points(len(entropy_N), share)
        if count in windows or not has_spread(entropy_N[:count]):
            continue
        law = fit(entropy_N[:count], accuracy_N[:count])
        error_N = law.predict(entropy_N[count:]) - accuracy_N[count:]
        rest = float(np.sqrt(np.square(error_N).mean())) if len(error_N) else float("nan")
        windows[count] = Window(share, law, rest)
    return list(windows.values())


def _curve(parameters: ArrayLike, time_N: Array) -> Array:
    start, asymptote, log_half, power = np.asarray(parameters)
    # (t_half / t)^B as an exponential: t = 0 gives infinity and so R_0
    with np.errstate(divide="ignore", over="ignore"):
        ratio_N = np.exp(power * (log_half - np.log(time_N)))
    return start + (asymptote - start) / (1 + ratio_N)


def _score(predicted_N: Array, accuracy_N: Array) -> Prediction:
    error_N = predicted_N - accuracy_N
    rmse = float(np.sqrt(np.square(error_N).mean()))
    return Prediction(predicted_N, rmse, float(abs(error_N[-1])))
