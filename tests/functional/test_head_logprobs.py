"""Scores straight from hidden states: gradients, chunk sizes, dtypes, memory, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lit_entropy.functional.head_logprobs import is_plain_linear, linear_logprobs_and_entropy
from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy, logprobs_and_entropy


def inputs(
    N: int = 23, D: int = 6, V: int = 31, dtype: torch.dtype = torch.float32, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, weight and bias as leaves, and tokens."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (N, D), (V, D), (V,)
    leaves = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    hidden_ND, weight_VD, bias_V = (leaf.to(dtype).requires_grad_() for leaf in leaves)
    return hidden_ND, weight_VD, bias_V, torch.randint(V, (N,), generator=generator)


def reference(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    tokens_N: Tensor,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """torch's own distributions, in the dtype of the inputs."""
    logits_NV = linear(hidden_ND, weight_VD, bias_V) / temperature
    distribution = torch.distributions.Categorical(logits=logits_NV)
    return distribution.log_prob(tokens_N), distribution.entropy()


def with_gradients(outputs: tuple[Tensor, Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """Outputs and the gradients of a sum that weighs every token and both outputs differently."""
    weights_N = torch.linspace(-1, 2, len(outputs[0])).to(outputs[0])
    total = (weights_N * outputs[0] + weights_N.flip(0) * outputs[1]).sum()
    return [*outputs, *torch.autograd.grad(total, leaves)]


def assert_all_close(got: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    """Every value within ``tolerance`` of the largest one of its tensor."""
    for value, other in zip(got, expected, strict=True):
        size = float(other.detach().abs().max())
        error = float((value.double() - other.double()).detach().abs().max())
        assert error <= tolerance * size, (error, size)


@settings(max_examples=15)
@given(
    N=st.integers(1, 5), D=st.integers(1, 3), V=st.integers(2, 7),
    chunk_tokens=st.integers(1, 6), chunk_vocab=st.integers(1, 8),
    temperature=st.sampled_from([1.0, 0.6, 2.5]), with_bias=st.booleans(),
)  # fmt: skip
def test_gradcheck(
    N: int, D: int, V: int, chunk_tokens: int, chunk_vocab: int, temperature: float, with_bias: bool
) -> None:
    hidden_ND, weight_VD, bias_V, tokens_N = inputs(N, D, V, torch.float64)

    def function(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        bias = leaves[2] if with_bias else None
        return linear_logprobs_and_entropy(
            leaves[0], leaves[1], bias, tokens_N, temperature,
            chunk_tokens=chunk_tokens, chunk_vocab=chunk_vocab,
        )  # fmt: skip

    leaves = (hidden_ND, weight_VD, bias_V)[: 2 + with_bias]
    assert torch.autograd.gradcheck(function, leaves)
    expected = reference(hidden_ND, weight_VD, leaves[2] if with_bias else None, tokens_N,
                         temperature)  # fmt: skip
    torch.testing.assert_close(function(*leaves), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunks", [(1, 1), (5, 4), (23, 31), (100, 7), (4, 100)])
def test_float32_equals_float64_for_every_chunk_size(
    chunks: tuple[int, int], temperature: float
) -> None:
    hidden_ND, weight_VD, bias_V, tokens_N = inputs()
    leaves = [hidden_ND, weight_VD, bias_V]
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    outputs = linear_logprobs_and_entropy(
        hidden_ND, weight_VD, bias_V, tokens_N, temperature,
        chunk_tokens=chunks[0], chunk_vocab=chunks[1],
    )  # fmt: skip
    assert outputs[0].dtype == outputs[1].dtype == torch.float32
    expected = with_gradients(reference(*exact, tokens_N, temperature), exact)
    assert_all_close(with_gradients(outputs, leaves), expected, 2e-6)


def test_by_hand() -> None:
    """Probabilities 1/2, 1/4, 1/8, 1/8: H = 7/4 log 2, and the gradient of its formula."""
    p_V = torch.tensor([0.5, 0.25, 0.125, 0.125])
    hidden_ND = torch.ones(1, 1, requires_grad=True)
    weight_VD = p_V.log()[:, None].requires_grad_()
    logprob_N, entropy_N = linear_logprobs_and_entropy(
        hidden_ND, weight_VD, None, torch.tensor([1]), chunk_vocab=3
    )
    log2 = math.log(2)
    assert logprob_N.item() == pytest.approx(-2 * log2, rel=1e-6)
    assert entropy_N.item() == pytest.approx(1.75 * log2, rel=1e-6)
    (gradient_VD,) = torch.autograd.grad(entropy_N, weight_VD, retain_graph=True)
    expected = [-0.5 * 0.75 * log2, 0.25 * 0.25 * log2] + 2 * [0.125 * 1.25 * log2]
    assert gradient_VD[:, 0].tolist() == pytest.approx(expected, rel=1e-5)
    (gradient_VD,) = torch.autograd.grad(logprob_N, weight_VD)
    assert gradient_VD[:, 0].tolist() == pytest.approx([-0.5, 0.75, -0.125, -0.125], rel=1e-6)


def test_impossible_tokens() -> None:
    """A bias of -inf, also over a whole block and before any finite logit, removes the token."""
    hidden_ND, weight_VD, bias_V, tokens_N = inputs(V=12)
    with torch.no_grad():
        bias_V[:4] = -torch.inf
        bias_V[6] = -torch.inf
    keep_K = torch.tensor([4, 5, 7, 8, 9, 10, 11])
    tokens_N = tokens_N % len(keep_K)
    leaves = [hidden_ND, weight_VD, bias_V]
    outputs = linear_logprobs_and_entropy(*leaves, keep_K[tokens_N], chunk_vocab=4)
    got = with_gradients(outputs, leaves)
    short = [hidden_ND, weight_VD[keep_K], bias_V[keep_K]]
    expected = with_gradients(linear_logprobs_and_entropy(*short, tokens_N, chunk_vocab=3), short)
    assert_all_close([*got[:3], got[3][keep_K], got[4][keep_K]], expected, 1e-6)
    assert (got[3][[0, 1, 2, 3, 6]] == 0).all() and (got[4][[0, 1, 2, 3, 6]] == 0).all()


def test_either_output_alone() -> None:
    leaves = list(inputs()[:3])
    tokens_N = inputs()[3]
    for index in (0, 1):
        got, expected = (
            torch.autograd.grad(function(*leaves, tokens_N, 0.8)[index].sum(), leaves)
            for function in (linear_logprobs_and_entropy, reference)
        )
        assert_all_close(list(got), list(expected), 2e-6)


def storage(value: Any) -> int | None:
    """Where a tensor's numbers lie."""
    return value.untyped_storage().data_ptr() if isinstance(value, Tensor) else None


class Sizes(TorchDispatchMode):
    """Notes the shape of every tensor that an operation makes; views make none."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {storage(value) for value in tree_leaves((args, kwargs or {}))}
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and storage(value) not in given:
                self.shapes.add(tuple(value.shape))
        return result

    @property
    def largest(self) -> int:
        """Elements of the largest tensor."""
        return max(math.prod(shape) for shape in self.shapes)


def head_of(weight_VD: Tensor, kind: type[nn.Linear] = nn.Linear) -> nn.Linear:
    """A head without bias that holds the very leaf."""
    head = kind(weight_VD.shape[1], weight_VD.shape[0], bias=False)
    head.weight = nn.Parameter(weight_VD.detach())
    return head


class OtherLinear(nn.Linear):
    """A head that is not a plain linear layer."""


def shapes_of(kind: type[nn.Linear], frozen: bool = False, plain_logits: int = 0) -> Sizes:
    hidden_ND, weight_VD, _, tokens_N = inputs(N=256, D=4, V=500)
    head = head_of(weight_VD, kind).requires_grad_(not frozen)
    with Sizes() as sizes:
        outputs = chunked_logprobs_and_entropy(
            hidden_ND, head, tokens_N, vocab_size=500, chunk_tokens=16, plain_logits=plain_logits
        )
        (outputs[0] + outputs[1]).sum().backward()
    assert hidden_ND.grad is not None and (head.weight.grad is None) == frozen
    return sizes


def test_no_tensor_exceeds_one_chunk_of_logits() -> None:
    """Forward and backward of 256 tokens over 500 entries in chunks of 16 tokens."""
    assert shapes_of(nn.Linear).largest == 16 * 500
    assert shapes_of(OtherLinear).largest == 16 * 500  # recomputed instead
    assert shapes_of(nn.Linear, plain_logits=256 * 500).largest == 256 * 500  # the check can fail


def test_vocabulary_blocks_bound_every_tensor() -> None:
    hidden_ND, weight_VD, _, tokens_N = inputs(N=256, D=4, V=500)
    with Sizes() as sizes:
        outputs = linear_logprobs_and_entropy(
            hidden_ND, weight_VD, None, tokens_N, chunk_tokens=16, chunk_vocab=50
        )
        (outputs[0] + outputs[1]).sum().backward()
    assert sizes.largest == 500 * 4  # the gradient of the weight; blocks are 16 x 50
    assert (16, 50) in sizes.shapes


def test_a_frozen_head_costs_no_gradient() -> None:
    assert (500, 4) not in shapes_of(nn.Linear, frozen=True).shapes
    assert (500, 4) in shapes_of(nn.Linear).shapes


def test_only_a_plain_linear_head_is_passed_by() -> None:
    head = nn.Linear(2, 3)
    assert is_plain_linear(head)
    assert not is_plain_linear(OtherLinear(2, 3)) and not is_plain_linear(lambda hidden: hidden)
    hooked = nn.Linear(2, 3)
    handle = hooked.register_forward_hook(lambda *_: None)
    assert not is_plain_linear(hooked)
    handle.remove()
    assert is_plain_linear(hooked)
    assert not is_plain_linear(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)))


@pytest.mark.parametrize("kind", [nn.Linear, OtherLinear])
def test_dispatch_gives_the_plain_numbers(kind: type[nn.Linear]) -> None:
    hidden_ND, weight_VD, _, tokens_N = inputs()
    head = head_of(weight_VD, kind)
    leaves = [hidden_ND, head.weight]
    got, expected = (
        with_gradients(
            chunked_logprobs_and_entropy(
                hidden_ND, head, tokens_N, 0.8, vocab_size=31, chunk_tokens=4, plain_logits=limit
            ),
            leaves,
        )
        for limit in (0, 10**6)
    )
    assert_all_close(got, expected, 2e-6)


def test_tied_embedding() -> None:
    """The weight's gradient adds to what it gets as an embedding."""
    _, weight_VD, _, tokens_N = inputs()
    ids_N = tokens_N.roll(1)

    def gradients(function: Any) -> list[Tensor]:
        hidden_ND = nn.functional.embedding(ids_N, weight_VD).tanh()
        return with_gradients(function(hidden_ND, weight_VD, None, tokens_N, 1.0), [weight_VD])

    assert_all_close(gradients(linear_logprobs_and_entropy), gradients(reference), 2e-6)
    seen: list[float] = []  # a gradient arrives where data-parallel training waits for it: once
    weight_VD.register_post_accumulate_grad_hook(lambda leaf: seen.append(float(leaf.grad.norm())))
    hidden_ND = nn.functional.embedding(ids_N, weight_VD).tanh()
    linear_logprobs_and_entropy(hidden_ND, weight_VD, None, tokens_N)[0].sum().backward()
    assert seen == [float(weight_VD.grad.norm())]


def test_no_grad_gives_the_same_bits() -> None:
    arguments = inputs()
    expected = linear_logprobs_and_entropy(*arguments, chunk_tokens=5, chunk_vocab=7)
    with torch.no_grad():
        got = linear_logprobs_and_entropy(*arguments, chunk_tokens=5, chunk_vocab=7)
    assert torch.equal(got[0], expected[0]) and torch.equal(got[1], expected[1])
    assert not got[0].requires_grad and expected[0].requires_grad


def test_no_tokens() -> None:
    hidden_ND, weight_VD, bias_V, tokens_N = inputs()
    outputs = linear_logprobs_and_entropy(hidden_ND[:0], weight_VD, bias_V, tokens_N[:0])
    assert [tuple(value.shape) for value in outputs] == [(0,), (0,)]
    outputs[0].sum().backward()
    assert weight_VD.grad is not None and (weight_VD.grad == 0).all()


@pytest.mark.parametrize("autocast", [False, True], ids=["bf16 weights", "autocast"])
def test_bfloat16_products(autocast: bool) -> None:
    """The matrix products of the plain path: its logits, its gradient's error or less."""
    dtype = torch.float32 if autocast else torch.bfloat16
    hidden_ND, weight_VD, _, tokens_N = inputs(N=64, D=32, V=300, dtype=dtype)
    leaves = [hidden_ND, weight_VD]

    def run(function: Any) -> list[Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            outputs = function()
        assert outputs[0].dtype == outputs[1].dtype == torch.float32
        return with_gradients(outputs, leaves)

    got = run(
        lambda: linear_logprobs_and_entropy(
            hidden_ND, weight_VD, None, tokens_N, chunk_tokens=8, chunk_vocab=64
        )
    )
    plain = run(lambda: logprobs_and_entropy(linear(hidden_ND, weight_VD), tokens_N))
    assert [value.dtype for value in got] == [value.dtype for value in plain]
    # the same bfloat16 logits up to a last bit here and there: float32 sums in another order
    errors_N = (got[0] - plain[0]).detach().abs()
    assert float(errors_N.median()) < 1e-5 and float(errors_N.max()) < 0.2
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    expected = with_gradients(reference(exact[0], exact[1], None, tokens_N, 1.0), exact)
    for value, other, true in zip(got, plain, expected, strict=True):
        ours, theirs = ((x.double() - true).square().mean().sqrt() for x in (value, other))
        assert 0 < ours < 1.2 * theirs


def test_a_second_derivative_is_refused() -> None:
    hidden_ND, weight_VD, _, tokens_N = inputs()
    logprobs_N, _ = linear_logprobs_and_entropy(hidden_ND, weight_VD, None, tokens_N)
    with pytest.raises(RuntimeError, match=r"create_graph=True.*first derivative only"):
        torch.autograd.grad(logprobs_N.sum(), hidden_ND, create_graph=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0.*above 0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"chunk_tokens": 0}, "chunk_tokens=0: use at least 1"),
        ({"chunk_vocab": -1}, "chunk_vocab=-1: use at least 1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear_logprobs_and_entropy(*inputs(), **options)
