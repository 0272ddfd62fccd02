"""PRIME: token advantages from an implicit process reward model that is trained online."""

import copy
from collections.abc import Mapping

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from lit_entropy.advantages.base import TokenContext
from lit_entropy.advantages.rloo import RLOO
from lit_entropy.functional.advantage import REWARD_NOISE
from lit_entropy.functional.checks import require_fraction, require_non_negative, require_rates
from lit_entropy.functional.fused import fused
from lit_entropy.functional.implicit_reward import (
    outcome_cross_entropy,
    outcome_predictions,
    process_returns,
    process_rewards,
    scaled_to_largest_return,
)
from lit_entropy.functional.masked import masked_mean
from lit_entropy.types import State


class PRIME(RLOO):
    """RLOO on the outcome plus the leave-one-out return of process rewards (2502.01456).

    The implicit process reward model pi_phi is a second policy that starts as the base pi_ref. Its
    token reward is r_t = beta log(pi_phi(y_t) / pi_ref(y_t)) and the sum over a response is the
    logit of its being right, so cross-entropy on outcomes trains it without any label of a step.
    It is updated on a rollout before it rewards that rollout, as in the paper's released recipe
    (verl, ``recipe/prime``, ``update: before``), over the minibatches of the policy's first pass
    and without the groups that the filter masks. The returns are the paper's; the recipe divides
    the process rewards by their largest return (``scale_to_largest_return``) and whitens the sum
    over all tokens, which is left out here.

    Every rank computes the gradient of its share of a minibatch and all take the step of the sum,
    so that the models stay the same on all of them and their number changes only the rounding.
    """

    needs_reference = True

    def __init__(
        self,
        beta: float = 0.05,
        gamma: float = 1.0,
        scale_to_largest_return: bool = False,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.AdamW(
            parameters, lr=1e-6, weight_decay=0.0
        ),
        gradient_clip_val: float = 1.0,
    ) -> None:
        """Set the reward and how its model learns; defaults are those of 2502.01456 at 7B.

        Args:
            beta: scale of the log-ratio, in the reward and in the logit; 0 leaves RLOO.
            gamma: discount per token of the process rewards.
            scale_to_largest_return: divide the process rewards by the largest return among the
                scored responses of the RL step, so that no return exceeds an outcome, as verl does.
            optimizer: optimizer class and its arguments for the implicit process reward model;
                AdamW with lr 1e-6 and no weight decay by default.
            gradient_clip_val: largest norm of its gradient, > 0.

        Raises:
            ValueError: a value is outside its range.
        """
        self.beta = require_non_negative("beta", beta)
        self.gamma = require_fraction("gamma", gamma)
        self.scale_to_largest_return = scale_to_largest_return
        self.optimizer = optimizer
        if not gradient_clip_val > 0:
            raise ValueError(f"gradient_clip_val={gradient_clip_val!r} must be positive, 1.0 say")
        self.gradient_clip_val = gradient_clip_val
        self._metrics: dict[str, float] = {}

    def attach(self, policy: nn.Module) -> None:
        """Start the implicit process reward model as a copy of the base policy."""
        self._model = copy.deepcopy(policy)
        trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._optimizer = fused(self.optimizer(trained))
        require_rates("model.advantage.optimizer", self._optimizer.param_groups)

    def token_advantages(self, advantages_PG: Tensor, rollout: TokenContext) -> Tensor:
        """Train the model on the outcomes, then add the returns of its process rewards.

        Raises:
            ValueError: a reward is no outcome in [0, 1].
        """
        experience, mask_BT = rollout.experience, rollout.experience.response_mask_BT
        reference_BT, outcomes_B = experience.reference_logprobs_BT, experience.rewards_B
        assert reference_BT is not None  # needs_reference
        _check_outcomes(outcomes_B[experience.checked_B])
        self._to(mask_BT.device)
        self._metrics = self._train(rollout, reference_BT, outcomes_B)
        logprobs_BT = rollout.logprobs(
            self._model, "log-probs of the implicit process reward model"
        )
        rewards_BT = process_rewards(logprobs_BT, reference_BT, mask_BT, self.beta)
        mean = masked_mean(rewards_BT, mask_BT, dtype=torch.float64)
        self._metrics["prime/process_reward"] = float(mean)
        if self.scale_to_largest_return:
            scored_B = rollout.trained_P.repeat_interleave(rollout.group_size)
            rewards_BT = scaled_to_largest_return(rewards_BT, scored_B)
        returns_BT = process_returns(rewards_BT, mask_BT, rollout.group_size, self.gamma)
        return super().token_advantages(advantages_PG, rollout) + returns_BT.to(advantages_PG)

    def metrics(self) -> Mapping[str, float]:
        """Loss and predictions of each response before the update on it, as ``prime/...``."""
        return self._metrics

    def state_dict(self) -> State:
        """Weights and optimizer state of the implicit process reward model."""
        return {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take up what :meth:`state_dict` gave."""
        if set(state) != {"model", "optimizer"}:
            raise ValueError(
                f"the checkpoint's advantage state has the entries {sorted(state)}, but PRIME "
                "needs model and optimizer: resume from a checkpoint of a PRIME run"
            )
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _to(self, device: torch.device) -> None:
        if next(self._model.parameters()).device != device:
            self._model.to(device)
            self._optimizer.load_state_dict(self._optimizer.state_dict())  # follows the weights

    def _train(
        self, rollout: TokenContext, reference_BT: Tensor, outcomes_B: Tensor
    ) -> dict[str, float]:
        """One pass over the scored rows; every prediction is made before the update on its row."""
        scored_B = rollout.trained_P.repeat_interleave(rollout.group_size)
        logits_B = torch.zeros_like(outcomes_B)
        losses_B = torch.zeros_like(outcomes_B)
        seen_B = torch.zeros_like(scored_B)
        for minibatch in rollout.minibatches:
            rows = minibatch[scored_B.to(minibatch.device)[minibatch]]
            if len(rows) == 0:
                continue
            seen_B[rows] = True
            self._optimizer.zero_grad()
            for part in rollout.microbatches(rows):
                rewards_BT = self._backward(rollout, reference_BT, outcomes_B, part, len(rows))
                logits_B[part] = rewards_BT.sum(1)
                losses_B[part] = outcome_cross_entropy(rewards_BT, outcomes_B[part])
            self._step(rollout)
        self._optimizer.zero_grad()
        if not bool(seen_B.any()):
            return {}
        logits_B, losses_B = rollout.total(logits_B), rollout.total(losses_B)
        logits_PG = logits_B[seen_B].view(-1, rollout.group_size)
        values = outcome_predictions(logits_PG, (outcomes_B[seen_B] > 0.5).view_as(logits_PG))
        values["loss"] = float(losses_B[seen_B].double().mean())
        return {f"prime/{key}": value for key, value in values.items()}

    @torch.enable_grad()
    def _backward(
        self,
        rollout: TokenContext,
        reference_BT: Tensor,
        outcomes_B: Tensor,
        rows: Tensor,
        count: int,
    ) -> Tensor:
        """Add the gradient of the rows' share in the mean over ``count`` rows; their rewards."""
        batch = rollout.experience.sequences.rows(rows).trimmed()
        with rollout.forward_context():
            logprobs_BT = self._model(batch, rollout.temperature).logprobs_BT
        reference_BT = reference_BT[rows, : logprobs_BT.shape[1]]
        rewards_BT = process_rewards(logprobs_BT, reference_BT, batch.sampled_BT, self.beta)
        (outcome_cross_entropy(rewards_BT, outcomes_B[rows]).sum() / count).backward()
        return rewards_BT.detach()

    def _step(self, rollout: TokenContext) -> None:
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        for parameter in parameters:  # a rank without rows has no gradient
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = rollout.total(gradient)
        nn.utils.clip_grad_norm_(parameters, self.gradient_clip_val)
        self._optimizer.step()


def _check_outcomes(outcomes_B: Tensor) -> None:
    outside = outcomes_B[(outcomes_B < -REWARD_NOISE) | (outcomes_B > 1 + REWARD_NOISE)]
    if len(outside):
        raise ValueError(
            f"PRIME's reward model is trained on outcomes in [0, 1], but data.task gave the reward "
            f"{float(outside[0])}: return 1 for a right and 0 for a wrong response, or take "
            "another model.advantage"
        )
