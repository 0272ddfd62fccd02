"""Importance ratios and PPO's clipped surrogate, a token at a time."""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.kl import MAX_LOG_RATIO
from lit_entropy.functional.masked import zero_outside


class ClippedSurrogate(NamedTuple):
    """Per-token clipped loss and where the clip acts.

    Attributes:
        token_loss_BT: -min(r A, clip(r) A), 0 outside the mask.
        clipped_low_BT: bool, the lower bound cut the gradient (A < 0 and r < 1 - clip_low).
        clipped_high_BT: bool, the upper bound cut the gradient (A > 0 and r > 1 + clip_high).
    """

    token_loss_BT: Tensor
    clipped_low_BT: Tensor
    clipped_high_BT: Tensor


def masked_log_ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """log pi - log pi_old, 0 outside the mask; never clamped.

    Args:
        logprobs_BT: log pi of the tokens under the current policy, differentiable.
        old_logprobs_BT: log pi_old of the tokens.
        mask_BT: bool, scored tokens.

    Returns:
        Log-ratio [B, T].
    """
    return zero_outside(logprobs_BT, mask_BT) - zero_outside(old_logprobs_BT, mask_BT)


def probability_ratio(log_ratio_BT: Tensor) -> Tensor:
    """exp of the log-ratio, clamped to +-20 first.

    A probability that moved by a factor of 5e8 in one rollout is a broken run, but inf times a
    zero gradient would turn every parameter into NaN; the clamped token is still huge in
    ``policy/ratio`` and ``policy/kl``, where it can be seen.

    Args:
        log_ratio_BT: log pi - log pi_old.

    Returns:
        pi / pi_old [B, T], at most exp(20).
    """
    return log_ratio_BT.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def plain_surrogate(log_ratio_BT: Tensor, advantages_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """-A pi / pi_old, 0 outside the mask.

    Args:
        log_ratio_BT: log pi - log pi_old, 0 outside the mask.
        advantages_BT: raw advantages.
        mask_BT: bool, scored tokens.

    Returns:
        Per-token loss [B, T].
    """
    return -zero_outside(advantages_BT, mask_BT) * probability_ratio(log_ratio_BT)


def clipped_surrogate(
    log_ratio_BT: Tensor,
    advantages_BT: Tensor,
    mask_BT: Tensor,
    clip_low: float,
    clip_high: float,
) -> ClippedSurrogate:
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) (eq. 4; clip-higher 2503.14476).

    Args:
        log_ratio_BT: log pi - log pi_old, 0 outside the mask.
        advantages_BT: raw advantages.
        mask_BT: bool, scored tokens.
        clip_low: lower clip range.
        clip_high: upper clip range.

    Returns:
        Per-token loss and the two masks of tokens whose gradient the clip removed.
    """
    advantages_BT = zero_outside(advantages_BT, mask_BT)
    ratio_BT = probability_ratio(log_ratio_BT)
    clipped_BT = ratio_BT.clamp(1.0 - clip_low, 1.0 + clip_high)
    ratio_detached_BT = ratio_BT.detach()
    return ClippedSurrogate(
        token_loss_BT=torch.maximum(-advantages_BT * ratio_BT, -advantages_BT * clipped_BT),
        clipped_low_BT=(advantages_BT < 0) & (ratio_detached_BT < 1.0 - clip_low),
        clipped_high_BT=(advantages_BT > 0) & (ratio_detached_BT > 1.0 + clip_high),
    )
