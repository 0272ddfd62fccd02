"""Log-probs and entropies: hand values, a float64 reference, chunks, -inf, low precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy, logprobs_and_entropy


def reference(logits, tokens, temperature):
    """Slow float64 loop over rows, from the definitions."""
    logprobs, entropies = [], []
    for row, token in zip(logits.double().tolist(), tokens.tolist(), strict=True):
        weights = [math.exp(z / temperature) for z in row]
        probabilities = [w / sum(weights) for w in weights]
        logprobs.append(math.log(probabilities[token]))
        entropies.append(-sum(p * math.log(p) for p in probabilities if p > 0))
    return logprobs, entropies


def test_hand_values():
    # p = (1/2, 1/4, 1/4): H = 1/2 ln 2 + 2 * 1/4 ln 4 = 1.5 ln 2; uniform over 4: ln 4.
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0, -torch.inf], [3.0, 3.0, 3.0, 3.0]])
    logprobs, entropy = logprobs_and_entropy(logits, torch.tensor([1, 2]))
    assert logprobs.tolist() == pytest.approx([math.log(1 / 4), math.log(1 / 4)], rel=1e-6)
    assert entropy.tolist() == pytest.approx([1.5 * math.log(2), math.log(4)], rel=1e-6)


def test_temperature_hand_value():
    # At temperature 2 the logits (2 ln 3, 0) give p = (3/4, 1/4).
    logits = torch.tensor([[2 * math.log(3.0), 0.0]])
    logprobs, entropy = logprobs_and_entropy(logits, torch.tensor([0]), 2.0)
    assert logprobs.item() == pytest.approx(math.log(0.75), rel=1e-6)
    expected = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert entropy.item() == pytest.approx(expected, rel=1e-6)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000), vocab=st.integers(1, 40), temperature=st.sampled_from([0.5, 1, 3])
)
def test_matches_float64_loop(seed, vocab, temperature):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(7, vocab, generator=generator)
    tokens = torch.randint(0, vocab, (7,), generator=generator)
    logprobs, entropy = logprobs_and_entropy(logits, tokens, temperature)
    expected_logprobs, expected_entropy = reference(logits, tokens, temperature)
    # 16 nats of spread at float32: absolute error a few 1e-6.
    assert logprobs.tolist() == pytest.approx(expected_logprobs, rel=1e-5, abs=1e-5)
    assert entropy.tolist() == pytest.approx(expected_entropy, rel=1e-5, abs=1e-5)
    assert (entropy >= -1e-6).all() and (entropy <= math.log(vocab) + 1e-5).all()
    shifted = logprobs_and_entropy(logits + 5.0, tokens, temperature)
    torch.testing.assert_close(shifted[1], entropy, rtol=1e-4, atol=1e-5)


def test_minus_infinity_in_values_and_gradients():
    """Removing impossible tokens from the vocabulary gives the same numbers and gradients."""
    full = torch.tensor([[1.0, -torch.inf, 0.3, -torch.inf, -2.0]], requires_grad=True)
    short = torch.tensor([[1.0, 0.3, -2.0]], requires_grad=True)
    outputs = logprobs_and_entropy(full, torch.tensor([2]), 0.7)
    expected = logprobs_and_entropy(short, torch.tensor([1]), 0.7)
    torch.testing.assert_close(outputs, expected)
    (outputs[0] + 3 * outputs[1]).sum().backward()
    (expected[0] + 3 * expected[1]).sum().backward()
    torch.testing.assert_close(full.grad[:, [0, 2, 4]], short.grad)
    assert full.grad[:, [1, 3]].tolist() == [[0.0, 0.0]]


def test_entropy_gradient_formula():
    """dH/dz_j = -p_j (log p_j + H), autograd against the closed form."""
    logits = torch.tensor([[0.2, -1.0, 2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    _, entropy = logprobs_and_entropy(logits, torch.tensor([0]))
    entropy.sum().backward()
    p = logits.detach().softmax(-1)
    closed = -p * (p.log() + (-(p * p.log()).sum()))
    torch.testing.assert_close(logits.grad, closed, rtol=1e-5, atol=1e-6)


def test_low_precision_logits_are_scored_in_float32():
    logits = torch.randn(5, 30, generator=torch.Generator().manual_seed(0)).bfloat16()
    tokens = torch.arange(5)
    for got, expected in zip(
        logprobs_and_entropy(logits, tokens),
        logprobs_and_entropy(logits.float(), tokens),
        strict=True,
    ):
        assert got.dtype == torch.float32 and torch.equal(got, expected)


def head_and_hidden(tokens=23, hidden=6, vocab=11):
    generator = torch.Generator().manual_seed(3)
    hidden_ND = torch.randn(tokens, hidden, generator=generator).requires_grad_()
    weight_VD = torch.randn(vocab, hidden, generator=generator).requires_grad_()
    tokens_N = torch.randint(0, vocab, (tokens,), generator=generator)
    return hidden_ND, weight_VD, tokens_N


@pytest.mark.parametrize("chunk_tokens", [1, 5, 22, 23, 100])
def test_chunks_equal_the_plain_formula(chunk_tokens):
    hidden_ND, weight_VD, tokens_N = head_and_hidden()
    weights_N = torch.linspace(-1, 2, 23)

    logprobs, entropy = chunked_logprobs_and_entropy(
        hidden_ND,
        lambda h: h @ weight_VD.T,
        tokens_N,
        0.8,
        vocab_size=11,
        chunk_tokens=chunk_tokens,
        plain_logits=0,
    )
    (weights_N * (logprobs + 0.5 * entropy)).sum().backward()

    hidden64, weight64 = (t.detach().double().requires_grad_() for t in (hidden_ND, weight_VD))
    scores = torch.log_softmax(hidden64 @ weight64.T / 0.8, -1)
    expected_logprobs = scores[torch.arange(23), tokens_N]
    expected_entropy = torch.distributions.Categorical(logits=scores).entropy()
    (weights_N.double() * (expected_logprobs + 0.5 * expected_entropy)).sum().backward()
    # float32 against float64 over 11 logits: a few ulp of values up to 10.
    options = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(logprobs.double(), expected_logprobs, **options)
    torch.testing.assert_close(entropy.double(), expected_entropy, **options)
    torch.testing.assert_close(hidden_ND.grad.double(), hidden64.grad, **options)
    torch.testing.assert_close(weight_VD.grad.double(), weight64.grad, **options)


def test_no_tensor_of_all_logits_is_kept():
    """What the backward pass keeps stays below one chunk of logits; the plain path keeps N * V."""
    hidden_ND, weight_VD, tokens_N = head_and_hidden(tokens=64, hidden=4, vocab=50)
    kept: list[int] = []

    def run(plain_logits):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            chunked_logprobs_and_entropy(
                hidden_ND,
                lambda h: h @ weight_VD.T,
                tokens_N,
                vocab_size=50,
                chunk_tokens=8,
                plain_logits=plain_logits,
            )
        return max(kept)

    assert run(plain_logits=64 * 50) == 64 * 50
    assert run(plain_logits=64 * 50 - 1) < 8 * 50


def test_chunks_without_gradients_and_without_tokens():
    hidden_ND, weight_VD, tokens_N = head_and_hidden()
    head = torch.nn.Linear(6, 11, bias=False)
    head.weight = torch.nn.Parameter(weight_VD.detach())
    options = {"vocab_size": 11, "chunk_tokens": 4, "plain_logits": 0}
    with torch.no_grad():
        got = chunked_logprobs_and_entropy(hidden_ND, head, tokens_N, **options)
        expected = logprobs_and_entropy(head(hidden_ND), tokens_N)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    empty = chunked_logprobs_and_entropy(hidden_ND[:0], head, tokens_N[:0], **options)
    assert [tuple(t.shape) for t in empty] == [(0,), (0,)]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match=r"temperature=.*above 0"):
        logprobs_and_entropy(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), temperature)


def test_bad_chunk_size():
    hidden_ND, weight_VD, tokens_N = head_and_hidden()
    with pytest.raises(ValueError, match="chunk_tokens=0"):
        chunked_logprobs_and_entropy(
            hidden_ND, lambda h: h @ weight_VD.T, tokens_N, vocab_size=11, chunk_tokens=0
        )
