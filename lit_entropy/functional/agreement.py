"""How well predicted changes agree with realised ones, over N steps.

Each function takes float tensors [N] and returns None where the number is not defined.
"""

from torch import Tensor


def slope_through_origin(predicted_N: Tensor, realised_N: Tensor) -> float | None:
    """Least-squares slope of realised on predicted without intercept: sum xy / sum xx.

    With predictions made at unit step size this is the effective step size. None when every
    prediction is 0.
    """
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    square = float(predicted_N.square().sum())
    return float((predicted_N * realised_N).sum()) / square if square > 0 else None


def squared_correlation(predicted_N: Tensor, realised_N: Tensor) -> float | None:
    """Squared Pearson correlation; None below three pairs (two always give 1) or without spread."""
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    # compared, not subtracted: the rounded mean of equal numbers may differ from them
    if len(predicted_N) < 3 or _constant(predicted_N) or _constant(realised_N):
        return None
    # scaled first, so that squares of small changes do not underflow
    x_N, y_N = (_unit(value_N - value_N.mean()) for value_N in (predicted_N, realised_N))
    return min(float((x_N * y_N).sum()) ** 2, 1.0)


def sign_agreement(predicted_N: Tensor, realised_N: Tensor) -> float | None:
    """Share of pairs with the same sign (0 agrees with 0 only), in [0, 1]; None without pairs."""
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    if len(predicted_N) == 0:
        return None
    return float((predicted_N.sign() == realised_N.sign()).double().mean())


def relative_error(predicted_N: Tensor, realised_N: Tensor) -> float | None:
    """||predicted - realised|| / ||realised|| (Euclidean); None where nothing was realised."""
    predicted_N, realised_N = _pairs(predicted_N, realised_N)
    scale = float(realised_N.abs().max()) if len(realised_N) else 0.0
    if scale == 0:
        return None
    # scaled first, so that squares of small changes do not underflow
    difference_N = (predicted_N - realised_N) / scale
    return float(difference_N.norm() / (realised_N / scale).norm())


def _pairs(predicted_N: Tensor, realised_N: Tensor) -> tuple[Tensor, Tensor]:
    if predicted_N.dim() != 1 or predicted_N.shape != realised_N.shape:
        raise ValueError(
            f"predicted_N {tuple(predicted_N.shape)} and realised_N {tuple(realised_N.shape)} "
            "must be two vectors of one length"
        )
    return predicted_N.double(), realised_N.double()


def _constant(value_N: Tensor) -> bool:
    return bool((value_N == value_N[0]).all())


def _unit(value_N: Tensor) -> Tensor:
    scaled_N = value_N / value_N.abs().max()
    return scaled_N / scaled_N.norm()
