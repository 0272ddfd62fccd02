"""Exact expected policy gradients, from every response to each prompt."""

import torch
from torch import Tensor

from lit_entropy.advantages.base import AdvantageEstimator, TokenContext
from lit_entropy.functional.advantage import group_mean_center
from lit_entropy.functional.enumeration import centred_rewards
from lit_entropy.functional.masked import masked_sum

#: How far from 1 the probabilities of a group may sum, by rounding in float32.
ROUNDING = 1e-3


class ExactGradient(AdvantageEstimator):
    """Weights by which the loss's gradient is the expected one, without any sampling.

    The group must hold every response to its prompt once (``EnumeratingEngine``). With
    A(y) = r(y) - E_pi[r], the objective is E_x E_{y ~ pi} [A(y) sum_t log pi(y_t)] over the
    expected length: what ``PolicyGradient`` with centred rewards is in expectation. It needs
    ``data.group_filter: none``. Where an RL step has several minibatches, their gradients add up to
    the expected one; that of each is of its own rows alone.
    """

    def __init__(self, natural: bool = False) -> None:
        """Choose the gradient.

        Args:
            natural: the natural gradient of a softmax table with responses of one token, whose
                step changes the logits of every visited state by lr (A - mean A).
        """
        self.natural = natural

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """Rewards less the plain mean of the group; probabilities are known with the tokens."""
        return group_mean_center(rewards_PG).float()

    def token_advantages(self, advantages_PG: Tensor, rollout: TokenContext) -> Tensor:
        """Each token's weight, float64 [B, T]; see :class:`AdvantageEstimator`.

        Raises:
            ValueError: a group is not every response to its prompt or is left out of the objective,
                or natural gradients are asked for with longer responses.
        """
        if not bool(rollout.trained_P.all()):
            raise ValueError(
                f"{int((~rollout.trained_P).sum())} of {len(rollout.trained_P)} groups are left "
                "out of the objective, and ExactGradient weighs every one: set "
                "data.group_filter=none"
            )
        experience, mask_BT = rollout.experience, rollout.experience.response_mask_BT
        if self.natural and mask_BT.shape[1] > 1:
            raise ValueError(
                "ExactGradient.natural=True needs responses of one token: set "
                "model.max_new_tokens=1, or natural=False"
            )
        logprobs_B = masked_sum(experience.old_logprobs_BT, mask_BT, -1, dtype=torch.float64)
        logprobs_PG = logprobs_B.view(advantages_PG.shape)
        check_whole(logprobs_PG.exp().sum(1), advantages_PG.shape[1])
        centred_PG = centred_rewards(advantages_PG.double(), logprobs_PG)
        tokens = int(mask_BT.sum())
        if self.natural:  # the loss divides by the tokens, and no state's share is in the step
            weights_PG = tokens * (centred_PG - centred_PG.mean(1, keepdim=True))
        else:
            lengths_PG = mask_BT.sum(1).view(advantages_PG.shape)
            expected = (logprobs_PG.exp() * lengths_PG).sum()
            weights_PG = tokens / expected * logprobs_PG.exp() * centred_PG
        return weights_PG.flatten()[:, None] * mask_BT


def check_whole(total_P: Tensor, group_size: int) -> None:
    """Refuse groups that are not every response to their prompts.

    Raises:
        ValueError: probabilities that do not sum to 1.
    """
    furthest = float(total_P[(total_P - 1).abs().argmax()])
    if abs(furthest - 1) > ROUNDING:
        raise ValueError(
            f"data.group_size={group_size}: the responses of a group have the probability "
            f"{furthest:.4g} together, and ExactGradient needs every response once: set "
            "model.engine=EnumeratingEngine and data.group_size to the number of responses"
        )
