"""Schulman's estimators against hand values and exact divergences."""

from __future__ import annotations

import math

import pytest
import torch

from lit_entropy.functional.kl import KL_ESTIMATORS, kl_estimate


def test_hand_values_at_ratio_two() -> None:
    x = torch.tensor([math.log(2.0)], dtype=torch.float64)
    assert kl_estimate(x, "abs").item() == pytest.approx(0.6931471805599453)
    assert kl_estimate(x, "k1").item() == pytest.approx(-0.6931471805599453)
    assert kl_estimate(x, "k2").item() == pytest.approx(0.2402265069591007)  # 0.480453 / 2
    assert kl_estimate(x, "k3").item() == pytest.approx(0.3068528194400547)  # 2 - 1 - 0.693147


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_unbiased(estimator: str) -> None:
    # Expectation under q over the whole vocabulary = KL(q || p) = sum q (log q - log p).
    logits_qp = torch.randn(2, 50, dtype=torch.float64)
    log_q, log_p = logits_qp.log_softmax(-1)
    exact = (log_q.exp() * (log_q - log_p)).sum()
    expected = (log_q.exp() * kl_estimate(log_p - log_q, estimator)).sum()  # type: ignore[arg-type]
    torch.testing.assert_close(expected, exact, rtol=1e-12, atol=0)


def test_k2_has_the_gradient_of_the_divergence_on_policy() -> None:
    # The second-order expansion of KL(q || p) at p = q is sum q x^2 / 2: the error is third order.
    base = torch.randn(20, dtype=torch.float64)
    direction = torch.randn(20, dtype=torch.float64)
    errors = []
    for size in (1e-2, 5e-3):
        log_q, log_p = base.log_softmax(-1), (base + size * direction).log_softmax(-1)
        exact = (log_q.exp() * (log_q - log_p)).sum()
        errors.append(((log_q.exp() * kl_estimate(log_p - log_q, "k2")).sum() - exact).item())
    assert errors[0] / errors[1] == pytest.approx(8.0, rel=0.05)  # third order: 2^3


@pytest.mark.parametrize(("estimator", "slope"), [("abs", 0.0), ("k1", -1.0), ("k2", 0), ("k3", 0)])
def test_slope_at_ratio_one(estimator: str, slope: float) -> None:
    x = torch.zeros(3, requires_grad=True)
    kl_estimate(x, estimator).sum().backward()  # type: ignore[arg-type]
    assert x.grad is not None
    assert x.grad.tolist() == [slope] * 3


def test_k3_keeps_its_digits_near_ratio_one() -> None:
    # x = 1e-3: k3 = x^2/2 + x^3/6 = 5.0016671e-7; exp(x) - 1 - x in float32 has 1e-7 of noise.
    value = kl_estimate(torch.tensor([1e-3], dtype=torch.float32), "k3").item()
    assert value == pytest.approx(5.0016671e-7, rel=1e-3)  # expm1(x) - x cancels three digits


@pytest.mark.parametrize("estimator", KL_ESTIMATORS)
def test_finite_for_absurd_ratios(estimator: str) -> None:
    x = torch.tensor([-500.0, 500.0], requires_grad=True)
    value = kl_estimate(x, estimator)  # type: ignore[arg-type]
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_unknown_estimator() -> None:
    with pytest.raises(ValueError, match="estimator='k4' is unknown: choose one of abs, k1"):
        kl_estimate(torch.zeros(1), "k4")  # type: ignore[arg-type]
