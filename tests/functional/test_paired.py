"""Paired differences against scipy's paired t test, hand numbers and simulated coverage."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lit_entropy.functional.paired import Difference, mean_of_differences, paired_difference

SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=30)


def test_by_hand() -> None:
    found = paired_difference(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.5, 0.5, 1.0]))
    # differences 0.5, 0, 0: mean 1/6, std sqrt(1/12), SE sqrt(1/36) = 1/6; t(2) = 4.3026527
    assert found.mean == pytest.approx(1 / 6) and found.standard_error == pytest.approx(1 / 6)
    assert (found.problems, found.freedom) == (3, 2)
    assert found.high == pytest.approx(1 / 6 + 4.302652729911275 / 6)
    assert found.low == pytest.approx(1 / 6 - 4.302652729911275 / 6)


@given(SCORES)
def test_singletons_equal_scipys_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    first, second = torch.tensor(pairs, dtype=torch.float64).T
    found = paired_difference(first, second)
    if float((second - first).std()) < 1e-6:
        return
    test = stats.ttest_rel(second.numpy(), first.numpy())
    low, high = test.confidence_interval(0.95)
    assert found.mean / found.standard_error == pytest.approx(test.statistic, rel=1e-6, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


@given(SCORES)
def test_the_other_way_round_changes_the_sign(pairs: list[tuple[float, float]]) -> None:
    first, second = torch.tensor(pairs, dtype=torch.float64).T
    one, two = paired_difference(first, second), paired_difference(second, first)
    assert one.mean == -two.mean and one.standard_error == pytest.approx(two.standard_error)
    assert one.low == pytest.approx(-two.high)


def test_pairing_removes_what_the_problems_share() -> None:
    generator = torch.Generator().manual_seed(0)
    hard = torch.rand(200, generator=generator)
    first, second = 0.8 * hard, 0.8 * hard + 0.05 + 0.02 * torch.rand(200, generator=generator)
    found = paired_difference(first, second)
    unpaired = math.sqrt(float(first.var() + second.var()) / 200)
    assert found.low > 0.05 and found.standard_error < unpaired / 30


def test_clusters_by_hand() -> None:
    first = torch.zeros(4)
    second = torch.tensor([1.0, 1.0, 0.0, 0.0])
    # sums of deviations in the clusters: +1 and -1; SE^2 = 2 / 1 * (1 + 1) / 16 = 1/4
    found = paired_difference(first, second, ["text a", "text a", "text b", "text b"])
    assert found.standard_error == pytest.approx(0.5) and found.freedom == 1
    # doubled problems in one cluster tell no more than the single ones
    alone = paired_difference(torch.zeros(3), torch.tensor([1.0, 0.0, 0.5]))
    double = paired_difference(
        torch.zeros(6), torch.tensor([1.0, 0.0, 0.5] * 2), [0, 1, 2, 0, 1, 2]
    )
    assert double.standard_error == pytest.approx(alone.standard_error)
    assert (double.low, double.high) == pytest.approx((alone.low, alone.high))


def test_one_cluster_has_no_interval() -> None:
    for found in (
        paired_difference(torch.zeros(1), torch.ones(1)),
        paired_difference(torch.zeros(2), torch.ones(2), ["a", "a"]),
    ):
        assert found.mean == 1.0 and math.isnan(found.standard_error) and math.isnan(found.low)


def test_coverage_of_the_interval() -> None:
    """2,000 pairs of runs on 12 problems with a true difference of 0.1: 95 % contain it."""
    generator = torch.Generator().manual_seed(1)
    hits = 0
    for _ in range(2000):
        base = torch.rand(12, generator=generator)
        noise = 0.2 * torch.randn(12, generator=generator)
        found = paired_difference(base, base + 0.1 + noise)
        hits += found.low <= 0.1 <= found.high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors of the share


def test_mean_over_sets() -> None:
    parts = [
        Difference(0.1, 0.03, 0, 0, 30, 29.0),
        Difference(0.3, 0.04, 0, 0, 500, 499.0),
    ]
    found = mean_of_differences(parts)
    assert found.mean == pytest.approx(0.2) and found.problems == 530
    assert found.standard_error == pytest.approx(0.025)  # sqrt(0.03^2 + 0.04^2) / 2
    # (9 + 16)^2 / (9^2 / 29 + 16^2 / 499)
    assert found.freedom == pytest.approx(625 / (81 / 29 + 256 / 499))
    assert found.high == pytest.approx(0.2 + 0.025 * stats.t.ppf(0.975, found.freedom))
    single = mean_of_differences([parts[0], Difference(1.0, math.nan, 0, 0, 1, 0.0)])
    assert single.mean == pytest.approx(0.55) and math.isnan(single.low)
    equal = mean_of_differences([Difference(0.0, 0.0, 0, 0, 30, 29.0)] * 2)
    assert (equal.mean, equal.low, equal.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (torch.zeros(2), torch.zeros(3), r"\(2,\) and \(3,\)"),
        (torch.zeros(0), torch.zeros(0), "at least one"),
        (torch.zeros(2), torch.tensor([0.0, math.nan]), "not finite"),
    ],
)
def test_mistakes(first: torch.Tensor, second: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second)
    with pytest.raises(ValueError, match="1 cluster labels for 2 problems"):
        paired_difference(torch.zeros(2), torch.ones(2), ["a"])
