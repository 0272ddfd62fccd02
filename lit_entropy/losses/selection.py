"""What Clip-Cov and KL-Cov share: token covariances, identities and the scope of the selection."""

from abc import abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor

from lit_entropy.functional.advantage import nearly_equal
from lit_entropy.functional.checks import require_choice, require_fraction
from lit_entropy.functional.covariance import Center, token_covariance
from lit_entropy.functional.quota import Quota, quota_count
from lit_entropy.functional.rng import uniforms
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.losses.diagnostics import fraction_of, mean_over
from lit_entropy.losses.inert import InertAlarm, ShortQuotaAlarm
from lit_entropy.types import LossBatch, Mean, PolicyOutput

Scope = Literal["minibatch", "microbatch"]
SelectionLogprobs = Literal["current", "old"]


def token_uniforms(batch: LossBatch, *keys: int | str) -> Tensor:
    """One uniform per token, keyed by (keys, update, prompt id, sample id, token index).

    Args:
        batch: the rows; their ids name the tokens. Without ids, a token's name is its rank among
            the scored tokens in row-major order.
        keys: what separates this draw from others (a seed, a purpose).

    Returns:
        float64 [B, T] in [0, 1).
    """
    mask_BT = batch.mask_BT
    if batch.prompt_ids_B is None or batch.sample_ids_B is None:
        rank_BT = mask_BT.flatten().cumsum(0).view_as(mask_BT)
        return uniforms(*keys, batch.update, rank_BT)
    token_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    ids = (batch.prompt_ids_B[:, None], batch.sample_ids_B[:, None], token_T)
    return uniforms(*keys, batch.update, *ids)


class CovarianceLoss(PolicyLoss):
    """A loss that treats tokens chosen by their covariance (eq. 10) differently."""

    def __init__(
        self,
        fraction: float,
        scope: Scope,
        selection_logprobs: SelectionLogprobs,
        quota: Quota,
        center: Center,
    ) -> None:
        super().__init__()
        self.fraction = require_fraction("fraction", fraction)
        self.scope = require_choice("scope", scope, get_args(Scope))
        self.selection_logprobs = require_choice(
            "selection_logprobs", selection_logprobs, get_args(SelectionLogprobs)
        )
        self.quota: Quota = quota
        require_choice("quota", quota, get_args(Quota))
        self.center: Center = center
        require_choice("center", center, get_args(Center))
        self.selects_tokens = scope == "minibatch"
        self._statistics: tuple[int, dict[str, Tensor]] | None = None
        name = type(self).__name__
        self._constant_advantages = InertAlarm(
            f"{name} cannot act: all advantages of the selection scope are equal, so every "
            f"covariance is 0; set scope to minibatch, or enlarge the minibatch"
        )
        self._nothing_selected = InertAlarm(
            f"{name} does not act: it selected no token, because none is a candidate or because "
            f"fraction={fraction} of the scored tokens is less than one; raise fraction (or widen "
            f"the bounds)"
        )
        self._short_quota = ShortQuotaAlarm(name, fraction)

    @torch.no_grad()
    def select(self, output: PolicyOutput, batch: LossBatch) -> Tensor:
        """Mask of selected tokens, bool [B, T], over all rows of ``batch``.

        Args:
            output: the current policy's log-probs; ignored when ``selection_logprobs`` is ``old``.
            batch: every row of the selection scope.

        Raises:
            ValueError: if ``center`` is ``state`` and the old policy's entropies are missing.
        """
        if self.selection_logprobs == "old":
            output = self._old_output(batch)
        mask_BT = batch.mask_BT
        cov_BT = token_covariance(
            output.logprobs_BT, batch.advantages_BT, mask_BT, self.center, output.entropy_BT
        )
        selected_BT, extra = self._choose(cov_BT, output, batch)
        total, weight = mean_over(cov_BT, selected_BT)
        extra["cov_selected"] = total / weight.clamp(min=1)
        self._statistics = (batch.update, extra)
        self._watch(selected_BT, batch)
        return selected_BT

    def _watch(self, selected_BT: Tensor, batch: LossBatch) -> None:
        """Feed the alarms; a scope without scored tokens says nothing of the method."""
        advantages_N = batch.advantages_BT[batch.mask_BT]
        if self.fraction == 0 or advantages_N.numel() == 0:
            return
        tokens = advantages_N.numel()
        self._short_quota.observe(quota_count(self.fraction, tokens, self.quota), tokens)
        equal = bool(nearly_equal(advantages_N))
        self._constant_advantages.observe(equal, batch.update)
        if not self._short_quota.raised:  # which has said it, with the number
            silent = not equal and not bool(selected_BT.any())
            self._nothing_selected.observe(silent, batch.update)

    @abstractmethod
    def _choose(
        self, cov_BT: Tensor, output: PolicyOutput, batch: LossBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The selected tokens, and scalars that describe the selection."""

    def _old_output(self, batch: LossBatch) -> PolicyOutput:
        if batch.entropies_BT is None and self.center == "state":
            raise ValueError(
                "center='state' with selection_logprobs='old' needs batch.entropies_BT: pass the "
                "rollout's entropies, or use selection_logprobs='current'"
            )
        entropies_BT = batch.old_logprobs_BT if batch.entropies_BT is None else batch.entropies_BT
        return PolicyOutput(logprobs_BT=batch.old_logprobs_BT, entropy_BT=entropies_BT)

    def _selected(self, output: PolicyOutput, batch: LossBatch) -> Tensor:
        """The minibatch's selection when one is handed down, else this batch's own."""
        if self.scope == "minibatch" and batch.selected_BT is not None:
            return batch.selected_BT & batch.mask_BT
        return self.select(output, batch)

    def _selection_metrics(self, selected_BT: Tensor, batch: LossBatch) -> dict[str, Tensor | Mean]:
        """``selected``, ``cov_selected`` and what :meth:`_choose` reported of the whole scope."""
        metrics: dict[str, Tensor | Mean] = {"selected": fraction_of(selected_BT, batch.mask_BT)}
        if self._statistics is None or self._statistics[0] != batch.update:
            return metrics  # the mask was made elsewhere: nothing is known of its scope
        scope_metrics = dict(self._statistics[1])
        weight = selected_BT.sum().double()
        metrics["cov_selected"] = Mean(scope_metrics.pop("cov_selected") * weight, weight)
        return metrics | scope_metrics
