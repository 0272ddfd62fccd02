"""Advantages of G samples per prompt, as pure functions of the rewards."""

import torch
from torch import Tensor

#: Rewards that differ by less than this, times their largest magnitude where that is above 1, are
#: equal: sums of a few parts in float32 or float64 differ by less, and by nothing that was meant.
REWARD_NOISE = 1e-6


def nearly_equal(values: Tensor) -> Tensor:
    """Whether the numbers of a row differ by no more than rounding, see ``REWARD_NOISE``.

    Args:
        values: [..., N], N >= 1.

    Returns:
        Bool [...]; False where a number is NaN or infinite.
    """
    values = values.double()
    spread = values.amax(-1) - values.amin(-1)
    return spread < REWARD_NOISE * values.abs().amax(-1).clamp(min=1.0)


def without_noise(rewards_PG: Tensor) -> Tensor:
    """The rewards, exactly equal in every group where they were nearly so.

    Args:
        rewards_PG: rewards [P, G].

    Returns:
        [P, G]: the median throughout a nearly equal group, the rewards themselves in others.
    """
    size = rewards_PG.shape[1]
    # by sorting: torch.median has no deterministic form on a GPU
    middle_P1 = rewards_PG.sort(1).values[:, (size - 1) // 2, None]
    return torch.where(nearly_equal(rewards_PG)[:, None], middle_P1, rewards_PG)


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
    """Reward minus the mean of its group; exactly 0 in a group of nearly equal rewards.

    Args:
        rewards_PG: float rewards [P, G], G >= 2.

    Returns:
        float64 [P, G].

    Raises:
        ValueError: on fewer than two samples per prompt.
    """
    require_group(rewards_PG, "group centring")
    rewards_PG = rewards_PG.double()
    # A division by a tiny std would blow up the noise, also that of the mean of equal numbers.
    equal_P1 = nearly_equal(rewards_PG)[:, None]
    return (rewards_PG - rewards_PG.mean(1, keepdim=True)).masked_fill(equal_P1, 0.0)


def group_standardize(rewards_PG: Tensor, epsilon: float = 1e-6) -> Tensor:
    """(r - mean r) / (std r + epsilon) within each group (eq. 3 of 2505.22617; GRPO, 2402.03300).

    The standard deviation is the unbiased one (divisor G - 1), as verl's ``torch.std``.

    Args:
        rewards_PG: float rewards [P, G], G >= 2.
        epsilon: added to the standard deviation.

    Returns:
        float64 [P, G]; exactly 0 in a group of nearly equal rewards, for any epsilon.

    Raises:
        ValueError: on fewer than two samples per prompt.
    """
    centred_PG = group_mean_center(rewards_PG)
    deviation_P1 = rewards_PG.double().std(1, keepdim=True) + epsilon
    return centred_PG / deviation_P1.masked_fill(nearly_equal(rewards_PG)[:, None], 1.0)


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
        float64 [P, G]; exactly 0 if all values are nearly equal.

    Raises:
        ValueError: on fewer than two values.
    """
    if values_PG.numel() < 2:
        raise ValueError(
            f"{values_PG.numel()} response(s) in the RL step: whitening needs 2 or more, raise "
            f"prompts_per_step or group_size"
        )
    values_PG = values_PG.double()
    if bool(nearly_equal(values_PG.flatten())):
        return torch.zeros_like(values_PG)
    return (values_PG - values_PG.mean()) * torch.rsqrt(values_PG.var() + epsilon)
