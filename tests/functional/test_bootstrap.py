"""Intervals of the law: their coverage under correlated residuals, and their parts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import linregress, t

from lit_entropy.functional.bootstrap import (
    _circular_blocks,
    _estimators,
    _standard_errors,
    block_length,
    bootstrap,
)
from lit_entropy.functional.law import fit

A, B = 0.6, 1.3


def run(count: int, correlation: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A collapsing entropy and accuracies on the law with AR(1) residuals of sd 0.02."""
    entropy_N = 0.05 + 0.35 * np.exp(-5 * np.arange(count) / count)
    noise_N = rng.normal(size=count)
    for i in range(1, count):
        noise_N[i] = correlation * noise_N[i - 1] + math.sqrt(1 - correlation**2) * noise_N[i]
    return entropy_N, B - A * np.exp(entropy_N) + 0.02 * noise_N


def covered(count: int, correlation: float, runs: int = 400) -> tuple[np.ndarray, float]:
    """Share of runs whose interval holds a, b and b - a: by the bootstrap, and a's by OLS."""
    rng = np.random.default_rng(7)
    inside, ols = np.zeros((runs, 3)), 0
    for index in range(runs):
        entropy_N, accuracy_N = run(count, correlation, rng)
        found = bootstrap(entropy_N, accuracy_N, resamples=199, seed=index)
        truth = ((A, found.a), (B, found.b), (B - A, found.ceiling))
        inside[index] = [low <= value <= high for value, (low, high) in truth]
        other = linregress(np.exp(entropy_N), accuracy_N)
        ols += abs(other.slope + A) <= t.ppf(0.975, count - 2) * other.stderr
    return inside.mean(0), ols / runs


def test_coverage_under_autocorrelation() -> None:
    block, ols = covered(150, 0.7)
    # standard error of a share of 400 at 95 %: 1.1 %
    assert (block > 0.91).all() and (block < 0.99).all(), block
    assert ols < 0.75


def test_coverage_of_independent_residuals() -> None:
    block, ols = covered(60, 0.0)
    assert (block > 0.92).all() and (block < 0.99).all(), block
    assert 0.92 < ols < 0.98


def test_independent_residuals_give_the_textbook_interval() -> None:
    entropy_N, accuracy_N = run(2000, 0.0, np.random.default_rng(0))
    found = bootstrap(entropy_N, accuracy_N, block=1, resamples=1999)
    other = linregress(np.exp(entropy_N), accuracy_N)
    half = 1.96 * np.array([other.stderr, other.intercept_stderr])
    measured = [(high - low) / 2 for low, high in (found.a, found.b)]
    assert measured == pytest.approx(half, rel=0.06)


def test_intervals_are_centred_on_the_fit_and_scale_with_it() -> None:
    entropy_N, accuracy_N = run(40, 0.5, np.random.default_rng(1))
    law, found = fit(entropy_N, accuracy_N), bootstrap(entropy_N, accuracy_N, seed=3)
    for name in ("a", "b", "ceiling"):
        low, high = getattr(found, name)
        assert (low + high) / 2 == pytest.approx(getattr(law, name), rel=1e-12)
    scaled = bootstrap(entropy_N, 2 * accuracy_N + 1, seed=3)
    assert scaled.a == pytest.approx([2 * bound for bound in found.a], rel=1e-9)
    assert scaled.ceiling == pytest.approx([2 * bound + 1 for bound in found.ceiling], rel=1e-9)
    wide = bootstrap(entropy_N, accuracy_N, seed=3, level=0.99)
    assert wide.a.low < found.a.low < found.a.high < wide.a.high


def test_the_seed_alone_decides() -> None:
    entropy_N, accuracy_N = run(40, 0.5, np.random.default_rng(1))
    first = bootstrap(entropy_N, accuracy_N, seed=3)
    np.random.seed(5)
    assert bootstrap(entropy_N, accuracy_N, seed=3) == first
    assert bootstrap(entropy_N, accuracy_N, seed=4) != first


def test_three_pairs_do_not_bound_anything() -> None:
    found = bootstrap([0.1, 0.2, 0.4], [0.6, 0.5, 0.45])
    assert found.ceiling == (-math.inf, math.inf)


@pytest.mark.parametrize("a", [0.6, 0.0])
def test_pairs_on_the_curve_have_an_interval_of_no_width(a: float) -> None:
    entropy_N = np.array([0.1, 0.2, 0.3, 0.5])
    found = bootstrap(entropy_N, B - a * np.exp(entropy_N))
    assert found.a == pytest.approx((a, a), abs=1e-12)
    assert found.ceiling.low == found.ceiling.high == pytest.approx(B - a, rel=1e-12)


def test_block_length_by_hand() -> None:
    threes_N = np.array([1.0] * 3 + [-1.0] * 3 + [1.0] * 3 + [-1.0] * 3 + [1.0] * 3)
    residual_N = np.concatenate([threes_N, -threes_N])
    assert float(residual_N[1:] @ residual_N[:-1]) == 11.0  # 29 products, 9 of them negative
    # r = 11 / 30: 1.1447 (4 * 0.13444 * 30 / 0.86556^2)^(1/3) = 3.18, rounded up
    assert block_length(residual_N) == 4
    step_N = np.array([1.0] * 12 + [-1.0] * 12)  # r = 21 / 24: the formula gives 15, a third is 8
    assert block_length(step_N) == 8
    assert block_length(np.array([1.0, -1.0] * 12)) == 1
    assert block_length(np.zeros(5)) == 1


def test_blocks_are_consecutive_on_a_circle() -> None:
    index_RN = _circular_blocks(7, 3, 500, seed=0)
    assert index_RN.shape == (500, 7)
    for first in (0, 3):
        step_R2 = np.diff(index_RN[:, first : first + 3]) % 7
        assert (step_R2 == 1).all()
    starts = np.bincount(index_RN[:, 3], minlength=7)
    assert starts.min() > 40  # 71 expected of each, sd 8


def test_weights_and_standard_errors_by_hand() -> None:
    weights_3N, design_N2 = _estimators(np.log([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(weights_3N[0], [0.5, 0, -0.5], atol=1e-12)
    np.testing.assert_allclose(weights_3N[1], [4 / 3, 1 / 3, -2 / 3], atol=1e-12)
    np.testing.assert_allclose(weights_3N[2], weights_3N[1] - weights_3N[0], atol=1e-12)
    np.testing.assert_allclose(design_N2 @ [2.0, 1.0], [-1, -3, -5], atol=1e-12)
    residual_N = np.array([1.0, -2.0, 1.0])
    single = _standard_errors(residual_N, weights_3N, 1)
    assert single[0] == pytest.approx(math.sqrt(0.5), rel=1e-12)
    pairs = _standard_errors(np.stack([residual_N, 2 * residual_N]), weights_3N, 2)
    expected = math.sqrt((4 / 3 - 2 / 3) ** 2 + (2 / 3) ** 2)  # blocks {0, 1} and {2}
    np.testing.assert_allclose(pairs[:, 1], [expected, 2 * expected], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 0}, "block=0"),
        ({"block": 3}, "half of the 4 pairs, 2"),
        ({"resamples": 0}, "resamples=0"),
        ({"level": 1.0}, "level=1.0"),
    ],
)
def test_bad_arguments_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap([0.1, 0.2, 0.3, 0.4], [0.5, 0.4, 0.45, 0.3], **options)
