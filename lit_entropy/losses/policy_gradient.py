"""The vanilla policy gradient (REINFORCE) with any advantage."""

from lit_entropy.functional.masked import zero_outside
from lit_entropy.functional.surrogate import masked_log_ratio
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.losses.diagnostics import ratio_metrics
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class PolicyGradient(PolicyLoss):
    """-A log pi a token: the on-policy loss of the paper's entropy-dynamics runs (Fig. 8).

    No importance ratio and no clip: exact with one update per rollout, biased from the second on.
    """

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token losses; see :class:`PolicyLoss`."""
        mask_BT = batch.mask_BT
        advantages_BT = zero_outside(batch.advantages_BT, mask_BT)
        logprobs_BT = zero_outside(output.logprobs_BT, mask_BT)
        log_ratio_BT = masked_log_ratio(output.logprobs_BT, batch.old_logprobs_BT, mask_BT)
        return LossOutput(-advantages_BT * logprobs_BT, ratio_metrics(log_ratio_BT, mask_BT))
