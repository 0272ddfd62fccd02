"""Counter-based random numbers: fixed values, a second implementation, and their statistics."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lit_entropy.functional import rng_numpy
from lit_entropy.functional.rng import generator, hash_keys, permutation, uniforms

MODULUS = 1 << 64
COUNT = 20_000


def splitmix(*keys: int | str) -> int:
    """The hash in unbounded Python integers, from the published splitmix64; signed 64 bits."""
    state = 0
    for key in keys:
        if isinstance(key, str):
            digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
            key = int.from_bytes(digest, "little")
        state = (state + (key + 1) * 0x9E3779B97F4A7C15) % MODULUS
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % MODULUS
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % MODULUS
        state ^= state >> 31
    return state - MODULUS if state >= MODULUS // 2 else state


def test_golden_values() -> None:
    """A changed constant changes every run: it must be seen here."""
    # the first output of the published splitmix64 seeded with 0 is 0xE220A8397B1DCDAF
    assert int(hash_keys(0)) == 0xE220A8397B1DCDAF - MODULUS == -2152535657050944081
    assert int(hash_keys(1)) == 7960286522194355700
    assert int(hash_keys("sample")) == 5496206657458978295
    assert int(hash_keys(0, "rollout", 3, 0, 100, 7, 2)) == -5299047310113887892
    assert float(uniforms(0, "rollout", 1, 0, 5, 3, 0)) == 0.35424249971623256
    assert uniforms(7, torch.arange(4)).tolist() == [
        0.9153980962857293,
        0.3944572910569193,
        0.30794958315676235,
        0.11848495702066442,
    ]
    assert permutation(8, 0, "prompts", 0).tolist() == [5, 0, 4, 3, 6, 1, 7, 2]
    assert permutation(8, 1, "minibatches", 3, 1).tolist() == [0, 5, 2, 4, 1, 6, 3, 7]


KEY = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.text(max_size=8))


@given(st.lists(KEY, min_size=1, max_size=6))
def test_matches_unbounded_integers(keys: list[int | str]) -> None:
    expected = splitmix(*keys)
    assert int(hash_keys(*keys)) == expected
    # 53 bits fit a float64 exactly
    assert float(uniforms(*keys)) == (expected % MODULUS >> 11) / 2**53


def test_broadcasting_changes_no_value() -> None:
    ids_B = torch.tensor([3, 70, 3, 9])
    samples_B = torch.tensor([0, 1, 1, 5])
    whole_BT = uniforms(2, "rollout", 4, ids_B[:, None], samples_B[:, None], torch.arange(6))
    assert whole_BT.shape == (4, 6) and whole_BT.dtype == torch.float64
    for row in range(4):
        for token in range(6):
            alone = uniforms(2, "rollout", 4, int(ids_B[row]), int(samples_B[row]), token)
            assert alone.shape == () and float(alone) == float(whole_BT[row, token])
    order = torch.tensor([2, 0, 3, 1])
    part_BT = uniforms(2, "rollout", 4, ids_B[order, None], samples_B[order, None], torch.arange(3))
    assert torch.equal(part_BT, whole_BT[order, :3])
    narrow = uniforms(2, ids_B.to(torch.int32))  # the integer type of a key does not matter
    assert torch.equal(narrow, uniforms(2, ids_B))


def test_no_global_state() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = (uniforms(5, torch.arange(9)), permutation(50, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second = (uniforms(5, torch.arange(9)), permutation(50, 5))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


#: Each varies one position of (seed, purpose, step, prompt, sample, token) over COUNT values.
POSITIONS = range(6)


def varied(position: int, shift: int = 0) -> torch.Tensor:
    keys: list[int | str | torch.Tensor] = [0, "rollout", 1, 17, 2, 5]
    keys[position] = torch.arange(COUNT) + shift
    return uniforms(*keys)


@pytest.mark.parametrize("position", POSITIONS)
def test_uniform_along_every_key(position: int) -> None:
    values = varied(position)
    assert float(values.min()) >= 0.0 and float(values.max()) < 1.0
    assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-4
    assert len(values.unique()) == COUNT


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("shift", [1, 2, 64])
def test_neighbouring_keys_are_uncorrelated(position: int, shift: int) -> None:
    values, others = varied(position), varied(position, shift)
    assert stats.pearsonr(values.numpy(), others.numpy()).pvalue > 1e-4
    # neighbours are independent in their joint distribution too, not only in the linear part
    table = torch.histogramdd(torch.stack([values, others], 1), bins=[8, 8]).hist
    assert stats.chisquare(table.flatten().numpy()).pvalue > 1e-4


def test_distinct_purposes_and_orders_of_keys_differ() -> None:
    index = torch.arange(COUNT)
    streams = {purpose: uniforms(0, purpose, index) for purpose in ("rollout", "clip_cov", "")}
    streams["seed 1"] = uniforms(1, "rollout", index)
    streams["order"] = uniforms("rollout", 0, index)
    streams["longer"] = uniforms(0, "rollout", index, 0)
    for first, second in pairwise([*streams, "rollout"]):
        assert not (streams[first] == streams[second]).any()
        pair = (streams[first].numpy(), streams[second].numpy())
        assert stats.pearsonr(*pair).pvalue > 1e-4
    assert int(hash_keys(2, 3)) != int(hash_keys(3, 2))


def test_the_range_excludes_one() -> None:
    """The largest 53-bit number is below 1, and the sign bit of the hash is no sign."""
    assert (MODULUS - 1 >> 11) / 2**53 == 1 - 2**-53
    negative = hash_keys(torch.arange(64)) < 0
    assert negative.any() and not negative.all()
    assert torch.equal(uniforms(torch.arange(64)) >= 0.5, negative)


@given(st.integers(1, 60), st.integers(0, 3))
def test_permutation_is_one(size: int, seed: int) -> None:
    order = permutation(size, seed, "prompts")
    assert order.dtype == torch.int64 and sorted(order.tolist()) == list(range(size))
    assert torch.equal(order, permutation(size, seed, "prompts"))


def test_permutations_are_uniform() -> None:
    """All 24 orders of four, over 4,800 keys: expected 200 each."""
    counts: dict[tuple[int, ...], int] = {}
    for key in range(4800):
        order = tuple(permutation(4, 0, "prompts", key).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_generator_is_a_function_of_the_keys() -> None:
    first = torch.rand(5, generator=generator(3, "draws"))
    assert torch.equal(first, torch.rand(5, generator=generator(3, "draws")))
    assert not torch.equal(first, torch.rand(5, generator=generator(4, "draws")))


def test_numpy_draws_the_same_bits() -> None:
    ids, tokens = torch.arange(-3, 4)[:, None], torch.tensor([0, 1, -(2**63), 2**63 - 1])
    drawn = uniforms(7, "a purpose", -1, ids, tokens)
    found = rng_numpy.uniforms(7, "a purpose", -1, ids.numpy(), tokens.numpy())
    assert found.dtype == np.float64 and (found == drawn.numpy()).all()
    assert rng_numpy.uniforms(3, "x").shape == () and float(uniforms(3, "x")) == float(
        rng_numpy.uniforms(3, "x")
    )
