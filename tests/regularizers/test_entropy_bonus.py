"""The entropy bonus: value, gradient through the exact entropy, masking."""

from __future__ import annotations

import pytest
import torch

from lit_entropy.regularizers import EntropyBonus
from lit_entropy.types import LossBatch, PolicyOutput


def test_value_gradient_and_masking(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch(filter_groups=True)
    policy = make_policy(batch)
    entropy = policy.entropy_BT.detach().masked_fill(~batch.mask_BT, float("nan")).requires_grad_()
    output = EntropyBonus(0.01)(PolicyOutput(policy.logprobs_BT, entropy), batch)
    output.token_loss_BT.sum().backward()
    expected = -0.01 * policy.entropy_BT.detach() * batch.mask_BT
    torch.testing.assert_close(output.token_loss_BT, expected)
    assert torch.equal(entropy.grad, torch.full_like(expected, -0.01) * batch.mask_BT)
    assert output.metrics["entropy_coef"] == 0.01
    assert policy.logprobs_BT.grad is None


def test_a_descent_step_raises_the_entropy() -> None:
    logits = torch.tensor([[[2.0, 0.0, -1.0]]], requires_grad=True)
    logprobs = logits.log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    mask = torch.ones(1, 1, dtype=torch.bool)
    batch = LossBatch(mask, torch.zeros(1, 1), torch.zeros(1, 1))
    EntropyBonus(1.0)(PolicyOutput(logprobs[..., 0], entropy), batch).token_loss_BT.sum().backward()
    assert logits.grad is not None
    stepped = (logits - 0.01 * logits.grad).detach().log_softmax(-1)
    gain = -(stepped.exp() * stepped).sum() - entropy.detach().sum()
    # first order: the gain is 0.01 |grad|^2
    assert gain.item() == pytest.approx(0.01 * logits.grad.square().sum().item(), rel=2e-2)


def test_bad_coefficient() -> None:
    with pytest.raises(ValueError, match=r"coef=-0\.1 must be a finite number >= 0"):
        EntropyBonus(-0.1)
