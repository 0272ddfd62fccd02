"""Lemma 1, Theorems 1 and 2 against real steps of a tabular softmax policy in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    log_policy_covariance,
    second_order_prediction,
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


def test_second_order_term_against_the_autograd_hessian(logits: Tensor) -> None:
    delta = torch.randn(5, 7, dtype=torch.float64)
    term = second_order_prediction(logits, delta)
    for s in range(5):
        hessian = torch.func.hessian(lambda z: entropy(z[None])[0])(logits[s])
        expected = 0.5 * delta[s] @ hessian @ delta[s]
        assert term[s].item() == pytest.approx(expected.item(), rel=1e-10)


def test_second_order_term_against_finite_differences(logits: Tensor) -> None:
    delta = torch.randn(5, 7, dtype=torch.float64)
    step = 1e-3
    difference = (
        entropy(logits + step * delta) - 2 * entropy(logits) + entropy(logits - step * delta)
    )
    # the central difference has an error O(step^2), here below 1e-5 of the term
    torch.testing.assert_close(
        second_order_prediction(logits, delta), difference / (2 * step**2), rtol=1e-4, atol=1e-6
    )


def test_what_the_second_order_leaves_is_third_order(logits: Tensor) -> None:
    delta = torch.randn(5, 7, dtype=torch.float64)

    def error(eta: float) -> Tensor:
        change = entropy(logits + eta * delta) - entropy(logits)
        first = lemma1_prediction(logits, eta * delta)
        return change - first - second_order_prediction(logits, eta * delta)

    # over all states together: a single one may have next to no cubic term
    ratio = error(2e-3).norm() / error(1e-3).norm()
    assert ratio.item() == pytest.approx(8.0, rel=0.05)


def test_second_order_of_the_uniform_state_by_hand() -> None:
    # log pi + H = 0, so the term is -Var(dz) / 2; dz = (1, -1): -0.5
    uniform = torch.zeros(1, 2, dtype=torch.float64)
    delta = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    assert second_order_prediction(uniform, delta).item() == pytest.approx(-0.5, rel=1e-15)
    impossible = torch.tensor([[0.0, 0.0, -math.inf]], dtype=torch.float64)
    poisoned = torch.tensor([[1.0, -1.0, math.nan]], dtype=torch.float64)
    assert second_order_prediction(impossible, poisoned).item() == pytest.approx(-0.5, rel=1e-15)
