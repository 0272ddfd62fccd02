"""The paper's bandit view of a rollout: the prompt is the state, the response the action."""

import torch
from torch import Tensor

from lit_entropy.callbacks.accuracy_bins import AccuracyBins
from lit_entropy.callbacks.base import own_share
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.masked import masked_mean
from lit_entropy.functional.sampled_dynamics import bandit_theorem1, bandit_theorem2
from lit_entropy.step.rollout import Rollout
from lit_entropy.tracking.means import reduce_means
from lit_entropy.types import Mean

#: Groups that are all wrong or all right have one advantage, hence no covariance: not logged.
BINS = ("low", "middle", "high")


def bandit_covariances(rollout: Rollout, ranks: Ranks) -> dict[str, float]:
    """Covariance of (mean token log-prob, advantage) in a group (eq. 8, 9), by group accuracy.

    Over every sampled group, before the group filter. ``dynamics/bandit_covariance`` is of
    (log pi, A), ``dynamics/bandit_covariance_theorem1`` of (log pi, pi A), both with the plus
    sign; ``.../<bin>`` for the bins low (accuracy <= 1/3), middle (<= 2/3) and high (< 1).

    Returns:
        Means over prompts, equal on every rank; a bin without prompts is left out.
    """
    group_size, own = rollout.group_size, own_share(rollout, ranks)
    mask_BT = own.response_mask_BT & own.checked_rows(group_size)[:, None]
    advantages_B = masked_mean(own.advantages_BT, mask_BT, -1, dtype=torch.float64)
    bins = AccuracyBins((1 / 3, 2 / 3), BINS)
    bin_P = bins.index(own.correct_B.reshape(-1, group_size))
    sums: dict[str, Mean] = {}
    for end, theorem in (("", bandit_theorem2), ("_theorem1", bandit_theorem1)):
        prefix = f"dynamics/bandit_covariance{end}"
        covariance_P = -theorem(own.old_logprobs_BT, advantages_B, mask_BT, group_size)
        full_P = ~covariance_P.isnan()  # a response without tokens has no log-prob
        sums[prefix] = _mean(covariance_P, full_P)
        for name in BINS:
            inside_P = full_P & (bin_P == bins.names.index(name))
            sums[f"{prefix}/{name}"] = _mean(covariance_P, inside_P)
    return reduce_means(sums, ranks.device)


def _mean(value_P: Tensor, inside_P: Tensor) -> Mean:
    return Mean(value_P[inside_P].sum(), inside_P.sum())
