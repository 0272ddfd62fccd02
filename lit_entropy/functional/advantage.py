"""Advantages of G samples per prompt, as pure functions of the rewards."""

import torch
from torch import Tensor


def require_group(rewards_PG: Tensor, estimator: str) -> None:
    """Raise ValueError if the rewards are not [P, G] with at least two samples per prompt."""
    if rewards_PG.dim() != 2:
        raise ValueError(
            f"rewards_PG has shape {tuple(rewards_PG.shape)}: {estimator} needs [P, G]"
        )
    if rewards_PG.shape[1] < 2:
        raise ValueError(
            f"group_size={rewards_PG.shape[1]}: {estimator} compares the samples of a prompt, "
            f"set group_size to 2 or more"
        )


def group_mean_center(rewards_PG: Tensor) -> Tensor:
    """Reward minus the mean of its group; exactly 0 in a group of equal rewards.

    Args:
        rewards_PG: float rewards [P, G], G >= 2.

    Returns:
        float64 [P, G].

    Raises:
        ValueError: on fewer than two samples per prompt.
    """
    require_group(rewards_PG, "group centring")
    rewards_PG = rewards_PG.double()
    equal_P1 = rewards_PG.amax(1, keepdim=True) == rewards_PG.amin(1, keepdim=True)
    # A mean of equal numbers may be off by one ulp, which a division by a tiny std would blow up.
    return (rewards_PG - rewards_PG.mean(1, keepdim=True)).masked_fill(equal_P1, 0.0)


def group_standardize(rewards_PG: Tensor, epsilon: float = 1e-6) -> Tensor:
    """(r - mean r) / (std r + epsilon) within each group (eq. 3 of 2505.22617; GRPO, 2402.03300).

    The standard deviation is the unbiased one (divisor G - 1), as verl's ``torch.std``.

    Args:
        rewards_PG: float rewards [P, G], G >= 2.
        epsilon: added to the standard deviation.

    Returns:
        float64 [P, G]; exactly 0 in a group of equal rewards.

    Raises:
        ValueError: on fewer than two samples per prompt.
    """
    centred_PG = group_mean_center(rewards_PG)
    return centred_PG / (rewards_PG.double().std(1, keepdim=True) + epsilon)


def leave_one_out(rewards_PG: Tensor) -> Tensor:
    """Reward minus the mean of the other samples of its group (RLOO, 2402.14740).

    r_i - sum_{j != i} r_j / (G - 1) = G / (G - 1) (r_i - mean r).

    Args:
        rewards_PG: float rewards [P, G], G >= 2.

    Returns:
        float64 [P, G].

    Raises:
        ValueError: on fewer than two samples per prompt.
    """
    size = rewards_PG.shape[-1]
    return group_mean_center(rewards_PG) * (size / max(size - 1, 1))


def batch_whiten(values_PG: Tensor, epsilon: float = 1e-8) -> Tensor:
    """(x - mean x) / sqrt(var x + epsilon) over the whole batch (REINFORCE++, 2501.03262).

    The variance is the unbiased one, as in verl's ``masked_whiten``.

    Args:
        values_PG: float values [P, G], of which P * G >= 2.
        epsilon: added to the variance.

    Returns:
        float64 [P, G]; exactly 0 if all values are equal.

    Raises:
        ValueError: on fewer than two values.
    """
    if values_PG.numel() < 2:
        raise ValueError(
            f"{values_PG.numel()} response(s) in the RL step: whitening needs 2 or more, raise "
            f"prompts_per_step or group_size"
        )
    values_PG = values_PG.double()
    if bool(values_PG.max() == values_PG.min()):
        return torch.zeros_like(values_PG)
    return (values_PG - values_PG.mean()) * torch.rsqrt(values_PG.var() + epsilon)
