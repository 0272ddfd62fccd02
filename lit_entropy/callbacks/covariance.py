"""Covariance between log-probability and advantage over the rollout."""

import torch
from torch import Tensor

from lit_entropy.callbacks.accuracy_bins import AccuracyBins
from lit_entropy.callbacks.base import (
    RolloutCallback,
    own_rows,
)
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.attribution import (
    QUADRANTS,
    largest_means,
    least_of_largest,
    quadrant_index,
    quadrant_sums,
)
from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.masked import masked_sum
from lit_entropy.step.rollout import Rollout
from lit_entropy.tracking.means import reduce_means
from lit_entropy.types import Experience, Mean


class CovarianceMonitor(RolloutCallback):
    """Token covariance of the rollout (arXiv 2505.22617, eq. 10, Table 1, Fig. 8 right).

    c_i = (log pi_old(y_i) - mean_j log pi_old(y_j)) (A_i - mean_j A_j), the means over all N
    response tokens of the RL step, before the group filter; groups with a response that could not
    be checked have no advantages and are left out. Unit: nats times that of A.

    ====================== =================================================================
    key                    formula
    ====================== =================================================================
    cov/mean               mean of c_i over all tokens
    cov/top_<fraction>     mean of the max(1, floor(fraction * N)) largest c_i: ``top_2e-4``,
                           ``top_2e-3``, ``top_2e-2``, ``top_0.2``, ``top_0.5`` (Table 1)
    cov/least_<fraction>   smallest of those c_i: an absolute band of that share starts there
    cov/positive_share     share of tokens with c_i > 0, in [0, 1]
    cov/by_accuracy/<bin>  mean of c_i over the tokens of the prompts whose group accuracy is
                           in bin (``none``, ``low``, ``middle``, ``high``, ``all``)
    cov/quadrant/<q>       sum of c_i over the tokens of quadrant q / N: the five parts add up
                           to ``cov/mean``
    cov/quadrant/<q>_share share of tokens in quadrant q, in [0, 1]
    ====================== =================================================================

    A bin without prompts is not logged. The quadrants are ``positive_high``, ``positive_low``,
    ``negative_high``, ``negative_low``, by the sign of A_i and by pi_i above or below
    ``high_probability``, and ``zero`` for A_i = 0.

    Args:
        fractions: Fractions of tokens in (0, 1] whose mean covariance is logged.
        bin_edges: Inner edges of the accuracy intervals, increasing in (0, 1), upper edge included.
        bin_names: Names of the intervals between accuracy 0 and 1, one more than edges.
        high_probability: pi from which a token counts as likely in the quadrants, in (0, 1); from
            0.5 on no other token can be likelier.

    Raises:
        ValueError: a fraction is outside (0, 1] or listed twice, the bins do not fit, or the
            probability is not in (0, 1).
    """

    def __init__(
        self,
        fractions: tuple[float, ...] = (2e-4, 2e-3, 2e-2, 0.2, 0.5),
        bin_edges: tuple[float, ...] = (1 / 3, 2 / 3),
        bin_names: tuple[str, ...] = ("low", "middle", "high"),
        high_probability: float = 0.5,
    ) -> None:
        self.fractions = tuple(float(fraction) for fraction in fractions)
        if bad := [value for value in self.fractions if not 0 < value <= 1]:
            raise ValueError(f"fractions must be in (0, 1], got {bad}")
        self.tail_keys = tuple(f"cov/top_{short(fraction)}" for fraction in self.fractions)
        self.least_keys = tuple(f"cov/least_{short(fraction)}" for fraction in self.fractions)
        if len(set(self.tail_keys)) != len(self.tail_keys):
            raise ValueError(f"fractions must be distinct, got {list(fractions)}")
        self.bins = AccuracyBins(bin_edges, bin_names)
        if not 0 < high_probability < 1:
            raise ValueError(f"high_probability must be in (0, 1), got {high_probability}")
        self.high_probability = high_probability

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may be logged."""
        by_accuracy = (f"cov/by_accuracy/{name}" for name in self.bins.names)
        quadrants = (f"cov/quadrant/{name}{end}" for name in QUADRANTS for end in ("", "_share"))
        tails = (*self.tail_keys, *self.least_keys)
        return ("cov/mean", "cov/positive_share", *tails, *by_accuracy, *quadrants)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        experience, group_size = rollout.experience, rollout.group_size
        checked_B = experience.checked_rows(group_size)
        mask_BT = experience.response_mask_BT & checked_B[:, None]
        # elementwise, on the rollout every rank holds: cheaper than reducing the centres first
        covariance_BT = token_covariance(
            experience.old_logprobs_BT, experience.advantages_BT, mask_BT
        )
        rows = own_rows(rollout, ranks).to(mask_BT.device)
        own_mask_BT = mask_BT[rows]
        totals_B = masked_sum(covariance_BT[rows], own_mask_BT, -1, dtype=torch.float64)
        tokens_B = own_mask_BT.sum(-1)
        positive = (covariance_BT[rows] > 0) & own_mask_BT
        correct_B = experience.correct_B[rows]
        sums = {
            "cov/mean": Mean(totals_B.sum(), tokens_B.sum()),
            "cov/positive_share": Mean(positive.sum(), tokens_B.sum()),
            **self._tails(ranks, covariance_BT, mask_BT),
            **self.bins.means("cov/by_accuracy", totals_B, tokens_B, correct_B, group_size),
            **self._quadrants(experience, covariance_BT, rows, own_mask_BT),
        }
        return reduce_means(sums, ranks.device)

    def _tails(self, ranks: Ranks, covariance_BT: Tensor, mask_BT: Tensor) -> dict[str, Mean]:
        zero, one = torch.zeros(()), torch.ones(())
        sums = dict.fromkeys((*self.tail_keys, *self.least_keys), Mean(zero, zero))
        mine = [number for number in range(len(self.fractions)) if ranks.is_own(number)]
        if mine and mask_BT.any():
            fractions = [self.fractions[number] for number in mine]
            tails = largest_means(covariance_BT, mask_BT, fractions)
            ends = least_of_largest(covariance_BT, mask_BT, fractions)
            for number, tail, end in zip(mine, tails, ends, strict=True):
                sums[self.tail_keys[number]] = Mean(tail, one)
                sums[self.least_keys[number]] = Mean(end, one)
        return sums

    def _quadrants(
        self, experience: Experience, covariance_BT: Tensor, rows: Tensor, own_mask_BT: Tensor
    ) -> dict[str, Mean]:
        index_BT = quadrant_index(
            experience.old_logprobs_BT[rows],
            experience.advantages_BT[rows],
            own_mask_BT,
            self.high_probability,
        )
        parts = zip(QUADRANTS, *quadrant_sums(covariance_BT[rows], index_BT), strict=True)
        tokens = own_mask_BT.sum()
        sums = {}
        for name, total, count in parts:
            sums[f"cov/quadrant/{name}"] = Mean(total, tokens)
            sums[f"cov/quadrant/{name}_share"] = Mean(count, tokens)
        return sums


def short(fraction: float) -> str:
    """A fraction as a key: ``2e-4`` below 0.1, ``0.2`` from there on."""
    if fraction >= 0.1:
        return f"{fraction:g}"
    mantissa, exponent = f"{fraction:.6e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
