"""Token covariance (eq. 10 of 2505.22617) and the token selections of Clip-Cov and KL-Cov."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from lit_entropy.functional.checks import require_choice
from lit_entropy.functional.quota import Quota, quota_count
from lit_entropy.functional.rng import uniforms

Center = Literal["batch", "state"]
BoundsKind = Literal["absolute", "quantile"]


def _order_free_mean(values_N: Tensor) -> Tensor:
    """Mean of float64 values, bit for bit the same in any order: sorted before they are summed."""
    return values_N.sort().values.sum() / max(values_N.numel(), 1)


def token_covariance(
    logprobs_BT: Tensor,
    advantages_BT: Tensor,
    mask_BT: Tensor,
    center: Center = "batch",
    entropy_BT: Tensor | None = None,
) -> Tensor:
    """Each token's contribution to Cov(log pi, A) (eq. 10).

    ``batch``: (log pi_i - mean_j log pi_j)(A_i - mean_j A_j), means over the scored tokens.
    ``state``: (log pi_i + H_i)(A_i - mean_j A_j), log pi centred by its own expectation -H under
    the state's distribution (2602.03392). Differentiates nothing; computed in float64, and the
    same to the last bit in any order of rows and with any padding.

    Args:
        logprobs_BT: log pi of the sampled tokens.
        advantages_BT: raw advantages.
        mask_BT: bool, scored tokens.
        center: what log pi is centred by.
        entropy_BT: exact entropies in nats, needed by ``state``.

    Returns:
        float32 [B, T], detached, 0 outside the mask.

    Raises:
        ValueError: on an unknown ``center``, or ``state`` without entropies.
    """
    require_choice("center", center, get_args(Center))
    logprobs_N = logprobs_BT.detach()[mask_BT].double()
    advantages_N = advantages_BT.detach()[mask_BT].double()
    if center == "batch":
        deviation_N = logprobs_N - _order_free_mean(logprobs_N)
    elif entropy_BT is None:
        raise ValueError("center='state' needs entropy_BT: pass the exact entropies, or 'batch'")
    else:
        deviation_N = logprobs_N + entropy_BT.detach()[mask_BT].double()
    cov_N = deviation_N * (advantages_N - _order_free_mean(advantages_N))
    cov_BT = torch.zeros(mask_BT.shape, dtype=torch.float32, device=logprobs_BT.device)
    cov_BT[mask_BT] = cov_N.float()
    return cov_BT


def _scatter(chosen_N: Tensor, mask_BT: Tensor) -> Tensor:
    """Mask [B, T] that is True at the ``chosen_N`` (int64 indices) of the masked tokens."""
    flags_N = torch.zeros(int(mask_BT.sum()), dtype=torch.bool, device=mask_BT.device)
    flags_N[chosen_N] = True
    selected_BT = torch.zeros_like(mask_BT)
    selected_BT[mask_BT] = flags_N
    return selected_BT


def top_fraction_mask(
    cov_BT: Tensor,
    mask_BT: Tensor,
    fraction: float,
    *,
    quota: Quota = "floor",
    uniforms_BT: Tensor | None = None,
) -> Tensor:
    """The tokens of highest covariance (KL-Cov, eq. 13).

    Args:
        cov_BT: token covariances.
        mask_BT: bool, the N scored tokens.
        fraction: share of the N tokens to select.
        quota: rounding rule of :func:`quota_count`.
        uniforms_BT: numbers that break ties (the smaller wins), keyed by token identity so that
            order does not matter; None breaks ties by position.

    Returns:
        bool [B, T] with exactly ``quota_count(fraction, N, quota)`` True.

    Raises:
        ValueError: on a fraction outside [0, 1] or an unknown rule.
    """
    cov_N = cov_BT[mask_BT]
    count = quota_count(fraction, cov_N.numel(), quota)
    if uniforms_BT is None:
        return _scatter(cov_N.argsort(descending=True, stable=True)[:count], mask_BT)
    by_uniform_N = uniforms_BT[mask_BT].argsort(stable=True)
    by_covariance_N = cov_N[by_uniform_N].argsort(descending=True, stable=True)
    return _scatter(by_uniform_N[by_covariance_N[:count]], mask_BT)


def band_mask(
    cov_BT: Tensor,
    mask_BT: Tensor,
    bounds: Sequence[float],
    bounds_kind: BoundsKind = "absolute",
) -> Tensor:
    """Scored tokens with bounds[0] <= Cov <= bounds[1] (eq. 11).

    Args:
        cov_BT: token covariances.
        mask_BT: bool, scored tokens.
        bounds: lower and upper bound, inclusive.
        bounds_kind: ``absolute`` covariances as in the paper, or ``quantile`` levels in [0, 1] of
            the scored tokens' covariances.

    Returns:
        bool [B, T].

    Raises:
        ValueError: on an unknown kind.
    """
    require_choice("bounds_kind", bounds_kind, get_args(BoundsKind))
    low, high = bounds
    cov_N = cov_BT[mask_BT]
    if bounds_kind == "quantile" and cov_N.numel():
        # An element of the sample, never interpolated: inclusion then survives rounding.
        sorted_N = cov_N.sort().values
        last = cov_N.numel() - 1
        low = float(sorted_N[round(low * last)])
        high = float(sorted_N[round(high * last)])
    return mask_BT & (cov_BT >= low) & (cov_BT <= high)


def random_band_mask(
    cov_BT: Tensor,
    mask_BT: Tensor,
    fraction: float,
    bounds: Sequence[float] = (1.0, 5.0),
    *,
    bounds_kind: BoundsKind = "absolute",
    quota: Quota = "floor",
    excluded_BT: Tensor | None = None,
    uniforms_BT: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Random tokens of a covariance band (Clip-Cov, eq. 11): those of smallest uniform number.

    Args:
        cov_BT: token covariances.
        mask_BT: bool, the N scored tokens; the quota is a fraction of these.
        fraction: share of the N tokens to select, at most the candidates there are.
        bounds: inclusive band of covariance from which the tokens are drawn.
        bounds_kind: ``absolute`` or ``quantile``.
        quota: rounding rule of :func:`quota_count`.
        excluded_BT: bool, tokens that are no candidates (those the PPO clip already removed).
        uniforms_BT: numbers in [0, 1) keyed by token identity; None draws them from ``seed``, one
            a scored token in row-major order.
        seed: seed of that draw.

    Returns:
        bool [B, T] with ``min(candidates, quota_count(fraction, N, quota))`` True.

    Raises:
        ValueError: on a fraction outside [0, 1], an unknown rule or kind.
    """
    total = int(mask_BT.sum())
    count = quota_count(fraction, total, quota)
    if uniforms_BT is None:
        rank_BT = mask_BT.flatten().cumsum(0).view_as(mask_BT)
        uniforms_BT = uniforms(seed, "random_band", rank_BT)
    candidates_BT = band_mask(cov_BT, mask_BT, bounds, bounds_kind)
    if excluded_BT is not None:
        candidates_BT = candidates_BT & ~excluded_BT
    return _scatter(uniforms_BT[candidates_BT].argsort(stable=True)[:count], candidates_BT)


def tail_means(cov_BT: Tensor, mask_BT: Tensor, fractions: Sequence[float]) -> Tensor:
    """Mean covariance of the top fractions of the tokens (Table 1).

    Args:
        cov_BT: token covariances.
        mask_BT: bool, scored tokens.
        fractions: shares in [0, 1], e.g. 0.002 for the table's 0.2 %.

    Returns:
        float64, one mean per fraction; NaN where the fraction of the batch is less than one token.
    """
    sorted_N = cov_BT[mask_BT].double().sort(descending=True).values
    counts = [quota_count(fraction, sorted_N.numel()) for fraction in fractions]
    return torch.stack([sorted_N[:count].mean() for count in counts])
