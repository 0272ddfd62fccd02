"""Truncated importance sampling: corrects for a sampler that is not quite the policy.

Yao et al., "On the Rollout-Training Mismatch in Modern RL Systems" (NeurIPS 2025 workshop on
efficient reasoning, OpenReview 8MHqvb4lK9; first at fengyao.notion.site/off-policy-rl).
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from lit_entropy.contracts import checked_loss, checked_selection
from lit_entropy.functional.checks import LARGEST, require_at_most
from lit_entropy.functional.surrogate import masked_log_ratio
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.losses.diagnostics import fraction_of, mean_over
from lit_entropy.types import LossBatch, LossOutput, Maximum, Mean, PolicyOutput


class TruncatedImportance(PolicyLoss):
    """Another loss whose surrogate is weighted, token by token, by min(pi_old / pi_sampler, cap).

    pi_old is the policy that collected the rollout as the training path computes it, pi_sampler the
    same weights as the rollout engine computed them. The weight is a constant of the gradient.

    The inner loss is given the advantages times the weights. Its surrogate is homogeneous in the
    advantages, so that it is weighted and nothing else: which tokens a covariance loss selects is
    decided by the raw advantages, and the penalty of KL-Cov is not weighted.
    """

    def __init__(self, inner: PolicyLoss, cap: float = 2.0) -> None:
        """Wrap a loss.

        Args:
            inner: the loss to correct, PPOClip say.
            cap: largest weight, at least 1.

        Raises:
            ValueError: the cap is below 1, the inner loss is corrected already, or it selects
                tokens in each microbatch anew, where it would see weighted advantages.
        """
        super().__init__()
        if not cap >= 1 or math.isinf(cap):
            raise ValueError(f"cap={cap} must be a finite number of at least 1, 2 say")
        if isinstance(inner, TruncatedImportance):
            raise ValueError("inner is a TruncatedImportance: weights would be applied twice")
        if type(inner).select is not PolicyLoss.select and not inner.selects_tokens:
            raise ValueError(
                f"inner={type(inner).__name__} with scope=microbatch would select tokens by "
                "weighted advantages: set inner.scope to minibatch"
            )
        self.inner = inner
        self.cap = require_at_most("cap", float(cap), LARGEST)
        self.selects_tokens = inner.selects_tokens
        self.selection_logprobs = inner.selection_logprobs

    def select(self, output: PolicyOutput, batch: LossBatch) -> Tensor:
        """The inner loss's selection, by raw advantages."""
        return checked_selection(self.inner, self.inner.select(output, batch), batch.mask_BT)

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token losses; see :class:`PolicyLoss`.

        Raises:
            ValueError: the batch has no log-probs of the sampler.
        """
        log_weight_BT = self._log_weight(batch)
        weight_BT = log_weight_BT.clamp(max=math.log(self.cap)).exp()
        selected_BT = batch.selected_BT
        if selected_BT is None and self.selects_tokens:
            selected_BT = self.select(output, batch)
        weighted = replace(
            batch, advantages_BT=batch.advantages_BT * weight_BT, selected_BT=selected_BT
        )
        inner = checked_loss(self.inner, self.inner(output, weighted), batch.mask_BT)
        return LossOutput(
            inner.token_loss_BT, {**inner.metrics, **self._metrics(log_weight_BT, batch.mask_BT)}
        )

    @torch.no_grad()
    def _log_weight(self, batch: LossBatch) -> Tensor:
        if batch.sampler_logprobs_BT is None:
            raise ValueError(
                "batch.sampler_logprobs_BT is None: TruncatedImportance needs the log-probs that "
                "the rollout engine reported"
            )
        return masked_log_ratio(batch.old_logprobs_BT, batch.sampler_logprobs_BT, batch.mask_BT)

    def _metrics(
        self, log_weight_BT: Tensor, mask_BT: Tensor
    ) -> dict[str, Tensor | Mean | Maximum]:
        """Of the scored tokens: mean weight after the cap, largest before it, share above it."""
        weight_BT = log_weight_BT.double().exp()
        scored_BT = weight_BT.masked_fill(~mask_BT, -math.inf)
        largest = scored_BT.max() if mask_BT.numel() else scored_BT.new_tensor(-math.inf)
        return {
            "importance_mean": mean_over(weight_BT.clamp(max=self.cap), mask_BT),
            "importance_max": Maximum(largest),
            "importance_clipped": fraction_of(weight_BT > self.cap, mask_BT),
        }
