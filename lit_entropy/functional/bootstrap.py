"""Intervals for the law's coefficients that stay valid where residuals are correlated.

The accuracies of successive policies share most of their weights, so residuals of the law are
autocorrelated, and the textbook interval, which counts each pair as independent, is too short.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lit_entropy.functional.law import Array, checked, fit
from lit_entropy.functional.rng_numpy import uniforms


class Interval(NamedTuple):
    """Bounds of a confidence interval; infinite where the pairs do not bound it."""

    low: float
    high: float


class LawIntervals(NamedTuple):
    """Confidence intervals of a fit.

    Attributes:
        a: of the price of entropy.
        b: of the accuracy at exp(H) = 0.
        ceiling: of b - a; not the difference of the other two, which are correlated.
        block: block length used, in pairs.
        level: nominal coverage of each interval.
    """

    a: Interval
    b: Interval
    ceiling: Interval
    block: int
    level: float


def bootstrap(
    entropy_N: ArrayLike,
    accuracy_N: ArrayLike,
    block: int | None = None,
    resamples: int = 999,
    seed: int = 0,
    level: float = 0.95,
) -> LawIntervals:
    """Symmetric studentised intervals from a circular block bootstrap of residuals.

    Residuals and not pairs are resampled: entropy falls along a run, so that a resample of
    blocks of pairs may hold only the plateau, while the entropies at hand are the design that
    the interval is asked for. Blocks (Kuensch 1989) keep the residuals' correlation, the circle
    gives every residual the same weight, and dividing each estimate's error by its own standard
    error from block sums (Goetze and Kuensch 1996) repairs the short intervals of percentiles.

    Args:
        entropy_N: entropies in the order of RL steps, nats.
        accuracy_N: accuracies in the same order, fractions.
        block: pairs in a block, at most N / 2: the sum of one block of all residuals is 0; None
            takes :func:`block_length`.
        resamples: number of resamples.
        seed: key of the counter-based random numbers.
        level: coverage of each interval, in (0, 1).

    Raises:
        ValueError: no fit exists (see ``law.fit``), or an argument is out of range.
    """
    entropy_N, accuracy_N = checked(entropy_N, accuracy_N)
    count = len(entropy_N)
    law = fit(entropy_N, accuracy_N)
    weights_3N, design_N2 = _estimators(entropy_N)
    residual_N = accuracy_N - law.predict(entropy_N)
    block = block_length(residual_N) if block is None else block
    most = max(1, count // 2)
    if not 1 <= block <= most:
        raise ValueError(f"block={block} must lie between 1 and half of the {count} pairs, {most}")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples={resamples} must be >= 1 and level={level} in (0, 1)")
    resampled_RN = residual_N[_circular_blocks(count, block, resamples, seed)]
    error_R3 = resampled_RN @ weights_3N.T
    refitted_RN = resampled_RN - error_R3[:, :2] @ design_N2.T
    se_R3 = _standard_errors(refitted_RN, weights_3N, block)
    se_3 = _standard_errors(residual_N, weights_3N, block)
    # a resample that repeats one residual has no standard error: it bounds nothing
    void_R3 = se_R3 <= 1e-9 * se_3
    ratio_R3 = np.where(void_R3, np.inf, np.abs(error_R3) / np.where(void_R3, 1.0, se_R3))
    quantile_3 = np.quantile(ratio_R3, level, axis=0, method="higher")
    # pairs on the curve leave residuals of rounding alone, which say nothing of an interval
    exact = np.abs(residual_N).max() <= 1e-12 * np.abs(accuracy_N).max()
    half_3 = np.zeros(3) if exact else quantile_3 * se_3
    a, b, ceiling = (
        Interval(centre - half, centre + half)
        for centre, half in zip((law.a, law.b, law.ceiling), half_3.tolist(), strict=True)
    )
    return LawIntervals(a, b, ceiling, block, level)


def block_length(residual_N: Array) -> int:
    """Block length from the residuals' lag-1 correlation r, in pairs, at most N / 3.

    Andrews (1991, Econometrica 59:817), the AR(1) rule of the Bartlett kernel, whose variance the
    block bootstrap shares: 1.1447 (4 r^2 N / (1 - r^2)^2)^(1/3), rounded up; 1 for r <= 0.
    """
    count = len(residual_N)
    square = float(residual_N @ residual_N)
    if square == 0:
        return 1
    r = min(max(float(residual_N[1:] @ residual_N[:-1]) / square, 0.0), 0.97)
    length = 1.1447 * (4 * r**2 * count / (1 - r**2) ** 2) ** (1 / 3)
    return int(np.clip(np.ceil(length), 1, max(1, count // 3)))


def _estimators(entropy_N: Array) -> tuple[Array, Array]:
    """Weights [3, N] that turn accuracies into (a, b, ceiling), and the design [N, 2] of (a, b)."""
    design_N2 = np.stack([-np.exp(entropy_N), np.ones_like(entropy_N)], axis=1)
    weights_2N = np.linalg.pinv(design_N2)
    return np.vstack([weights_2N, weights_2N[1] - weights_2N[0]]), design_N2


def _circular_blocks(count: int, block: int, resamples: int, seed: int) -> np.ndarray:
    """Indices int64 [R, N] of residuals: blocks that start anywhere and run on over the end."""
    blocks = -(-count // block)
    draws_RM = uniforms(seed, "law bootstrap", np.arange(resamples)[:, None], np.arange(blocks))
    start_RM1 = (draws_RM * count).astype(np.int64)[..., None]
    return ((start_RM1 + np.arange(block)) % count).reshape(resamples, -1)[:, :count]


def _standard_errors(residual_N: Array, weights_3N: Array, block: int) -> Array:
    """Standard errors [..., 3] of the weighted sums, from sums over blocks of [..., N] residuals.

    Residuals within a block may be correlated in any way, those of two blocks count as independent.
    """
    starts = np.arange(0, residual_N.shape[-1], block)
    sums_3M = np.add.reduceat(residual_N[..., None, :] * weights_3N, starts, axis=-1)
    return np.sqrt(np.square(sums_3M).sum(-1))
