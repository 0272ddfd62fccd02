"""Lemma 1, Theorems 1 and 2 against real steps of a tabular softmax policy in float64."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.dynamics import (
    bandit_theorem1,
    bandit_theorem2,
    entropy,
    lemma1_prediction,
    log_policy_covariance,
    sampled_theorem1,
    sampled_theorem2,
    theorem1_prediction,
    theorem2_prediction,
)


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(5, 7, dtype=torch.float64)


@pytest.fixture
def advantages(logits: Tensor) -> Tensor:
    raw = torch.randn(5, 7, dtype=torch.float64)
    return raw - (logits.softmax(-1) * raw).sum(-1, keepdim=True)  # E_pi[A] = 0


def assert_error_is_second_order(error: Callable[[float], Tensor]) -> None:
    """Halving a small step must quarter every state's error."""
    ratio = error(2e-4) / error(1e-4)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 4.0), rtol=0.02, atol=0)  # O(eta)


def test_entropy_against_torch_and_limits(logits: Tensor) -> None:
    expected = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(entropy(logits), expected, rtol=1e-12, atol=0)
    assert entropy(torch.zeros(1, 8, dtype=torch.float64)).item() == pytest.approx(math.log(8))
    impossible = torch.tensor([[0.0, 0.0, -math.inf]])
    assert entropy(impossible).item() == pytest.approx(math.log(2))


def test_covariance_against_a_loop(logits: Tensor) -> None:
    values = torch.randn(5, 7, dtype=torch.float64)
    for s, (row, value) in enumerate(zip(logits, values, strict=True)):
        pi = [math.exp(z) / sum(math.exp(y) for y in row.tolist()) for z in row.tolist()]
        mean_log = sum(p * math.log(p) for p in pi)
        mean_value = sum(p * v for p, v in zip(pi, value.tolist(), strict=True))
        expected = sum(
            p * (math.log(p) - mean_log) * (v - mean_value)
            for p, v in zip(pi, value.tolist(), strict=True)
        )
        assert log_policy_covariance(logits, values)[s].item() == pytest.approx(expected, rel=1e-10)


def test_lemma1_is_the_derivative_of_the_entropy(logits: Tensor) -> None:
    delta = torch.randn(5, 7, dtype=torch.float64)
    _, derivative = torch.func.jvp(entropy, (logits,), (delta,))
    torch.testing.assert_close(lemma1_prediction(logits, delta), derivative, rtol=1e-10, atol=1e-14)


def test_lemma1_matches_a_real_step_to_second_order(logits: Tensor) -> None:
    delta = torch.randn(5, 7, dtype=torch.float64)
    assert_error_is_second_order(
        lambda eta: (
            entropy(logits + eta * delta) - entropy(logits) - lemma1_prediction(logits, eta * delta)
        )
    )


def test_theorem1_matches_a_real_policy_gradient_step(logits: Tensor, advantages: Tensor) -> None:
    theta = logits.clone().requires_grad_()
    # J(s) = E_pi[A]; its gradient in z is pi (A - E[A]) = pi A: Proposition 1, by autograd here.
    (theta.softmax(-1) * advantages).sum().backward()
    gradient = theta.grad
    assert gradient is not None
    torch.testing.assert_close(gradient, logits.softmax(-1) * advantages, rtol=1e-10, atol=1e-14)

    def error(eta: float) -> Tensor:
        change = entropy(logits + eta * gradient) - entropy(logits)
        return change - theorem1_prediction(logits, advantages, eta)

    assert_error_is_second_order(error)
    change = entropy(logits + 1e-3 * gradient) - entropy(logits)
    prediction = theorem1_prediction(logits, advantages, 1e-3)
    # first order in eta = 1e-3: relative error of that size
    torch.testing.assert_close(prediction, change, rtol=2e-2, atol=1e-7)


def test_theorem2_matches_a_real_natural_gradient_step(logits: Tensor, advantages: Tensor) -> None:
    # Fisher matrix of a softmax, F = diag(pi) - pi pi^T; the natural gradient is F^+ (pi A).
    pi = logits.softmax(-1)
    fisher = torch.diag_embed(pi) - pi[:, :, None] * pi[:, None, :]
    natural = (torch.linalg.pinv(fisher) @ (pi * advantages)[:, :, None])[:, :, 0]
    assert_error_is_second_order(
        lambda eta: (
            entropy(logits + eta * natural)
            - entropy(logits)
            - theorem2_prediction(logits, advantages, eta)
        )
    )


def test_shifts_of_logits_and_advantages_do_not_matter(logits: Tensor, advantages: Tensor) -> None:
    shifted = theorem2_prediction(logits + 5.0, advantages - 3.0)
    torch.testing.assert_close(shifted, theorem2_prediction(logits, advantages))


def test_impossible_actions_stay_finite() -> None:
    logits = torch.tensor([[0.0, 1.0, -math.inf]], dtype=torch.float64)
    delta = torch.tensor([[0.5, -0.5, math.nan]], dtype=torch.float64)
    expected = lemma1_prediction(logits[:, :2], delta[:, :2])
    torch.testing.assert_close(lemma1_prediction(logits, delta), expected)


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
