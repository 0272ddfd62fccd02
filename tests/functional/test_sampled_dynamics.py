"""Theorems 1 and 2 from sampled actions, against loops, expectations and Lemma 1."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    theorem1_prediction,
    theorem2_prediction,
)
from lit_entropy.functional.sampled_dynamics import (
    bandit_theorem1,
    bandit_theorem2,
    batch_centred_theorem1,
    batch_centred_theorem2,
    discriminator_prediction,
    sampled_theorem1,
    sampled_theorem2,
    state_centred_theorem1,
    state_centred_theorem2,
)

LOGITS = torch.tensor([[0.5, -0.3, 1.2, 0.0], [2.0, -1.0, 0.1, 0.4]], dtype=torch.float64)
ADVANTAGES = torch.tensor([[0.3, -1.0, 0.4, 0.1], [-2.0, 0.7, 0.2, 1.0]], dtype=torch.float64)


def expectation(values_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """E_{a ~ pi} of a function of (the action of each state, its advantage), by summation."""
    total = torch.zeros(len(LOGITS), dtype=torch.float64)
    for action in range(LOGITS.shape[1]):
        actions = torch.full((len(LOGITS),), action)
        total += LOGITS.softmax(-1)[:, action] * values_of(actions, ADVANTAGES[:, action])
    return total


def logprob(actions: Tensor) -> Tensor:
    return LOGITS.log_softmax(-1).gather(-1, actions[:, None]).squeeze(-1)


def test_state_centred_estimates_have_the_exact_theorems_as_expectation() -> None:
    second = expectation(lambda a, A: state_centred_theorem2(logprob(a), entropy(LOGITS), A))
    torch.testing.assert_close(second, theorem2_prediction(LOGITS, ADVANTAGES), rtol=1e-12, atol=0)
    first = expectation(lambda a, A: state_centred_theorem1(logprob(a), entropy(LOGITS), A))
    torch.testing.assert_close(first, theorem1_prediction(LOGITS, ADVANTAGES), rtol=1e-12, atol=0)


def test_state_centred_by_hand() -> None:
    half, one = torch.tensor([math.log(0.5)]), torch.tensor([1.0])
    # log pi + H = -0.6931 + 1 = 0.3069; times A = 2, negated; Theorem 1 halves it (pi = 1/2)
    expected = -2 * (1 - math.log(2))
    assert state_centred_theorem2(half, one, 2 * one).item() == pytest.approx(expected, rel=1e-6)
    assert state_centred_theorem1(half, one, 2 * one).item() == pytest.approx(
        expected / 2, rel=1e-6
    )


def test_discriminator_is_lemma1_of_the_log_prob_gradient() -> None:
    actions = torch.tensor([2, 1])
    advantages = torch.tensor([0.7, -1.3], dtype=torch.float64)
    z = LOGITS.clone().requires_grad_()
    chosen = z.log_softmax(-1).gather(-1, actions[:, None]).squeeze(-1)
    (gradient,) = torch.autograd.grad((advantages * chosen).sum(), z)
    torch.testing.assert_close(
        discriminator_prediction(LOGITS, actions, advantages),
        lemma1_prediction(LOGITS, gradient),
        rtol=1e-12,
        atol=1e-16,
    )


def test_discriminator_of_an_impossible_action_stays_finite() -> None:
    logits = torch.cat([LOGITS, torch.full((2, 1), -math.inf, dtype=torch.float64)], dim=1)
    actions, ones = torch.tensor([0, 3]), torch.ones(2, dtype=torch.float64)
    torch.testing.assert_close(
        discriminator_prediction(logits, actions, ones),
        discriminator_prediction(LOGITS, actions, ones),
    )


def test_discriminator_has_theorem1_as_expectation_for_centred_advantages() -> None:
    # E_a[A (e_a - pi)] = pi (A - E A): Proposition 1's step
    mean = (LOGITS.softmax(-1) * ADVANTAGES).sum(-1, keepdim=True)
    expected = theorem1_prediction(LOGITS, ADVANTAGES - mean)
    average = expectation(lambda a, A: discriminator_prediction(LOGITS, a, A))
    torch.testing.assert_close(average, expected, rtol=1e-12, atol=1e-16)


def test_batch_centred_terms_average_to_the_batch_covariance() -> None:
    logprobs, advantages = -torch.rand(3, 7).double(), torch.randn(3, 7).double()
    mask = torch.ones(3, 7, dtype=torch.bool)
    first = batch_centred_theorem1(logprobs.flatten(), advantages.flatten())
    second = batch_centred_theorem2(logprobs.flatten(), advantages.flatten())
    assert first.mean().item() == pytest.approx(
        sampled_theorem1(logprobs, advantages, mask).item(), rel=1e-12
    )
    assert second.mean().item() == pytest.approx(
        sampled_theorem2(logprobs, advantages, mask).item(), rel=1e-12
    )
    # eq. 10's token covariance is the same quantity with the other sign
    torch.testing.assert_close(
        second,
        -token_covariance(logprobs, advantages, mask).double().flatten(),
        rtol=1e-5,
        atol=1e-6,
    )


def test_sampled_theorems_against_the_statistics_module() -> None:
    logprobs, mask = -torch.rand(4, 6, dtype=torch.float64), torch.rand(4, 6) < 0.7
    advantages = torch.randn(4, 6, dtype=torch.float64)
    x, a = logprobs[mask].tolist(), advantages[mask].tolist()
    n = len(x)

    def covariance(y: list[float]) -> float:  # statistics.covariance has the divisor n - 1
        return statistics.covariance(x, y) * (n - 1) / n

    weighted = [math.exp(p) * q for p, q in zip(x, a, strict=True)]
    poisoned = logprobs.masked_fill(~mask, math.nan)
    assert sampled_theorem2(poisoned, advantages, mask).item() == pytest.approx(-covariance(a))
    assert sampled_theorem1(poisoned, advantages, mask).item() == pytest.approx(
        -covariance(weighted)
    )
    mean = token_covariance(logprobs, advantages, mask)[mask].double().mean().item()
    assert -sampled_theorem2(logprobs, advantages, mask).item() == pytest.approx(mean, rel=1e-5)


def test_sampled_theorem2_converges_to_the_exact_one() -> None:
    logits = torch.tensor([[0.5, -0.3, 1.2, 0.0]], dtype=torch.float64)
    advantages = torch.tensor([[0.3, -1.0, 0.4, 0.1]], dtype=torch.float64)
    actions = torch.multinomial(logits.softmax(-1)[0], 200_000, replacement=True)
    sampled = sampled_theorem2(
        logits.log_softmax(-1)[0, actions][None],
        advantages[0, actions][None],
        torch.ones(1, 200_000, dtype=torch.bool),
    )
    # Monte Carlo: the product's standard deviation is about 0.5, over sqrt(200 000) = 1e-3
    assert sampled.item() == pytest.approx(theorem2_prediction(logits, advantages).item(), abs=4e-3)


def test_bandit_view_against_a_loop() -> None:
    P, G, T = 3, 4, 5
    logprobs, advantages = -torch.rand(P * G, T), torch.randn(P * G)
    mask = torch.arange(T) < torch.randint(1, T + 1, (P * G, 1))
    first = bandit_theorem1(logprobs, advantages, mask, G)
    second = bandit_theorem2(logprobs.masked_fill(~mask, math.nan), advantages, mask, G)
    for p in range(P):
        rows = range(p * G, (p + 1) * G)
        x = [statistics.fmean(logprobs[b][mask[b]].tolist()) for b in rows]
        a = [float(advantages[b]) for b in rows]
        weighted = [math.exp(v) * w for v, w in zip(x, a, strict=True)]
        factor = -(G - 1) / G
        assert second[p].item() == pytest.approx(factor * statistics.covariance(x, a), rel=1e-5)
        assert first[p].item() == pytest.approx(
            factor * statistics.covariance(x, weighted), rel=1e-5
        )


def test_bandit_view_of_bad_or_empty_groups() -> None:
    mask = torch.ones(4, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="group_size=3 does not divide the 4 rows"):
        bandit_theorem2(-torch.rand(4, 2), torch.rand(4), mask, 3)
    mask[3] = False
    values = bandit_theorem2(-torch.rand(4, 2), torch.rand(4), mask, 2)
    assert values.isnan().tolist() == [False, True]
