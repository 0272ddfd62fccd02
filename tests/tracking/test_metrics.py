"""Weighted means: exact sums, reductions, and no cast to a reduced precision."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.tracking.means import (
    NamedMaxima,
    NamedMeans,
    TokenMean,
    reduce_maxima,
    reduce_means,
)
from lit_entropy.types import Mean


def test_mean_is_weighted_by_tokens() -> None:
    metric = TokenMean()
    metric.update(torch.tensor(2.0), 4)
    metric.update(torch.tensor(3.0), torch.tensor(1))
    # (2 + 3) / (4 + 1); a mean of means would be (0.5 + 3) / 2 = 1.75
    assert metric.compute().item() == 1.0
    metric.reset()
    metric.update(torch.tensor(3.0), 2)
    assert metric.compute().item() == 1.5


def test_without_weight_there_is_no_number() -> None:
    metric = TokenMean()
    metric.update(torch.tensor(0.0), 0)
    assert metric.compute() is None
    assert reduce_means({"a": Mean(torch.tensor(0.0), torch.tensor(0))}, "cpu") == {}
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert TokenMean().compute() is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_an_error(value: float) -> None:
    metric = TokenMean()
    metric.update(torch.tensor(1.0), 1)
    metric.update(torch.tensor(value), 1)
    with pytest.raises(ValueError, match="non-finite"):
        metric.compute()
    one = torch.tensor(1.0)
    with pytest.raises(ValueError, match=r"\['bad'\]"):
        reduce_means({"good": Mean(one, one), "bad": Mean(torch.tensor(value), one)}, "cpu")


@pytest.mark.parametrize("cast", ["to", "half", "bfloat16", "float", "type"])
def test_a_cast_of_the_module_leaves_sums_exact(cast: str) -> None:
    module = torch.nn.ModuleDict({"mean": TokenMean(), "linear": torch.nn.Linear(1, 1)})
    metric = module["mean"]
    metric.update(torch.tensor(0.123456789, dtype=torch.float64), 1)
    arguments = {"to": [torch.bfloat16], "type": [torch.float16]}.get(cast, [])
    getattr(module, cast)(*arguments)
    if cast != "float":
        assert module["linear"].weight.dtype in (torch.bfloat16, torch.float16)
    assert metric.total.dtype == metric.weight.dtype == torch.float64
    for _ in range(1000):
        metric.update(torch.tensor(1.0, dtype=torch.bfloat16), 1)
    # in bfloat16 the sum of 1,000 ones stays at 256
    assert metric.compute().item() == (1000 + 0.123456789) / 1001
    assert metric.compute().dtype == torch.float64
    metric.reset()
    assert metric.total.dtype == torch.float64


def test_a_cast_after_compute_does_not_round_the_cached_value() -> None:
    metric = TokenMean()
    metric.update(torch.tensor(1.0), 3)
    metric.compute()
    torch.nn.ModuleDict({"mean": metric}).to(torch.bfloat16)
    assert metric.compute().item() == 1 / 3


def test_states_follow_the_device() -> None:
    metric = TokenMean().to("meta")
    assert metric.total.device.type == metric.weight.device.type == "meta"


def test_gradients_do_not_enter() -> None:
    metric = TokenMean()
    metric.update(torch.tensor(1.0, requires_grad=True) * 2, 1)
    assert not metric.total.requires_grad


def test_a_large_count_is_exact() -> None:
    metric = TokenMean()
    metric.update(torch.tensor(2.0**24), 2**24)
    metric.update(torch.tensor(1.0), 1)
    assert metric.weight.item() == 2**24 + 1  # float32 would stop at 2^24


pairs = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 50)), min_size=1, max_size=12)


@given(pairs, st.integers(0, 12))
def test_merged_ranks_equal_one_rank(batches: list[tuple[int, int]], cut: int) -> None:
    ranks = [NamedMeans(("a", "b")), NamedMeans(("a", "b"))]
    for number, (total, weight) in enumerate(batches):
        ranks[number >= cut].update({"b": Mean(torch.tensor(float(total)), torch.tensor(weight))})
    ranks[0].merge_state(ranks[1])
    tokens = sum(weight for _, weight in batches)
    total = sum(total for total, _ in batches)
    expected = {"b": float(Fraction(total, tokens))} if tokens else {}
    ranks[0].update({})
    assert ranks[0].compute() == expected


def test_ranks_with_other_names_are_an_error() -> None:
    one = torch.tensor(1.0)
    ranks = [NamedMeans(("a", "b")), NamedMeans(("b", "a"))]
    for rank in ranks:
        rank.update({"a": Mean(one, one)})
    ranks[0].merge_state(ranks[1])
    with pytest.raises(ValueError, match="different keys"):
        ranks[0].compute()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="'c'"):
        NamedMeans(("a",)).update({"c": Mean(torch.tensor(1.0), torch.tensor(1.0))})


@pytest.mark.parametrize("other", [-math.inf, -2.0, 1e-3])
def test_maxima_of_ranks_are_the_maximum(other: float) -> None:
    """A rank without anything has -inf; below zero a maximum is below zero."""
    ranks = [NamedMaxima(("a", "b")), NamedMaxima(("a", "b"))]
    nothing = torch.tensor(-math.inf)
    for value in (-3.0, -5.0):
        ranks[0].update({"a": torch.tensor(value, dtype=torch.float64), "b": nothing})
    ranks[1].update({"b": nothing, "a": torch.tensor(other, dtype=torch.float64)})
    states = torch.stack([rank.largest for rank in ranks])
    ranks[0].largest = ranks[0]._reductions["largest"](states)  # what a collective does
    assert ranks[0].compute() == {"a": max(-3.0, other)}
    assert reduce_maxima({}, "cpu") == {}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_maximum_that_is_not_finite_is_an_error(value: float) -> None:
    maxima = {"good": torch.tensor(1.0), "bad": torch.tensor(value)}
    with pytest.raises(ValueError, match=r"\['bad'\]"):
        reduce_maxima(maxima, "cpu")
    metric = NamedMaxima(("bad",))  # a NaN is not lost to a number that comes later
    for number in (math.nan, 5.0):
        metric.update({"bad": torch.tensor(number)})
    with pytest.raises(ValueError, match=r"\['bad'\]"):
        metric.compute()
