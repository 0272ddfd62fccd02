"""Metrics that every ratio-based loss reports."""

import torch
from torch import Tensor

from lit_entropy.functional.kl import kl_k3
from lit_entropy.functional.masked import masked_mean, masked_sum
from lit_entropy.functional.surrogate import ClippedSurrogate, probability_ratio
from lit_entropy.types import Mean


def fraction_of(flags_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Share of the scored tokens whose flag is set, float64 scalar."""
    return masked_mean(flags_BT.double(), mask_BT)


def mean_over(values_BT: Tensor, flags_BT: Tensor) -> Mean:
    """Mean of detached values over the flagged tokens, with its own weight."""
    total = masked_sum(values_BT.detach(), flags_BT, dtype=torch.float64)
    return Mean(total=total, weight=flags_BT.sum().double())


def ratio_metrics(log_ratio_BT: Tensor, mask_BT: Tensor) -> dict[str, Tensor | Mean]:
    """``ratio``: mean pi / pi_old; ``kl``: KL(old || new) by k3, nats. Means over scored tokens."""
    log_ratio_BT = log_ratio_BT.detach().double()
    return {
        "ratio": masked_mean(probability_ratio(log_ratio_BT), mask_BT),
        "kl": masked_mean(kl_k3(log_ratio_BT), mask_BT),
    }


def clip_metrics(surrogate: ClippedSurrogate, mask_BT: Tensor) -> dict[str, Tensor | Mean]:
    """``clip_low``, ``clip_high``: share of the scored tokens that each PPO bound cut off."""
    return {
        "clip_low": fraction_of(surrogate.clipped_low_BT, mask_BT),
        "clip_high": fraction_of(surrogate.clipped_high_BT, mask_BT),
    }
