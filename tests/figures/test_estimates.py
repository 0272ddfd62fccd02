"""Plateaus, smoothing, intervals and paired differences against hand values and scipy."""

import numpy as np
import pytest
from method_runs import NAN, flat_run
from scipy import stats

from lit_entropy.figures.estimates import (
    Estimate,
    by_seed,
    error_bar,
    estimate,
    first,
    labelled,
    last,
    middle,
    paired,
    paired_ratio,
    plateau,
    plateau_values,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.runs import Run


def run_of(values: list[float], start: int = 0) -> Run:
    value_N = np.array(values)
    return Run("r", "GRPO", 0, {"step": np.arange(start, start + len(values)) + 0.0, "k": value_N})


def test_levels_by_hand():
    run = run_of([NAN, *range(1, 11)])  # steps 1 to 10 hold 1 to 10
    assert first(run, "k") == 1.0 and last(run, "k") == 10.0
    np.testing.assert_array_equal(plateau_values(run, "k"), [9.0, 10.0])
    assert plateau(run, "k") == 9.5
    assert middle(run, "k") == 5.0  # steps 4 to 6
    assert plateau(run_of([3.0], start=1), "k") == 3.0
    with pytest.raises(ValueError, match="run r has k of RL step 0 alone"):
        plateau(run_of([3.0]), "k")
    assert plateau(run_of([1.0, NAN, 3.0, NAN, NAN]), "k") == 3.0  # half of the run has it
    with pytest.raises(ValueError, match="run r has k up to RL step 1 of 4 alone"):
        plateau(run_of([1.0, 2.0, NAN, NAN, NAN]), "k")
    assert middle(run_of([3.0, NAN, NAN, 5.0]), "k") == 4.0  # steps 0 and 3 are equally near to 1.5


def test_running_mean_by_hand():
    run = run_of([NAN, 1.0, 4.0, 1.0, NAN, 7.0, 4.0])
    assert smoothing_window(run) == 3
    # (1), (1+4+1)/3, (4+1)/2, none, (7+4)/2, cut at the end (7+4)/2
    np.testing.assert_allclose(
        smoothed(run, "k").history["k"], [NAN, 1.0, 2.0, 2.5, NAN, 5.5, 5.5], rtol=1e-12
    )
    assert np.isnan(run.history["k"][0])  # the run itself is left alone


@pytest.mark.parametrize("rows, window", [(9, 3), (40, 5), (100, 11), (151, 15)])
def test_window_is_a_tenth_and_odd(rows, window):
    assert smoothing_window(run_of([0.0] * rows)) == window


def test_running_mean_keeps_a_straight_line_but_at_the_end():
    line = run_of(list(np.arange(100.0)))
    np.testing.assert_allclose(smoothed(line, "k").history["k"][:95], np.arange(95.0), atol=1e-12)


def test_interval_is_scipys():
    values = [0.2, 0.5, 0.3, 0.7]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    found = estimate(values)
    assert found.mean == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert estimate([0.5]) == Estimate([0.5], 0.5, None)
    assert estimate([0.25, 0.75]) == Estimate([0.25, 0.75], 0.5, None)  # t would give 3.2 each way
    with pytest.raises(ValueError, match="at least one run"):
        estimate([])


def test_pairs_are_scipys_over_the_common_seeds():
    left, right = {0: 0.5, 1: 0.9, 2: 0.4, 7: 99.0}, {2: 0.1, 1: 0.4, 0: 0.3, 8: -99.0}
    found = paired(left, right)
    test = stats.ttest_rel([0.5, 0.9, 0.4], [0.3, 0.4, 0.1])
    interval = test.confidence_interval(0.95)
    assert found.seeds == [0, 1, 2]
    np.testing.assert_allclose(found.values, [0.2, 0.5, 0.3])
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.mean - found.half_width == pytest.approx(interval.low)
    assert found.mean + found.half_width == pytest.approx(interval.high)


def test_pairs_without_spread_or_common_seed():
    assert paired({0: 1.0}, {1: 1.0}) is None
    assert paired({0: 1.5}, {0: 1.0}).half_width is None
    same = paired(*[{0: 1.0, 1: 2.0, 2: 4.0}] * 2)
    assert (same.half_width, same.p_value) == (0.0, None)
    apart = paired({0: 0.5, 1: 0.7, 2: 0.9}, {0: 0.3, 1: 0.5, 2: 0.7})  # 0.2 but for rounding
    assert apart.mean == pytest.approx(0.2) and len(set(apart.values)) > 1
    assert (apart.half_width, apart.p_value) == (0.0, None)
    near = paired({0: 0.5, 1: 0.7, 2: 0.9}, {0: 0.3, 1: 0.5, 2: 0.7 + 1e-9})
    assert near.half_width > 0 and near.p_value < 1e-15
    two = paired({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.0})
    assert (two.mean, two.half_width, two.p_value) == (0.75, None, None)


def test_errors_name_labels_and_runs():
    runs = [flat_run("GRPO", 0, 0.5, 0.5), flat_run("GRPO", 0, 0.5, 0.5, x=2.0)]
    with pytest.raises(ValueError, match=r"\['KL-Cov'\].*GRPO"):
        labelled(runs, "GRPO", "KL-Cov")
    with pytest.raises(ValueError, match=r"GRPO-None-0.*GRPO-2.0-0.*seed 0"):
        by_seed(runs, lambda run: 0.0)


def test_error_bars_of_one_seed_draw_nothing():
    np.testing.assert_array_equal(
        error_bar([Estimate([], 1.0, 0.0448), estimate([1.0])]), [0.0448, NAN]
    )


def test_ratios_are_paired_by_seed():
    found = paired_ratio({0: 1.0, 1: 3.0, 2: 4.0, 7: 9.0}, {0: 2.0, 1: 2.0, 2: 2.0, 8: 1.0})
    assert found is not None and found.values == [0.5, 1.5, 2.0]
    assert found.mean == pytest.approx(4 / 3) and found.half_width is not None
    assert paired_ratio({0: 1.0}, {1: 1.0}) is None
    assert paired_ratio({0: 1.0, 1: 1.0}, {0: 1.0, 1: 0.0}) is None


def test_bounds():
    assert Estimate([], 0.5, 0.125).bounds == (0.375, 0.625)
    assert np.isnan(estimate([0.5]).bounds).all()


def test_means_that_differ_by_rounding_are_no_difference():
    """The last fifth of 240, 240 and 267 right of 300 has the mean of three times 249."""
    one, two = float(np.mean([240 / 300, 240 / 300, 267 / 300])), float(np.mean([249 / 300] * 3))
    assert one != two
    found = paired(dict.fromkeys(range(3), one), dict.fromkeys(range(3), two))
    assert found.values == [0.0] * 3 and found.bounds == (0.0, 0.0)
