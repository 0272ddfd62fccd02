"""KL-Cov: a KL penalty on the tokens of highest covariance (eq. 13, 14 of 2505.22617)."""

import torch
from torch import Tensor

from lit_entropy.functional.checks import OFF, require_choice, require_non_negative
from lit_entropy.functional.covariance import Center, top_fraction_mask
from lit_entropy.functional.kl import KL_ESTIMATORS, KLEstimator, kl_estimate
from lit_entropy.functional.masked import zero_outside
from lit_entropy.functional.quota import Quota
from lit_entropy.functional.surrogate import masked_log_ratio, plain_surrogate
from lit_entropy.losses.diagnostics import mean_over, ratio_metrics
from lit_entropy.losses.inert import InertAlarm
from lit_entropy.losses.selection import (
    CovarianceLoss,
    Scope,
    SelectionLogprobs,
    token_uniforms,
)
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput

#: Log-ratios below this in every token mean that the policy has not moved (float32 noise is 1e-6).
_UNMOVED = 1e-5


class KLCov(CovarianceLoss):
    """-A r, plus kl_coef KL(old || new) on the top fraction of the tokens by covariance.

    There is no PPO clip (eq. 14). With one update per rollout every ratio is 1 and the penalty's
    gradient is exactly 0 (``k1`` excepted): use several updates per rollout.
    """

    def __init__(
        self,
        fraction: float = 2e-3,
        kl_coef: float = 1.0,
        kl_estimator: KLEstimator = "abs",
        scope: Scope = "minibatch",
        selection_logprobs: SelectionLogprobs = "current",
        quota: Quota = "floor",
        center: Center = "batch",
    ) -> None:
        """Set the selection and the penalty.

        Args:
            fraction: share k of the tokens of the objective that are penalised (eq. 13); the
                paper's 7B runs use 2e-3, its 32B runs 2e-4. A minibatch of the tiny models has 350
                to 1,200 such tokens, and needs 0.02.
            kl_coef: weight beta of the penalty (eq. 14), >= 0.
            kl_estimator: ``abs`` |log r| of eq. 14, or Schulman's ``k1``, ``k2``, ``k3``.
            scope: ``minibatch`` selects over the optimizer minibatch whatever the microbatch size;
                ``microbatch`` within each microbatch, as the official code.
            selection_logprobs: log-probs of the ``current`` policy (eq. 10) or of the ``old`` one.
            quota: ``floor`` of the paper, or ``official`` max(1, int(.)).
            center: ``batch`` mean of log pi (eq. 10), or the ``state``'s own -H (2602.03392).

        Raises:
            ValueError: on a fraction outside [0, 1], a negative weight or an unknown choice.
        """
        super().__init__(fraction, scope, selection_logprobs, quota, center)
        self.kl_coef = require_non_negative("kl_coef", kl_coef, OFF)
        self.kl_estimator: KLEstimator = kl_estimator
        require_choice("kl_estimator", kl_estimator, KL_ESTIMATORS)
        self._on_policy = InertAlarm(
            f"KLCov does not act: all ratios are 1, where the gradient of the {kl_estimator} "
            f"penalty is 0; set two or more updates per rollout"
        )

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token losses; see :class:`PolicyLoss`."""
        mask_BT = batch.mask_BT
        log_ratio_BT = masked_log_ratio(output.logprobs_BT, batch.old_logprobs_BT, mask_BT)
        selected_BT = self._selected(output, batch)
        kl_BT = kl_estimate(log_ratio_BT, self.kl_estimator)
        surrogate_BT = plain_surrogate(log_ratio_BT, batch.advantages_BT, mask_BT)
        penalty_BT = self.kl_coef * zero_outside(kl_BT, selected_BT)
        self._observe(log_ratio_BT, batch)
        metrics = ratio_metrics(log_ratio_BT, mask_BT)
        metrics |= self._selection_metrics(selected_BT, batch)
        metrics["kl_selected"] = mean_over(kl_BT, selected_BT)
        return LossOutput(surrogate_BT + penalty_BT, metrics)  # eq. 14

    def _choose(
        self, cov_BT: Tensor, output: PolicyOutput, batch: LossBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        uniforms_BT = token_uniforms(batch, "kl_cov")
        selected_BT = top_fraction_mask(
            cov_BT, batch.mask_BT, self.fraction, quota=self.quota, uniforms_BT=uniforms_BT
        )
        return selected_BT, {}

    @torch.no_grad()
    def _observe(self, log_ratio_BT: Tensor, batch: LossBatch) -> None:
        acts = self.fraction > 0 and self.kl_coef > 0 and self.kl_estimator != "k1"
        if acts and not self._on_policy.raised and bool(batch.mask_BT.any()):
            self._on_policy.observe(bool(log_ratio_BT.abs().max() < _UNMOVED), batch.update)
