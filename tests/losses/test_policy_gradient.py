"""The vanilla policy gradient on hand values."""

from __future__ import annotations

import math

import pytest
import torch

from lit_entropy.losses import PolicyGradient
from lit_entropy.types import LossBatch, PolicyOutput


def test_hand_values_and_metrics() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True)
    batch = LossBatch(
        mask_BT=torch.tensor([[True, True, False]]),
        old_logprobs_BT=torch.tensor([[-1.0, -2.5, 0.0]]),
        advantages_BT=torch.tensor([[2.0, -0.5, 7.0]]),
    )
    output = PolicyGradient()(PolicyOutput(logprobs, torch.zeros(1, 3)), batch)
    assert output.token_loss_BT.tolist() == [[2.0, -1.0, 0.0]]  # -2 * -1, 0.5 * -2
    output.token_loss_BT.sum().backward()
    assert logprobs.grad is not None and logprobs.grad.tolist() == [[-2.0, 0.5, 0.0]]
    # ratios 1 and e^0.5; k3 = 0 and e^0.5 - 1 - 0.5
    assert float(output.metrics["ratio"]) == pytest.approx((1 + math.exp(0.5)) / 2)  # type: ignore[arg-type]
    assert float(output.metrics["kl"]) == pytest.approx((math.exp(0.5) - 1.5) / 2)  # type: ignore[arg-type]


def test_gradient_does_not_depend_on_the_ratio(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch, drift=2.0)
    PolicyGradient()(policy, batch).token_loss_BT.sum().backward()
    assert torch.equal(policy.logprobs_BT.grad, -batch.advantages_BT * batch.mask_BT)
