"""How well predicted changes agree with realised ones, over N steps.

Each function takes float tensors or arrays [N] and returns None where the number is not defined.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lit_entropy.functional.rounding import ROUNDING

if TYPE_CHECKING:  # figures need no torch
    from torch import Tensor

    Vector = Tensor | np.ndarray


def slope_through_origin(predicted_N: "Vector", realised_N: "Vector") -> float | None:
    """Least-squares slope of realised on predicted without intercept: sum xy / sum xx.

    With predictions made at unit step size this is the effective step size. None when every
    prediction is 0.
    """
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    square = float((predicted_N**2).sum())
    return float((predicted_N * realised_N).sum()) / square if square > 0 else None


def correlation(predicted_N: "Vector", realised_N: "Vector") -> float | None:
    """Pearson correlation; None below three pairs (two always give 1 or -1) or without spread."""
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    # compared, not subtracted: the rounded mean of equal numbers may differ from them
    if len(predicted_N) < 3 or _constant(predicted_N) or _constant(realised_N):
        return None
    # scaled first, so that squares of small changes do not underflow
    x_N, y_N = (_unit(value_N - value_N.mean()) for value_N in (predicted_N, realised_N))
    return max(-1.0, min(float((x_N * y_N).sum()), 1.0))


def squared_correlation(predicted_N: "Vector", realised_N: "Vector") -> float | None:
    """Squared Pearson correlation: share of the variance that the best line explains.

    It knows neither sign nor size of the prediction: 1 also where what was realised is minus ten
    times what was predicted (:func:`opposed`).
    """
    found = correlation(predicted_N, realised_N)
    return None if found is None else found**2


def opposed(predicted_N: "Vector", realised_N: "Vector") -> bool:
    """Whether the realised changes run against the predicted ones, whatever R² says.

    So it is where the correlation or the slope through the origin is below 0.
    """
    found = correlation(predicted_N, realised_N), slope_through_origin(predicted_N, realised_N)
    return any(value is not None and value < 0 for value in found)


def sign_agreement(predicted_N: "Vector", realised_N: "Vector") -> float | None:
    """Share of pairs with the same sign (0 agrees with 0 only), in [0, 1]; None without pairs."""
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    if len(predicted_N) == 0:
        return None
    same_N = _sign(predicted_N) == _sign(realised_N)
    return float(same_N.sum()) / len(same_N)


def relative_error(predicted_N: "Vector", realised_N: "Vector") -> float | None:
    """||predicted - realised|| / ||realised|| (Euclidean); None where nothing was realised."""
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    scale = _size(realised_N) if len(realised_N) else 0.0
    if scale == 0:
        return None
    # scaled first, so that squares of small changes do not underflow
    difference_N = (predicted_N - realised_N) / scale
    return float(_norm(difference_N) / _norm(realised_N / scale))


def _pairs(predicted_N: "Vector", realised_N: "Vector") -> tuple[Any, Any]:
    if predicted_N.ndim != 1 or predicted_N.shape != realised_N.shape:
        raise ValueError(
            f"predicted_N {tuple(predicted_N.shape)} and realised_N {tuple(realised_N.shape)} "
            "must be two vectors of one length"
        )
    return _double(predicted_N), _double(realised_N)


def _double(value_N: "Vector") -> Any:
    return value_N.astype(np.float64) if isinstance(value_N, np.ndarray) else value_N.double()


def _sign(value_N: Any) -> Any:
    return np.sign(value_N) if isinstance(value_N, np.ndarray) else value_N.sign()


def _size(value_N: Any) -> float:
    return float(abs(value_N).max())


def _norm(value_N: Any) -> Any:
    return np.linalg.norm(value_N) if isinstance(value_N, np.ndarray) else value_N.norm()


def _constant(value_N: Any) -> bool:
    return bool(abs(value_N - value_N[0]).max() <= ROUNDING * _size(value_N))


def _unit(value_N: Any) -> Any:
    scaled_N = value_N / _size(value_N)
    return scaled_N / _norm(scaled_N)
