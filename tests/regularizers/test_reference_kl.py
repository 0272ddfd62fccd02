"""The KL penalty to the reference: direction, gradient, masking."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lit_entropy.regularizers import ReferenceKL
from lit_entropy.types import LossBatch, PolicyOutput


def test_hand_values() -> None:
    mask = torch.tensor([[True, True, False]])
    batch = LossBatch(
        mask_BT=mask,
        old_logprobs_BT=torch.zeros(1, 3),
        advantages_BT=torch.zeros(1, 3),
        reference_logprobs_BT=torch.tensor([[-1.0, -2.0, math.nan]]),
    )
    logprobs = torch.tensor([[-1.5, -2.0, math.nan]], requires_grad=True)
    output = ReferenceKL(coef=0.1)(PolicyOutput(logprobs, torch.zeros(1, 3)), batch)
    # k3 of log reference - log pi = 0.5: e^0.5 - 1 - 0.5 = 0.148721
    assert output.token_loss_BT[0].tolist() == pytest.approx([0.0148721, 0.0, 0.0], abs=1e-7)
    assert output.metrics["reference_kl"].item() == pytest.approx(0.0743606, abs=1e-6)  # type: ignore[union-attr]
    output.token_loss_BT.sum().backward()
    # d k3 / d log pi = 1 - e^0.5
    assert logprobs.grad is not None
    assert logprobs.grad[0].tolist() == pytest.approx([0.1 * (1 - math.exp(0.5)), 0.0, 0.0])


@pytest.mark.parametrize("estimator", ["abs", "k1", "k2", "k3"])
def test_policy_at_the_reference_pays_nothing(estimator, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    batch = replace(batch, reference_logprobs_BT=batch.old_logprobs_BT)
    output = ReferenceKL(estimator=estimator)(make_policy(batch, drift=0.0), batch)
    assert not output.token_loss_BT.any()


def test_expected_penalty_is_the_divergence_to_the_reference() -> None:
    log_pi, log_reference = torch.randn(2, 30, dtype=torch.float64).log_softmax(-1)
    batch = LossBatch(
        mask_BT=torch.ones(1, 30, dtype=torch.bool),
        old_logprobs_BT=log_pi[None],
        advantages_BT=torch.zeros(1, 30),
        reference_logprobs_BT=log_reference[None],
    )
    policy = PolicyOutput(log_pi[None], torch.zeros(1, 30))
    loss = ReferenceKL(coef=1.0)(policy, batch).token_loss_BT[0]
    exact = (log_pi.exp() * (log_pi - log_reference)).sum()  # KL(pi || reference)
    torch.testing.assert_close((log_pi.exp() * loss).sum(), exact, rtol=1e-10, atol=0)


def test_missing_reference_and_bad_arguments(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = replace(make_batch(), reference_logprobs_BT=None)
    assert ReferenceKL.needs_reference
    with pytest.raises(ValueError, match=r"batch\.reference_logprobs_BT is None"):
        ReferenceKL()(make_policy(batch), batch)
    with pytest.raises(ValueError, match=r"coef=-1\.0"):
        ReferenceKL(coef=-1.0)
    with pytest.raises(ValueError, match="estimator='k9' is unknown"):
        ReferenceKL(estimator="k9")  # type: ignore[arg-type]
