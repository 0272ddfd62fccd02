"""Clip-Cov: random tokens of high covariance lose their gradient (eq. 11, 12 of 2505.22617)."""

import math
from typing import get_args

from torch import Tensor

from lit_entropy.functional.checks import (
    NO_UPPER_CLIP,
    require_choice,
    require_fraction,
    require_non_negative,
)
from lit_entropy.functional.covariance import BoundsKind, Center, band_mask, random_band_mask
from lit_entropy.functional.masked import zero_outside
from lit_entropy.functional.quota import Quota
from lit_entropy.functional.surrogate import ClippedSurrogate, clipped_surrogate, masked_log_ratio
from lit_entropy.losses.diagnostics import clip_metrics, fraction_of, ratio_metrics
from lit_entropy.losses.selection import (
    CovarianceLoss,
    Scope,
    SelectionLogprobs,
    token_uniforms,
)
from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class ClipCov(CovarianceLoss):
    """PPO-clip without the gradient of floor(fraction N) random tokens of a covariance band.

    Tokens that the PPO clip already removed are no candidates, with ``selection_logprobs=current``
    (under the old log-probs every ratio is 1, and none counts as removed); dropped tokens stay in
    the objective's denominator (both as in the official code).
    """

    def __init__(
        self,
        fraction: float = 2e-4,
        bounds: tuple[float, float] = (1.0, 5.0),
        clip_low: float = 1.0,
        clip_high: float = 1.0,
        scope: Scope = "minibatch",
        selection_logprobs: SelectionLogprobs = "current",
        quota: Quota = "floor",
        center: Center = "batch",
        bounds_kind: BoundsKind = "absolute",
        seed: int = 0,
    ) -> None:
        """Set the selection and the clip range.

        Args:
            fraction: share r of the tokens of the objective whose gradient is dropped (eq. 11). A
                minibatch of the tiny models has 350 to 1,200 such tokens, for which
                ``configs/loss/clip_cov_tiny.yaml`` takes 7e-3.
            bounds: inclusive covariance band (omega_low, omega_high) of the candidates (eq. 11).
            clip_low: PPO clip range below 1, in [0, 1]; 1 leaves ratios free down to 0.
            clip_high: PPO clip range above 1, >= 0; the official script's 1 allows ratios up to 2.
            scope: ``minibatch`` selects over the optimizer minibatch whatever the microbatch size;
                ``microbatch`` within each microbatch, as the official code.
            selection_logprobs: log-probs of the ``current`` policy (eq. 10) or of the ``old`` one,
                by which no token counts as clipped.
            quota: ``floor`` of the paper, or ``official`` max(1, int(.)).
            center: ``batch`` mean of log pi (eq. 10), or the ``state``'s own -H (2602.03392).
            bounds_kind: ``absolute`` covariances, or ``quantile`` levels in [0, 1].
            seed: keys the draw together with update, prompt id, sample id and token index.

        Raises:
            ValueError: on a fraction outside [0, 1], reversed bounds or an unknown choice.
        """
        super().__init__(fraction, scope, selection_logprobs, quota, center)
        self.bounds_kind: BoundsKind = bounds_kind
        require_choice("bounds_kind", bounds_kind, get_args(BoundsKind))
        self.bounds = _require_bounds(bounds, bounds_kind)
        self.clip_low = require_fraction("clip_low", clip_low)
        self.clip_high = require_non_negative("clip_high", clip_high, NO_UPPER_CLIP)
        self.seed = seed

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token losses; see :class:`PolicyLoss`."""
        mask_BT = batch.mask_BT
        log_ratio_BT = masked_log_ratio(output.logprobs_BT, batch.old_logprobs_BT, mask_BT)
        surrogate = self._surrogate(log_ratio_BT, batch)
        selected_BT = self._selected(output, batch)
        metrics = ratio_metrics(log_ratio_BT, mask_BT) | clip_metrics(surrogate, mask_BT)
        metrics |= self._selection_metrics(selected_BT, batch)
        return LossOutput(zero_outside(surrogate.token_loss_BT, ~selected_BT), metrics)  # eq. 12

    def _surrogate(self, log_ratio_BT: Tensor, batch: LossBatch) -> ClippedSurrogate:
        return clipped_surrogate(
            log_ratio_BT, batch.advantages_BT, batch.mask_BT, self.clip_low, self.clip_high
        )

    def _choose(
        self, cov_BT: Tensor, output: PolicyOutput, batch: LossBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mask_BT = batch.mask_BT
        log_ratio_BT = masked_log_ratio(output.logprobs_BT, batch.old_logprobs_BT, mask_BT)
        surrogate = self._surrogate(log_ratio_BT, batch)
        clipped_BT = surrogate.clipped_low_BT | surrogate.clipped_high_BT
        selected_BT = random_band_mask(
            cov_BT,
            mask_BT,
            self.fraction,
            self.bounds,
            bounds_kind=self.bounds_kind,
            quota=self.quota,
            excluded_BT=clipped_BT,
            uniforms_BT=token_uniforms(batch, self.seed, "clip_cov"),
        )
        candidates_BT = band_mask(cov_BT, mask_BT, self.bounds, self.bounds_kind) & ~clipped_BT
        return selected_BT, {"candidates": fraction_of(candidates_BT, mask_BT)}


def _require_bounds(bounds: tuple[float, float], bounds_kind: BoundsKind) -> tuple[float, float]:
    if len(bounds) != 2:
        raise ValueError(f"bounds={bounds!r} has {len(bounds)} entries: give (low, high)")
    low, high = bounds
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ValueError(f"bounds={bounds!r} is not an interval: give (low, high) with low <= high")
    if bounds_kind == "quantile" and not (low >= 0.0 and high <= 1.0):
        raise ValueError(
            f"bounds={bounds!r} with bounds_kind='quantile' must lie in [0, 1]: (0.98, 1.0) is the "
            f"top 2 %"
        )
    return (float(low), float(high))
