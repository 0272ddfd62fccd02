"""PPO's clipped surrogate with separate bounds: GRPO's loss, and clip-higher."""

from lit_entropy.functional.checks import NO_UPPER_CLIP, require_fraction, require_non_negative
from lit_entropy.functional.surrogate import clipped_surrogate, masked_log_ratio
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.losses.diagnostics import clip_metrics, ratio_metrics
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class PPOClip(PolicyLoss):
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) (eq. 4); clip-higher: clip_high 0.28."""

    def __init__(self, clip_low: float = 0.2, clip_high: float = 0.2) -> None:
        """Set the clip range.

        Args:
            clip_low: lower clip range, in [0, 1]: the ratio's floor is 1 - clip_low.
            clip_high: upper clip range, >= 0: the ratio's ceiling is 1 + clip_high (0.28 in DAPO,
                2503.14476).

        Raises:
            ValueError: on a clip range outside these intervals.
        """
        super().__init__()
        self.clip_low = require_fraction("clip_low", clip_low)
        self.clip_high = require_non_negative("clip_high", clip_high, NO_UPPER_CLIP)

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token losses; see :class:`PolicyLoss`."""
        mask_BT = batch.mask_BT
        log_ratio_BT = masked_log_ratio(output.logprobs_BT, batch.old_logprobs_BT, mask_BT)
        surrogate = clipped_surrogate(
            log_ratio_BT, batch.advantages_BT, mask_BT, self.clip_low, self.clip_high
        )
        metrics = ratio_metrics(log_ratio_BT, mask_BT) | clip_metrics(surrogate, mask_BT)
        return LossOutput(surrogate.token_loss_BT, metrics)
