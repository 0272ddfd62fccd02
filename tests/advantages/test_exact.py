"""ExactGradient: the loss's gradient is the expected one, and what is no expectation is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_entropy.advantages import ExactGradient

P, V = 4, 5


def rollout(logits_PV: Tensor, trained: int = P) -> Any:
    """Every one-token response to each prompt, as an estimator sees it."""
    experience = SimpleNamespace(
        old_logprobs_BT=logits_PV.log_softmax(-1).reshape(-1, 1),
        response_mask_BT=torch.ones(P * V, 1, dtype=torch.bool),
    )
    return SimpleNamespace(experience=experience, trained_P=torch.arange(P) < trained)


@pytest.mark.parametrize("natural", [False, True])
def test_the_gradient_of_the_loss_is_the_expected_one(natural: bool) -> None:
    logits_PV = torch.randn(P, V).double().requires_grad_()
    rewards_PV = torch.rand(P, V)
    estimator = ExactGradient(natural)
    weights_B1 = estimator.token_advantages(estimator(rewards_PV), rollout(logits_PV.detach()))
    loss = -(weights_B1.view(P, V) * logits_PV.log_softmax(-1)).sum() / (P * V)
    (found_PV,) = torch.autograd.grad(-loss, logits_PV)
    if natural:  # the inverse Fisher matrix takes the prompt's share out again
        probabilities_PV = logits_PV.detach().softmax(-1)
        advantages_PV = rewards_PV - (probabilities_PV * rewards_PV).sum(1, keepdim=True)
        expected_PV = advantages_PV - advantages_PV.mean(1, keepdim=True)
    else:
        reward = (logits_PV.softmax(-1) * rewards_PV).sum(1).mean()
        (expected_PV,) = torch.autograd.grad(reward, logits_PV)
    assert torch.allclose(found_PV, expected_PV.double(), atol=1e-6)


def test_groups_that_are_left_out() -> None:
    with pytest.raises(ValueError, match=r"1 of 4 groups are left out .* data\.group_filter=none"):
        ExactGradient().token_advantages(torch.rand(P, V), rollout(torch.randn(P, V), 3))


def test_groups_that_are_not_every_response() -> None:
    given = rollout(torch.randn(P, V))
    given.experience.old_logprobs_BT -= 0.1
    with pytest.raises(ValueError, match=r"group_size=5: .* 0\.9048.*=EnumeratingEngine"):
        ExactGradient().token_advantages(torch.rand(P, V), given)
