"""The law of entropy and accuracy, R = -a exp(H) + b (arXiv 2505.22617, eq. 6), fitted to N pairs.

R is an accuracy (fraction), H an entropy in nats; a and b are fractions too, and the ceiling b - a
is the accuracy that the fit gives a policy whose entropy is spent (H = 0).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lit_entropy.functional.rounding import all_the_same

Array = NDArray[np.float64]

#: Fewest pairs of a fit: two coefficients leave no residual with fewer.
MINIMUM = 3


class Pairs(NamedTuple):
    """Pairs of entropy and accuracy in the order of RL steps, float64 [N] each.

    Attributes:
        step_N: RL step whose row holds the accuracy.
        entropy_N: entropy of the paired policy, nats.
        accuracy_N: its accuracy, fraction.
    """

    step_N: Array
    entropy_N: Array
    accuracy_N: Array


class LawFit(NamedTuple):
    """A least-squares fit of R = -a exp(H) + b.

    Attributes:
        a: price of entropy; positive where accuracy rises as entropy falls.
        b: accuracy extrapolated to exp(H) = 0, which no policy reaches.
        ceiling: b - a, the accuracy at H = 0.
        r2: share of the variance of R that is explained; NaN where R is constant.
        rmse: root of the mean squared residual over the N pairs, in units of R.
        n: number of pairs.
    """

    a: float
    b: float
    ceiling: float
    r2: float
    rmse: float
    n: int

    def predict(self, entropy_N: ArrayLike) -> Array:
        """Accuracy float64 [N] at entropies [N] in nats."""
        # around the ceiling: exact at H = 0, and no cancellation of b with a
        return self.ceiling - self.a * np.expm1(np.asarray(entropy_N, dtype=np.float64))


def pairs(
    history: Mapping[str, np.ndarray],
    accuracy: str = "val/accuracy",
    entropy: str = "entropy/token_mean",
    offset: int = 1,
    step: str = "step",
) -> Pairs:
    """Entropies and accuracies of the same policies.

    Rollout metrics of RL step k describe the policy before the updates of the step, ``val/``
    metrics the policy after them, so the validation of step k goes with the rollout of step
    k + 1: ``offset=1``. Two metrics of one kind belong together in one row: ``offset=0``, as for
    ``rollout/accuracy`` with ``entropy/token_mean``, or ``val/avg@8`` with ``val/entropy``.

    Args:
        history: columns of a metrics table [rows], NaN where a row has no such metric.
        accuracy: key of R.
        entropy: key of H.
        offset: RL steps from the row of R to the row of H.
        step: key of the RL step.

    Returns:
        The pairs of which both values exist; a validation without a following rollout has none.

    Raises:
        ValueError: a column is missing, or an RL step has two rows.
    """
    if missing := [key for key in (step, accuracy, entropy) if key not in history]:
        raise ValueError(f"history has no column {missing}: its columns are {sorted(history)}")
    steps = np.asarray(history[step], dtype=np.float64)
    if len(np.unique(steps)) < len(steps):
        raise ValueError(f"column {step!r} repeats an RL step: merge the rows of one step")
    entropy_of = dict(zip(steps.tolist(), np.asarray(history[entropy]).tolist(), strict=True))
    rows = [
        (at, entropy_of.get(at + offset, np.nan), value)
        for at, value in sorted(zip(steps.tolist(), np.asarray(history[accuracy]), strict=True))
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Pairs(*table[~np.isnan(table).any(1)].T)


def fit(entropy_N: ArrayLike, accuracy_N: ArrayLike) -> LawFit:
    """Least squares of R on exp(H) (eq. 6); the order of the pairs does not matter.

    Args:
        entropy_N: entropies, nats.
        accuracy_N: accuracies, fractions.

    Raises:
        ValueError: fewer than 3 pairs, unequal lengths, a number that is not finite, or entropies
            that are all equal.
    """
    entropy_N, accuracy_N = checked(entropy_N, accuracy_N)
    if all_the_same(accuracy_N):  # else rounding would have a slope
        level = float(np.median(accuracy_N))
        return LawFit(0.0, level, level, float("nan"), 0.0, len(accuracy_N))
    # the ceiling is the intercept of R on exp(H) - 1, which expm1 gives without cancellation
    ceiling, slope = line(np.expm1(entropy_N), accuracy_N)
    residual_N = accuracy_N - ceiling - slope * np.expm1(entropy_N)
    total = float(np.square(accuracy_N - accuracy_N.mean()).sum())
    squares = float(np.square(residual_N).sum())
    r2 = 1 - squares / total if total > 0 else float("nan")  # squares of tiny numbers may be 0
    rmse = float(np.sqrt(squares / len(residual_N)))
    # + 0.0 turns the -0.0 of a constant R into 0.0
    return LawFit(-slope + 0.0, ceiling - slope, ceiling, r2, rmse, len(residual_N))


def line(x_N: Array, y_N: Array) -> tuple[float, float]:
    """Intercept and slope of the least-squares line; the x must not all be equal."""
    x_mean, y_mean = x_N.mean(), y_N.mean()
    centred_N = x_N - x_mean
    slope = float(centred_N @ (y_N - y_mean) / (centred_N @ centred_N))
    return float(y_mean - slope * x_mean), slope


def checked(entropy_N: ArrayLike, accuracy_N: ArrayLike) -> tuple[Array, Array]:
    """Both as float64 vectors that a fit exists for, else a ValueError (see :func:`fit`)."""
    entropy_N = np.asarray(entropy_N, dtype=np.float64)
    accuracy_N = np.asarray(accuracy_N, dtype=np.float64)
    if entropy_N.ndim != 1 or entropy_N.shape != accuracy_N.shape:
        raise ValueError(
            f"entropy_N {entropy_N.shape} and accuracy_N {accuracy_N.shape} must be two vectors of "
            "one length"
        )
    if len(entropy_N) < MINIMUM:
        raise ValueError(
            f"the law needs at least {MINIMUM} pairs of entropy and accuracy, got "
            f"{len(entropy_N)}: validate more often (trainer.check_val_every_n_epoch), or train on"
        )
    if not (np.isfinite(entropy_N).all() and np.isfinite(accuracy_N).all()):
        raise ValueError("entropy_N or accuracy_N holds NaN or infinity: pair them with pairs()")
    if not has_spread(entropy_N):
        raise ValueError(
            f"all {len(entropy_N)} entropies are {entropy_N[0]:.6g} nats: the law needs entropies "
            "that differ"
        )
    return entropy_N, accuracy_N


def has_spread(entropy_N: ArrayLike) -> bool:
    """Whether exp(H) differs between the pairs by more than rounding."""
    return not all_the_same(np.expm1(np.asarray(entropy_N, dtype=np.float64)))
