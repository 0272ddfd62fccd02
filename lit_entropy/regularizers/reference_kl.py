"""The penalty on the KL divergence to a frozen reference policy."""

from lit_entropy.functional.checks import OFF, require_choice, require_non_negative
from lit_entropy.functional.kl import KL_ESTIMATORS, KLEstimator, kl_estimate
from lit_entropy.functional.masked import masked_mean
from lit_entropy.functional.surrogate import masked_log_ratio
from lit_entropy.regularizers.base import Regularizer
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class ReferenceKL(Regularizer):
    """coef KL(pi || reference) a token (Fig. 10 of 2505.22617; ``k3`` as in GRPO, 2402.03300).

    The estimators take the tokens as samples of pi: exact with one update per rollout, approximate
    later. As losses, ``k2``'s gradient is the unbiased one on-policy, ``k3``'s approximates it and
    ``k1``'s is zero on average.
    """

    needs_reference = True

    def __init__(self, coef: float = 1e-3, estimator: KLEstimator = "k3") -> None:
        """Set the penalty.

        Args:
            coef: weight beta >= 0; Fig. 10 tries 1e-3, 1e-2, 5e-2 and 1e-1.
            estimator: ``k1``, ``k2``, ``k3`` or ``abs``, on log reference - log pi.

        Raises:
            ValueError: if ``coef`` is negative or the estimator unknown.
        """
        super().__init__()
        self.coef = require_non_negative("coef", coef, OFF)
        self.estimator: KLEstimator = estimator
        require_choice("estimator", estimator, KL_ESTIMATORS)

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token loss; see :class:`Regularizer`.

        Raises:
            ValueError: if the batch carries no reference log-probs.
        """
        if batch.reference_logprobs_BT is None:
            raise ValueError(
                "batch.reference_logprobs_BT is None: ReferenceKL needs the log-probs of a "
                "reference policy; keep needs_reference=True, or fill the field"
            )
        log_ratio_BT = masked_log_ratio(
            batch.reference_logprobs_BT, output.logprobs_BT, batch.mask_BT
        )
        kl_BT = kl_estimate(log_ratio_BT, self.estimator)
        metric = masked_mean(kl_BT.detach().double(), batch.mask_BT)
        return LossOutput(self.coef * kl_BT, {"reference_kl": metric})
