"""Inverse-CDF sampling against a slow loop, at its limits, and by its frequencies."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lit_entropy.functional.rng import uniforms
from lit_entropy.functional.sampling import sample_tokens

LAST = 1 - 2**-53  # the largest uniform
INF = float("inf")


def one(logits: list[float], u: float, temperature: float = 1.0) -> tuple[int, float, float]:
    """A single draw as plain numbers."""
    draws = sample_tokens(
        torch.tensor([logits]), torch.tensor([u], dtype=torch.float64), temperature
    )
    token, logprob, entropy = (draw.item() for draw in draws)
    return int(token), logprob, entropy


def slow(logits: list[float], u: float, temperature: float) -> tuple[int, float, float]:
    """The obvious loop in float64; the token whose interval of the CDF holds u."""
    scaled = [logit / (temperature or 1.0) for logit in logits]
    highest = max(scaled)
    weights = [math.exp(value - highest) for value in scaled]
    probs = [weight / sum(weights) for weight in weights]
    token, total = 0, probs[0]
    while total <= u and token < len(probs) - 1:
        token += 1
        total += probs[token]
    if temperature == 0:
        token = logits.index(max(logits))
    entropy = -sum(p * math.log(p) for p in probs if p > 0)
    logprob = scaled[token] - highest - math.log(sum(weights))
    return token, logprob, entropy


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([0.0, 0.3, 1.0, 2.5]),
)
def test_matches_the_slow_loop(logits: list[float], u: float, temperature: float) -> None:
    token, logprob, entropy = one(logits, u, temperature)
    expected, _, expected_entropy = slow(logits, u, temperature)
    if token != expected:  # u on a border that float32 probabilities place 1e-6 beside
        lower = slow(logits, max(u - 3e-6, 0.0), temperature)[0]
        upper = slow(logits, min(u + 3e-6, LAST), temperature)[0]
        assert lower <= token <= upper
    assert entropy == pytest.approx(expected_entropy, rel=1e-5, abs=2e-5)
    scaled = torch.tensor(logits, dtype=torch.float64) / (temperature or 1.0)
    of_token = torch.log_softmax(scaled, -1)[token].item()
    assert logprob == pytest.approx(of_token, rel=1e-5, abs=1e-5)


def test_borders_of_the_cdf() -> None:
    """Probabilities 1/4, 1/4, 1/2 (exact in binary): intervals [0, .25), [.25, .5), [.5, 1)."""
    logits = [0.0, 0.0, math.log(2.0)]
    draws = [one(logits, u)[0] for u in (0.0, 0.24, 0.26, 0.49, 0.51, LAST)]
    assert draws == [0, 0, 1, 1, 2, 2]
    assert one(logits, 0.0)[1] == pytest.approx(math.log(0.25), abs=1e-6)
    # 2 * 1/4 log 4 + 1/2 log 2 = 1.5 log 2
    assert one(logits, 0.0)[2] == pytest.approx(1.5 * math.log(2.0), abs=1e-6)
    equal = [0.0, 0.0]  # exactly 1/2 each: the border belongs to the upper token
    assert one(equal, 0.5)[0] == 1 and one(equal, 0.5 - 2**-53)[0] == 0


@pytest.mark.parametrize("u", [0.0, 0.5, LAST])
def test_impossible_tokens_are_never_drawn(u: float) -> None:
    """-inf at both ends and inside; u = 0 must skip the first, u = 1 - 2^-53 the last."""
    token, logprob, entropy = one([-INF, 0.0, -INF, 0.0, -INF], u)
    assert token == (1 if u < 0.5 else 3)
    assert logprob == pytest.approx(-math.log(2.0), abs=1e-6)
    assert entropy == pytest.approx(math.log(2.0), abs=1e-6)  # no NaN from 0 * -inf
    assert one([-INF, 3.0, -INF], u) == (1, 0.0, 0.0)


def test_the_last_uniform_draws_the_last_possible_token_of_a_large_vocabulary() -> None:
    """150,000 float32 probabilities do not add up to 1: the CDF's own end is the scale."""
    generator = torch.Generator().manual_seed(0)
    logits_BV = 3 * torch.randn(4, 150_000, generator=generator)
    logits_BV[:, -7:] = -INF
    last = torch.full((4,), LAST, dtype=torch.float64)
    tokens_B, logprobs_B, _ = sample_tokens(logits_BV, last, 1.0)
    assert tokens_B.tolist() == [150_000 - 8] * 4
    assert torch.isfinite(logprobs_B).all()


def test_temperature_zero_is_the_argmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits_BV = torch.randn(64, 9, generator=generator)
    for u in (0.0, LAST):
        draws = sample_tokens(logits_BV, torch.full((64,), u, dtype=torch.float64), 0.0)
        assert torch.equal(draws[0], logits_BV.argmax(-1))
        # log-prob and entropy are those of temperature 1
        logprobs_BV = torch.log_softmax(logits_BV.double(), -1)
        torch.testing.assert_close(draws[1].double(), logprobs_BV.amax(-1), rtol=1e-5, atol=1e-6)
        entropies_B = -(logprobs_BV.exp() * logprobs_BV).sum(-1)
        torch.testing.assert_close(draws[2].double(), entropies_B, rtol=1e-5, atol=1e-6)


def test_a_row_does_not_depend_on_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    logits_BV = torch.randn(32, 20, generator=generator)
    uniforms_B = uniforms(0, "test", torch.arange(32))
    whole = sample_tokens(logits_BV, uniforms_B, 0.7)
    for row in range(32):
        alone = sample_tokens(logits_BV[row : row + 1], uniforms_B[row : row + 1], 0.7)
        assert [draw[0].item() for draw in alone] == [draw[row].item() for draw in whole]


def test_nan_logits_give_nan_log_probs_and_no_exception() -> None:
    """The caller's check names the cause; an index out of range here would hide it."""
    logits_BV = torch.zeros(3, 5)
    logits_BV[1, 2] = float("nan")
    for temperature in (1.0, 0.0):
        draws = sample_tokens(logits_BV, torch.full((3,), 0.5).double(), temperature)
        assert ((draws[0] >= 0) & (draws[0] < 5)).all()
        for values in draws[1:]:
            assert torch.isnan(values).tolist() == [False, True, False]


def test_dtypes() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        draws = sample_tokens(torch.zeros(2, 3, dtype=dtype), torch.zeros(2).double(), 1.0)
        assert [draw.dtype for draw in draws] == [torch.int64, torch.float32, torch.float32]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature: float) -> None:
    count = 40_000
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.5])
    uniforms_B = uniforms(0, "frequencies", torch.arange(count))
    tokens_B, _, _ = sample_tokens(logits.expand(count, 5), uniforms_B, temperature)
    observed = torch.bincount(tokens_B, minlength=5)
    expected = count * torch.softmax(logits.double() / temperature, -1)
    assert stats.chisquare(observed.numpy(), expected.numpy()).pvalue > 1e-4
