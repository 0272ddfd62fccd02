"""Entropy of the policy on its own rollout."""

import torch

from lit_entropy.callbacks.accuracy_bins import AccuracyBins
from lit_entropy.callbacks.base import (
    RolloutCallback,
    own_share,
)
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.checks import require_non_negative
from lit_entropy.functional.masked import masked_sum
from lit_entropy.step.rollout import Rollout
from lit_entropy.tracking.means import reduce_means
from lit_entropy.types import Mean


class EntropyMonitor(RolloutCallback):
    """Exact policy entropy of the rollout, before the group filter (arXiv 2505.22617, eq. 5).

    H_t is the exact entropy of the sampling distribution at a response token, nats.

    ========================== ============================================================ ====
    key                        formula                                                      unit
    ========================== ============================================================ ====
    entropy/token_mean         sum of H_t over all response tokens / their number           nats
    entropy/sequence_mean      mean over responses of the mean of H_t over tokens (eq. 5)   nats
    entropy/by_accuracy/<bin>  token mean over the prompts whose group accuracy is in bin   nats
    entropy/choosing_share     share of response tokens with H_t > choosing_above           1
    ========================== ============================================================ ====

    The bins: ``none`` (accuracy 0), ``low`` (0, 1/3], ``middle`` (1/3, 2/3], ``high`` (2/3, 1),
    ``all`` (1). A bin without prompts is not logged; groups with a response that could not be
    checked are in none.

    Args:
        bin_edges: Inner edges of the accuracy intervals, increasing in (0, 1), upper edge included.
        bin_names: Names of the intervals between accuracy 0 and 1, one more than edges.
        choosing_above: Entropy in nats, >= 0, above which a token chooses between responses; knobs
            that name a share of tokens act on these.

    Raises:
        ValueError: edges or names do not fit, or ``choosing_above`` is negative.
    """

    def __init__(
        self,
        bin_edges: tuple[float, ...] = (1 / 3, 2 / 3),
        bin_names: tuple[str, ...] = ("low", "middle", "high"),
        choosing_above: float = 0.1,
    ) -> None:
        self.bins = AccuracyBins(bin_edges, bin_names)
        self.choosing_above = require_non_negative("choosing_above", choosing_above)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may be logged."""
        by_accuracy = (f"entropy/by_accuracy/{name}" for name in self.bins.names)
        own = ("entropy/token_mean", "entropy/sequence_mean", "entropy/choosing_share")
        return (*own, *by_accuracy)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        group_size, own = rollout.group_size, own_share(rollout, ranks)
        mask_BT = own.response_mask_BT
        totals_B = masked_sum(own.entropies_BT, mask_BT, -1, dtype=torch.float64)
        tokens_B = mask_BT.sum(-1)
        checked_B = own.checked_rows(group_size)
        choosing_BT = (own.entropies_BT > self.choosing_above) & mask_BT
        # an empty response has no token mean: it does not count as a sequence
        sequence_means_B = totals_B / tokens_B.clamp(min=1)
        sums = {
            "entropy/sequence_mean": Mean(sequence_means_B.sum(), (tokens_B > 0).sum()),
            "entropy/choosing_share": Mean(choosing_BT.sum(), tokens_B.sum()),
            **self.bins.means(
                "entropy/by_accuracy",
                totals_B * checked_B,
                tokens_B * checked_B,
                own.correct_B,
                group_size,
            ),
        }
        means = reduce_means(sums, ranks.device)
        return {"entropy/token_mean": rollout.entropy} | means
