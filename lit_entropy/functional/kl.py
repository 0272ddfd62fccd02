"""Per-token Monte-Carlo estimators of a KL divergence (Schulman, 2020, "Approximating KL")."""

from typing import Literal, get_args

import torch
from torch import Tensor

KLEstimator = Literal["abs", "k1", "k2", "k3"]
KL_ESTIMATORS: tuple[str, ...] = get_args(KLEstimator)

#: Log-ratios beyond +-20 (a factor of 5e8) are clamped inside ``exp`` only: float32 stays finite.
MAX_LOG_RATIO = 20.0


def kl_k1(log_ratio: Tensor) -> Tensor:
    """-log r: unbiased, may be negative; its gradient at r = 1 is -1, not 0."""
    return -log_ratio


def kl_k2(log_ratio: Tensor) -> Tensor:
    """(log r)^2 / 2: biased, never negative."""
    return 0.5 * log_ratio.square()


def kl_k3(log_ratio: Tensor) -> Tensor:
    """(r - 1) - log r: unbiased, never negative; log r is clamped to +-20 inside the exponential.

    ``expm1`` keeps the digits that ``exp(x) - 1`` loses near r = 1.
    """
    return torch.expm1(log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)) - log_ratio


def kl_abs(log_ratio: Tensor) -> Tensor:
    """|log r|: the official KL-Cov penalty; its (sub)gradient at r = 1 is 0."""
    return log_ratio.abs()


def kl_estimate(log_ratio: Tensor, estimator: KLEstimator) -> Tensor:
    """Estimate KL(q || p) a token from x ~ q and log r = log p(x) - log q(x).

    Args:
        log_ratio: log p - log q of the sampled tokens, any shape.
        estimator: ``k1``, ``k2``, ``k3`` or ``abs``.

    Returns:
        The estimates, same shape, nats.

    Raises:
        ValueError: on an unknown estimator.
    """
    functions = {"abs": kl_abs, "k1": kl_k1, "k2": kl_k2, "k3": kl_k3}
    if estimator not in functions:
        raise ValueError(
            f"estimator={estimator!r} is unknown: choose one of {', '.join(functions)}"
        )
    return functions[estimator](log_ratio)
