"""How the law's coefficients grow with the size of the model (arXiv 2505.22617, Fig. 7)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lit_entropy.functional.law import Array, line
from lit_entropy.functional.rounding import all_the_same


class LogLinear(NamedTuple):
    """coefficient = intercept + slope ln(parameters).

    Attributes:
        slope: change of the coefficient for e times the parameters.
        intercept: coefficient at one parameter.
        r2: squared correlation with ln(parameters); NaN for a constant coefficient.
        n: number of models.
    """

    slope: float
    intercept: float
    r2: float
    n: int

    def predict(self, parameters_N: ArrayLike) -> Array:
        """Coefficients float64 [N] of models with that many parameters."""
        parameters_N = np.asarray(parameters_N, dtype=np.float64)
        return self.intercept + self.slope * np.log(parameters_N)


class Extrapolation(NamedTuple):
    """The coefficient of the largest model, from the smaller ones.

    Attributes:
        predicted: by the fit to the smaller models.
        measured: of the largest model.
        error: predicted - measured.
        fit: the fit to the smaller models.
    """

    predicted: float
    measured: float
    error: float
    fit: LogLinear


def log_linear(parameters_N: ArrayLike, coefficients_N: ArrayLike) -> LogLinear:
    """Least squares of a coefficient on the logarithm of the model's size.

    Args:
        parameters_N: parameters without embeddings, positive, of two sizes or more.
        coefficients_N: a, b or the ceiling of each model; several runs of one size may stand.

    Raises:
        ValueError: unequal lengths, a number out of range, or fewer than two sizes.
    """
    parameters_N, coefficients_N = _checked(parameters_N, coefficients_N, sizes=2)
    intercept, slope = line(np.log(parameters_N), coefficients_N)
    constant = all_the_same(coefficients_N)
    r2 = np.nan if constant else np.corrcoef(np.log(parameters_N), coefficients_N)[0, 1] ** 2
    return LogLinear(slope, intercept, float(r2), len(parameters_N))


def extrapolate(parameters_N: ArrayLike, coefficients_N: ArrayLike) -> Extrapolation:
    """Fit all models but the largest and predict that one (the mean over its runs).

    Args:
        parameters_N: as in :func:`log_linear`, of three sizes or more.
        coefficients_N: as in :func:`log_linear`.

    Raises:
        ValueError: as :func:`log_linear`, or fewer than three sizes.
    """
    parameters_N, coefficients_N = _checked(parameters_N, coefficients_N, sizes=3)
    largest = parameters_N.max()
    smaller_N = parameters_N < largest
    fit = log_linear(parameters_N[smaller_N], coefficients_N[smaller_N])
    predicted = float(fit.predict(largest))
    measured = float(coefficients_N[~smaller_N].mean())
    return Extrapolation(predicted, measured, predicted - measured, fit)


def _checked(parameters_N: ArrayLike, coefficients_N: ArrayLike, sizes: int) -> tuple[Array, Array]:
    parameters_N = np.asarray(parameters_N, dtype=np.float64)
    coefficients_N = np.asarray(coefficients_N, dtype=np.float64)
    if parameters_N.ndim != 1 or parameters_N.shape != coefficients_N.shape:
        raise ValueError(
            f"parameters_N {parameters_N.shape} and coefficients_N {coefficients_N.shape} must be "
            "two vectors of one length"
        )
    if not (np.isfinite(parameters_N).all() and (parameters_N > 0).all()):
        raise ValueError(f"parameters_N={parameters_N.tolist()} must be positive numbers")
    if not np.isfinite(coefficients_N).all():
        raise ValueError(f"coefficients_N={coefficients_N.tolist()} must be finite")
    found = np.unique(parameters_N)
    if len(found) < sizes:
        known = ", ".join(f"{size:,.0f}" for size in found)
        raise ValueError(f"parameters_N of {known} are fewer than {sizes} sizes: add models")
    return parameters_N, coefficients_N
