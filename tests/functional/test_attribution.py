"""Parts of the covariance: hand values, and sums that give the whole."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.functional.attribution import (
    QUADRANTS,
    largest_means,
    least_of_largest,
    position_means,
    quadrant_index,
    quadrant_sums,
    token_totals,
)
from lit_entropy.functional.covariance import tail_means, token_covariance
from lit_entropy.functional.sampled_dynamics import sampled_theorem2
from lit_entropy.types import Experience

NAN = float("nan")
# rows of 2, 1, 3 tokens; padding holds NaN
MASK = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1]]).bool()
PROBABILITIES = torch.tensor([[0.5, 0.49, NAN], [0.9, NAN, NAN], [0.1, 1.0, 0.2]])
ADVANTAGES = torch.tensor([[1.0, 1.0, NAN], [-1.0, NAN, NAN], [0.0, -0.5, -0.5]])
COVARIANCES = torch.tensor([[1.0, -2.0, NAN], [4.0, NAN, NAN], [8.0, 16.0, -32.0]])
TOKENS = torch.tensor([[7, 3, 0], [3, 0, 0], [7, 7, 9]])


def test_quadrants_by_hand() -> None:
    index_BT = quadrant_index(PROBABILITIES.log(), ADVANTAGES, MASK)
    # at the bound itself a token is likely; padding is in no quadrant
    names = [["positive_high", "positive_low"], ["negative_high"]]
    names += [["zero", "negative_high", "negative_low"]]
    assert [[QUADRANTS[index] for index in row if index >= 0] for row in index_BT.tolist()] == names
    assert (index_BT[~MASK] == -1).all()
    sums, counts = quadrant_sums(COVARIANCES, index_BT)
    assert sums.tolist() == [1.0, -2.0, 20.0, -32.0, 8.0] and sums.dtype == torch.float64
    assert counts.tolist() == [1, 1, 2, 1, 1]


@pytest.mark.parametrize("bound", [1e-6, 0.1, 0.3, 0.5, 0.7, 0.999])
def test_a_probability_at_the_bound_is_high(bound: float) -> None:
    logprobs_B1 = torch.tensor([[math.log(bound)], [math.log(bound) - 1e-6]])
    mask_B1 = torch.ones(2, 1, dtype=torch.bool)
    index_B1 = quadrant_index(logprobs_B1, torch.ones(2, 1), mask_B1, bound)
    assert index_B1.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("bound", [0.0, 1.0, -1.0, NAN])
def test_a_bound_that_is_no_probability_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="high_probability"):
        quadrant_index(PROBABILITIES.log(), ADVANTAGES, MASK, bound)


@given(seed=st.integers(0, 10_000), bound=st.floats(0.01, 0.99), rows=st.integers(1, 6))
def test_the_parts_add_up_to_the_mean_covariance(seed: int, bound: float, rows: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask_BT = torch.rand(rows, 9, generator=generator) < 0.7
    mask_BT[0, 0] = True
    logprobs_BT = -torch.empty(rows, 9).exponential_(generator=generator)
    advantages_BT = torch.randint(-1, 2, (rows, 1), generator=generator).expand(rows, 9) * 1.3
    tokens_BT = torch.randint(0, 5, (rows, 9), generator=generator)
    covariance_BT = token_covariance(logprobs_BT, advantages_BT, mask_BT)
    total = int(mask_BT.sum())
    mean = float(covariance_BT[mask_BT].double().mean())

    index_BT = quadrant_index(logprobs_BT, advantages_BT, mask_BT, bound)
    sums, counts = quadrant_sums(covariance_BT, index_BT)
    assert abs(float(sums.sum()) / total - mean) < 1e-12
    assert int(counts.sum()) == total
    totals = token_totals(tokens_BT, covariance_BT, logprobs_BT, advantages_BT, mask_BT)
    assert abs(float(totals.changes_U.sum()) + mean) < 1e-12
    assert int(totals.counts_U.sum()) == total
    _, means_X, share_X = position_means(covariance_BT, mask_BT, 4)
    width_X = torch.tensor([3.0, 3.0, 3.0])  # ceil(9 / 4) positions a bin
    assert abs(float((means_X * share_X * width_X * rows).nansum()) / total - mean) < 1e-12


def test_token_totals_are_those_of_theorem_2(make_experience: Callable[..., Experience]) -> None:
    experience = make_experience(P=5, G=4, T=20)
    mask_BT, tokens_BT = experience.response_mask_BT, experience.tokens_BT
    assert mask_BT is not None and tokens_BT is not None
    logprobs_BT, advantages_BT = experience.old_logprobs_BT, experience.advantages_BT
    covariance_BT = token_covariance(logprobs_BT, advantages_BT, mask_BT)
    totals = token_totals(tokens_BT, covariance_BT, logprobs_BT, advantages_BT, mask_BT)
    predicted = float(sampled_theorem2(logprobs_BT, advantages_BT, mask_BT))
    # token covariances are float32
    assert float(totals.changes_U.sum()) == pytest.approx(predicted, rel=1e-5)


def test_token_totals_by_hand() -> None:
    logprobs_BT = PROBABILITIES.log()
    totals = token_totals(TOKENS, COVARIANCES, logprobs_BT, ADVANTAGES, MASK)
    assert totals.ids_U.tolist() == [3, 7, 9]
    assert totals.counts_U.tolist() == [2, 3, 1]
    assert totals.changes_U.tolist() == pytest.approx([-2 / 6, -25 / 6, 32 / 6], rel=1e-15)
    assert totals.probabilities_U.tolist() == pytest.approx([1.39 / 2, 1.6 / 3, 0.2], rel=1e-6)
    assert totals.advantages_U.tolist() == pytest.approx([0.0, 0.5 / 3, -0.5], abs=1e-12)


def test_position_means_by_hand() -> None:
    starts_X, means_X, share_X = position_means(COVARIANCES, MASK, 10)
    assert starts_X.tolist() == [1, 2, 3]
    assert means_X.tolist() == pytest.approx([13 / 3, 7.0, -32.0], rel=1e-15)
    assert share_X.tolist() == pytest.approx([1, 2 / 3, 1 / 3], rel=1e-15)
    # two bins: positions 1 and 2, and the single position 3
    starts_X, means_X, share_X = position_means(COVARIANCES, MASK, 2)
    assert starts_X.tolist() == [1, 3]
    assert means_X.tolist() == pytest.approx([27 / 5, -32.0], rel=1e-15)
    assert share_X.tolist() == pytest.approx([5 / 6, 1 / 3], rel=1e-15)
    with pytest.raises(ValueError, match="bins"):
        position_means(COVARIANCES, MASK, 0)


def test_a_position_without_tokens_has_no_mean() -> None:
    mask_BT = torch.tensor([[True, False]])
    _, means_X, share_X = position_means(torch.ones(1, 2), mask_BT, 5)
    assert means_X[0] == 1 and means_X[1].isnan() and share_X.tolist() == [1, 0]


def test_largest_means_take_at_least_one_token() -> None:
    means = largest_means(COVARIANCES, MASK, [1e-9, 0.2, 0.5, 1.0])
    assert means.tolist() == pytest.approx([16, 16, 28 / 3, -5 / 6], rel=1e-15)
    enough = [0.2, 0.4, 0.5, 0.75, 1.0]  # from one token on nothing is raised
    torch.testing.assert_close(
        largest_means(COVARIANCES, MASK, enough),
        tail_means(COVARIANCES, MASK, enough),
        rtol=0,
        atol=0,
    )


def test_the_least_of_the_largest_bounds_a_band() -> None:
    sorted_N = sorted(COVARIANCES[MASK].tolist(), reverse=True)
    fractions = [1e-9, 0.2, 0.5, 1.0]
    counts = [max(1, int(fraction * len(sorted_N) + 1e-9)) for fraction in fractions]
    found = least_of_largest(COVARIANCES, MASK, fractions)
    assert found.tolist() == [sorted_N[count - 1] for count in counts]
    # a band from there on holds as many tokens
    assert int((COVARIANCES[MASK] >= found[2]).sum()) == counts[2]
