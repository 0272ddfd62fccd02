"""Fig. 1 and 2: shares by hand on histories of known shape; what is drawn is what is measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.collapse import figure_1, measure_1, overlay_1
from lit_entropy.figures.runs import Run
from lit_entropy.figures.spending import (
    FIGURE_2,
    PAPER_MARKS,
    figure_2,
    measure_2,
    overlay_2,
    shares,
)

STEPS = 24


def grpo(seed: int, shift: float = 0.0, **changed: np.ndarray) -> Run:
    """Entropy 1, 23/24, ... 1/24 in rows 1 to 24; accuracy 0.2 + step / 40 at every second step."""
    step = np.arange(STEPS + 1.0)
    entropy = np.where(step == 0, np.nan, (STEPS + 1 - step) / STEPS) + shift
    accuracy = np.where(step % 2 == 0, 0.2 + step / 40, np.nan)
    history = {"step": step, "entropy/token_mean": entropy, "val/accuracy": accuracy}
    return Run(f"grpo-{seed}", "GRPO", seed, history | changed)


def test_shares_count_the_steps_behind_the_policy_that_was_measured():
    share = shares(grpo(0))
    training, spent = share.entropy
    np.testing.assert_allclose(training, np.arange(24) / 24, rtol=1e-15)
    np.testing.assert_allclose(spent, np.arange(24) / 23, rtol=1e-13)
    training, won = share.gain
    np.testing.assert_allclose(training, np.arange(0, 25, 2) / 24, rtol=1e-15)
    np.testing.assert_allclose(won, np.arange(13) / 12, rtol=1e-13)


def test_measure_2_by_hand():
    late = grpo(1)
    # the second seed wins nothing before step 8, so the gain at 1/3 (step 8) is 0
    accuracy = np.where(late.history["step"] % 2 == 0, 0.2, np.nan)
    accuracy[10::2] = 0.8
    measured = measure_2([grpo(0), grpo(1, **{"val/accuracy": accuracy}), grpo(2)])
    first, second = measured.marks
    assert first.training_share == 1 / 12 and second.training_share == 1 / 3
    # 1/12 of 24 steps is 2 updates: row 3; each step spends 1/23 of the fall
    assert first.entropy.values == pytest.approx([2 / 23] * 3, rel=1e-12)
    assert second.entropy.mean == pytest.approx(8 / 23, rel=1e-12)
    assert first.gain.values == pytest.approx([1 / 12, 0, 1 / 12], abs=1e-12)
    assert second.gain.values == pytest.approx([1 / 3, 0, 1 / 3], abs=1e-12)
    # 1/3, 0, 1/3: standard error 1/9, t of two degrees of freedom 4.30265
    assert second.gain.half_width == pytest.approx(4.302652730 / 9, rel=1e-8)
    # of two of them no interval
    assert measure_2([grpo(0), grpo(2)]).marks[1].gain.half_width is None
    assert (first.paper_entropy, first.paper_gain) == (0.73, 0.76)
    assert (second.paper_entropy, second.paper_gain) == (0.94, 0.93)
    assert measured.validation_spacing == pytest.approx(1 / 12, rel=1e-12)
    assert measured.seeds == 3
    json.dumps(as_json(measured), allow_nan=False)


def test_shares_do_not_depend_on_level_or_scale():
    step = np.arange(STEPS + 1.0)
    stretched = grpo(
        0,
        **{
            "entropy/token_mean": 5 + 3 * grpo(0).history["entropy/token_mean"],
            "val/accuracy": 0.1 + 0.5 * grpo(0).history["val/accuracy"],
            "step": step,
        },
    )
    for curve, expected in zip(shares(stretched), shares(grpo(0)), strict=True):
        np.testing.assert_allclose(curve, expected, rtol=1e-12)


def test_mean_of_seeds_with_different_cadence_is_taken_on_the_union_of_their_points():
    accuracy = np.full(STEPS + 1, np.nan)
    accuracy[[0, 12, 24]] = 0.2, 0.5, 0.8  # on the same straight line
    measured = measure_2([grpo(0), grpo(1, **{"val/accuracy": accuracy})])
    np.testing.assert_allclose(measured.gain.mean, measured.gain.training_share)
    assert measured.validation_spacing == 0.5


def test_measure_1_by_hand():
    measured = measure_1([grpo(0, shift=0.1), grpo(1, shift=0.3), grpo(2, shift=0.2)])
    assert measured.entropy.step == list(range(1, 25))
    assert measured.entropy.mean[0] == pytest.approx(1.2)
    lost = [1 - (1 / 24 + shift) / (1 + shift) for shift in (0.1, 0.3, 0.2)]
    assert measured.entropy_lost.values == pytest.approx(lost)
    assert measured.gain.values == pytest.approx([24 / 40] * 3)
    assert measured.accuracy.half_width == pytest.approx([0.0] * 13, abs=1e-15)
    json.dumps(as_json(measured), allow_nan=False)
    for few in ([grpo(0)], [grpo(0), grpo(1)]):
        assert as_json(measure_1(few).accuracy.half_width) == [None] * 13
        json.dumps(as_json(measure_1(few)), allow_nan=False)


def test_figure_1_draws_seeds_and_the_measured_mean():
    runs = [grpo(0), grpo(1, shift=0.2), grpo(2)]
    measured, (left, right) = measure_1(runs), figure_1(runs).axes
    for axes, course in ((left, measured.entropy), (right, measured.accuracy)):
        assert len(axes.lines) == 4 and len(axes.collections) == 1
        np.testing.assert_array_equal(axes.lines[-1].get_xdata(), course.step)
        np.testing.assert_array_equal(axes.lines[-1].get_ydata(), course.mean)
        assert axes.get_xlabel() == "RL step"
    assert "nats" in left.get_ylabel() and "accuracy" in right.get_ylabel()
    two = figure_1(runs[:2]).axes[0]
    assert len(two.lines) == 3 and not two.collections
    assert two.lines[-1].get_label() == "GRPO (2 seeds)"


def test_figure_2_draws_seeds_the_measured_mean_and_the_papers_marks():
    runs = [grpo(0), grpo(1, shift=0.2), grpo(2)]
    measured, panels = measure_2(runs), figure_2(runs).axes
    for axes, course, column in zip(panels, (measured.entropy, measured.gain), (1, 2), strict=True):
        *thin, mean, paper = axes.lines
        np.testing.assert_array_equal(mean.get_ydata(), course.mean)
        assert mean.get_label() == "GRPO" and len(axes.collections) == 1
        assert [line.get_linewidth() for line in thin] == [0.5] * 3
        points = [(mark[0], mark[column]) for mark in PAPER_MARKS]
        assert [tuple(point) for point in paper.get_xydata()] == points
    alone = figure_2([grpo(0)]).axes[0]
    assert not alone.collections and alone.lines[0].get_label() == "GRPO (1 seed)"


@pytest.mark.parametrize("overlay", [overlay_1, overlay_2])
def test_any_labels_are_laid_over_each_other_in_colours_of_their_own(overlay):
    mine = [Run(f"mine-{seed}", "my loss", seed, grpo(seed).history) for seed in range(3)]
    figure = overlay([grpo(0), *mine, Run("b-0", "another", 0, grpo(0).history)])
    for axes in figure.axes:
        named = {
            line.get_label(): line.get_color()
            for line in axes.lines
            if not line.get_label().startswith(("_", "the paper"))
        }
        assert list(named) == ["GRPO (1 seed)", "my loss", "another (1 seed)"]
        assert len(set(named.values())) == 3
        assert len(axes.collections) == 1  # three seeds have a band, one has none


@pytest.mark.parametrize("function", [measure_1, figure_1, measure_2, figure_2])
def test_what_is_missing_is_named(function):
    with pytest.raises(ValueError, match=r"\['GRPO'\].*\['KL-Cov'\]"):
        function([Run("a", "KL-Cov", 0, grpo(0).history)])
    for key in ("entropy/token_mean", "val/accuracy"):
        history = {name: value for name, value in grpo(0).history.items() if name != key}
        with pytest.raises(ValueError, match=rf"'grpo-0'.*'{key}'"):
            function([Run("grpo-0", "GRPO", 0, history)])


@pytest.mark.parametrize("function", [measure_1, figure_1, overlay_1, measure_2, figure_2])
def test_one_validation_shows_no_change(function):
    accuracy = np.where(np.arange(STEPS + 1) == 0, 0.2, np.nan)
    with pytest.raises(ValueError) as refused:
        function([grpo(0, **{"val/accuracy": accuracy})])
    assert str(refused.value) == (
        "run 'grpo-0' has 'val/accuracy' at RL step 0 alone, and a change takes two: train longer, "
        "or lower trainer.check_val_every_n_epoch"
    )


def test_seeds_that_share_one_validation_have_a_dot():
    early, late = (np.full(STEPS + 1, np.nan) for _ in range(2))
    early[[0, 24]], late[[12, 24]] = (0.2, 0.8), (0.5, 0.6)
    runs = [grpo(0, **{"val/accuracy": early}), grpo(1, **{"val/accuracy": late})]
    first, second, mean = figure_1(runs).axes[1].lines
    assert mean.get_xydata().tolist() == [[24, 0.7]] and mean.get_marker() == "o"
    assert first.get_marker() == second.get_marker() == "None"


def test_a_run_without_fall_or_gain_has_no_shares():
    flat = np.where(np.arange(STEPS + 1) == 0, np.nan, 0.5)
    with pytest.raises(ValueError, match=r"'grpo-0': 'entropy.*' does not fall .*\(fall 0\)"):
        figure_2([grpo(0, **{"entropy/token_mean": flat})])
    falling = 1.0 - grpo(0).history["val/accuracy"]
    with pytest.raises(ValueError, match=r"'grpo-1': 'val/acc.*' does not rise .*\(rise -0.6\)"):
        figure_2([grpo(0), grpo(1, **{"val/accuracy": falling})])


def test_what_is_judged_divides_by_no_gain():
    falling = 1.0 - grpo(0).history["val/accuracy"]
    measured = measure_2([grpo(0), grpo(1), grpo(2, **{"val/accuracy": falling})])
    first, third = measured.marks
    assert measured.rise.values == pytest.approx([0.6, 0.6, -0.6])
    assert measured.fall.values == pytest.approx([23 / 24] * 3)
    # the share of a gain that is none is NaN, and with it the mean
    assert first.gain.values[:2] == pytest.approx([1 / 12] * 2) and np.isnan(first.gain.mean)
    # 1/12 of the gain of 0.6 less a half of it; a third less two thirds
    assert first.gain_ahead.values == pytest.approx([-0.25, -0.25, 0.25])
    assert third.gain_ahead.values == pytest.approx([-0.2, -0.2, 0.2])
    # 2 of 23 falls of 1/24 by then
    assert first.entropy_ahead.values == pytest.approx([(2 - 23 / 2) / 24] * 3)


def test_of_the_time_before_the_first_validation_nothing_is_known():
    """Without the base's validation the first is after step 10: no gain is known at 1/12."""
    accuracy = np.where(np.arange(STEPS + 1) >= 10, grpo(0).history["val/accuracy"], np.nan)
    late = [grpo(seed, **{"val/accuracy": accuracy}) for seed in range(3)]
    first, third = measure_2(late).marks
    assert np.isnan([*first.gain.values, *first.gain_ahead.values, *third.gain.values]).all()
    assert first.gain_ahead.half_width is None
    assert first.entropy.values == pytest.approx([2 / 23] * 3, rel=1e-12)
    early = np.array([np.nan, 0.75, 0.5, 0.25, *[0.0] * (STEPS - 3)])
    spent = [replace(run, history={**run.history, "entropy/token_mean": early}) for run in late]
    found = FIGURE_2.claims[1].judge(measure_2(spent))
    assert found.verdict == "not testable at this scale" and "n/a of the gain" in found.numbers
    # a third of the gain by then, where it is known
    known = [grpo(seed, **{"entropy/token_mean": early}) for seed in range(3)]
    assert FIGURE_2.claims[1].judge(measure_2(known)).verdict == "contradicted"
