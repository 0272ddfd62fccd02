"""Fig. 3, 4, 5, 6 and 13 on runs of known a and b; what is drawn is what is measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
from figures.law_runs import law_run, without
from matplotlib.colors import to_hex, to_rgba

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.coefficients import GREEDY, Coefficient, LawMetrics, measure_law
from lit_entropy.figures.comparison import (
    ALGORITHMS,
    DISTRIBUTIONS,
    error_ratio,
    figure_6,
    figure_13,
    measure_6,
    measure_13,
)
from lit_entropy.figures.forecast import FIGURE_5B, figure_5, measure_5
from lit_entropy.figures.law import figure_3, measure_3
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import method_colour
from lit_entropy.functional.law import Pairs

NAMES = ["a", "b", "ceiling"]


def line_of(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def curve_on(axes, line):
    """Entropies and accuracies of a drawn curve, on an axis that is logarithmic and falls."""
    left, right = axes.get_xlim()
    assert axes.get_xscale() == "log" and left > right
    assert "nats" in axes.get_xlabel() and "accuracy" in axes.get_ylabel()
    return line.get_xdata(), line.get_ydata()


def test_coefficients_and_t_intervals_by_hand():
    # a of 0.4, 0.5, 0.6 and b of 1.1, 1.2, 1.3: standard deviation 0.1, t of two degrees 4.30265
    law = measure_3([law_run(seed, a=0.4 + seed / 10, b=1.1 + seed / 10) for seed in range(3)])
    half = 4.302652730 * 0.1 / np.sqrt(3)
    for name, mean in (("a", 0.5), ("b", 1.2)):
        assert law.coefficient(name).mean == pytest.approx(mean, rel=1e-10)
        bounds = mean - half, mean + half
        assert law.coefficient(name).bounds == pytest.approx(bounds, rel=1e-8)
    assert law.ceiling.values == pytest.approx([0.7, 0.7, 0.7], rel=1e-10)
    assert law.r2.mean == pytest.approx(1) and law.rmse.mean < 1e-12
    assert law.seeds == [0, 1, 2]
    # validations at steps 0, 2, ... 38 have a rollout after them; that of step 40 has none
    assert [len(point.step) for point in law.points] == [20, 20, 20]
    assert law.points[0].entropy[0] == pytest.approx(0.65)
    json.dumps(as_json(law), allow_nan=False)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_have_no_interval(seeds):
    law = measure_law([law_run(seed, noise=0.02) for seed in range(seeds)])
    for name in NAMES:
        assert law.coefficient(name).half_width is None
        assert len(law.coefficient(name).values) == seeds
    json.dumps(as_json(law), allow_nan=False)


def sampled(run, share, key):
    """The run with a sampled accuracy, a share of the greedy one, and the samples' entropy.

    The latter is that of the same policy, less 0.02 nats.
    """
    entropy = np.append(run.history["entropy/token_mean"][1:], np.nan) - 0.02
    own = {key: share * run.history["val/accuracy"], "val/entropy": entropy}
    return replace(run, history=run.history | own)


def test_accuracy_and_entropy_of_the_most_samples_that_all_runs_have_throughout_are_the_law_s():
    runs = [sampled(law_run(seed), 0.5, "val/avg@4") for seed in range(3)]
    runs = [sampled(run, 0.7, "val/avg@1") for run in runs]
    runs[0] = sampled(runs[0], 0.9, "val/avg@16")  # one run alone
    law, forecasts = measure_law(runs), measure_5(runs)
    # R = -0.25 exp(H + 0.02) + b, so that a is 0.25 exp(0.02)
    for found in (law, forecasts):
        assert found.metrics == LawMetrics("val/avg@4", "val/entropy")
        assert found.a.mean == pytest.approx(0.25 * np.exp(0.02), rel=1e-9)
    assert law.r2.mean == pytest.approx(1, abs=1e-12)
    for figure in (figure_3(runs), figure_5(runs)):
        axes = figure.axes[0]
        assert axes.get_ylabel() == "accuracy, held out (avg@4)"
        assert axes.get_xlabel() == "entropy, held out (nats, log scale)"
    runs[1].history["val/avg@4"][2] = np.nan  # not after one validation
    assert measure_law(runs).metrics == LawMetrics("val/avg@1", "val/entropy")
    # one metric for all that are compared
    others = [law_run(seed, label="RLOO") for seed in range(3)]
    both = measure_6([*runs, *others])
    assert [each.metrics for each in both.laws.values()] == [GREEDY] * 2
    assert both.worse.mean == pytest.approx(1, abs=1e-3)
    assert "greedy" in figure_6([*runs, *others]).axes[0].get_ylabel()
    del runs[2].history["val/entropy"]
    assert measure_law(runs).metrics == GREEDY


def test_numbers_that_do_not_exist_are_none_and_leave_the_text():
    law = measure_law([law_run(0, a=0.0, b=0.5)])  # constant accuracy has no R^2
    assert np.isnan(law.r2.mean)
    assert as_json(law)["r2"]["mean"] is None
    assert str(Coefficient([0.75] * 3, 0.75, 0.0625)) == "0.75 [0.69, 0.81]"
    assert str(Coefficient([0.777], 0.777, None)) == "0.78"
    assert (
        "$R^2$"
        not in figure_3([law_run(0, a=0.0, b=0.5)]).axes[0].get_legend().get_title().get_text()
    )


def test_caveats_name_the_seed():
    law = measure_law([law_run(3, a=-0.5, b=0.0), law_run(4)])
    assert any(sentence.startswith("seed 3: a = -0.5 is negative") for sentence in law.caveats)
    assert not any(sentence.startswith("seed 4") for sentence in law.caveats)


def test_the_law_is_drawn_with_its_points_seeds_and_ceiling():
    runs = [law_run(seed, a=0.4 + seed / 10, b=1.1 + seed / 10) for seed in range(3)]
    law, (axes,) = measure_3(runs), figure_3(runs).axes
    entropy, accuracy = curve_on(axes, line_of(axes, r"$R = -a\,e^{H} + b$"))
    np.testing.assert_allclose(accuracy, 1.2 - 0.5 * np.exp(entropy), rtol=1e-10)
    thin = [line for line in axes.lines if line.get_linewidth() == 0.5]
    for seed, line in enumerate(thin):
        expected = 1.1 + seed / 10 - (0.4 + seed / 10) * np.exp(line.get_xdata())
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-10)
    assert len(thin) == 3
    scatters = [each for each in axes.collections if len(each.get_offsets()) == 20]
    for scatter, point in zip(scatters, law.points, strict=True):
        np.testing.assert_array_equal(
            scatter.get_offsets(), np.transpose([point.entropy, point.accuracy])
        )
    ceiling = line_of(axes, "ceiling 0.70 [0.70, 0.70]")
    np.testing.assert_allclose(ceiling.get_ydata(), 0.7, rtol=1e-10)
    low, high = axes.get_ylim()
    assert low < 0.7 < high
    title = axes.get_legend().get_title().get_text()
    assert "3 seeds" in title and "a = 0.50 [0.25, 0.75]" in title


def test_a_ceiling_that_is_no_accuracy_does_not_squeeze_the_points():
    step = np.arange(6.0)
    entropy = np.array([np.nan, 0.60, 0.58, 0.56, 0.54, 0.52])
    accuracy = np.array([0.1, 0.2, 0.3, 0.4, 0.5, np.nan])  # so steep that b - a is above 2
    history = {"step": step, "entropy/token_mean": entropy, "val/accuracy": accuracy}
    runs = [Run("steep", "GRPO", 0, history)]
    axes = figure_3(runs).axes[0]
    assert measure_3(runs).ceiling.mean > 2
    assert axes.get_ylim()[1] < 0.6
    assert any(line.get_label().startswith("ceiling") for line in axes.lines)


def test_one_seed_is_drawn_without_seed_lines_and_band():
    axes = figure_3([law_run(0)]).axes[0]
    assert len(axes.lines) == 2  # curve and ceiling
    assert len(axes.collections) == 1  # points
    assert "1 seed\n" in axes.get_legend().get_title().get_text()


@pytest.mark.parametrize("a", [0.5, 0.0, -0.5])
def test_no_point_lies_under_the_legend(a):
    runs = [law_run(seed, a=a, b=0.6 + a, noise=0.02) for seed in range(3)]
    figure = figure_3(runs)
    figure.canvas.draw()
    axes = figure.axes[0]
    box = axes.get_legend().get_window_extent()
    points = np.concatenate(
        [axes.transData.transform(each.get_offsets()) for each in axes.collections[:3]]
    )
    assert len(points) == 60
    assert not any(box.contains(*point) for point in points)
    assert box.x0 >= axes.bbox.x0 and box.y0 >= axes.bbox.y0


def test_forecast_by_hand_on_an_exact_law():
    runs = [law_run(seed, a=0.4 + seed / 10) for seed in range(2)]
    measured = measure_5(runs)
    # validations at steps 0, 2, 4 of 40 RL steps, of which the law can pair 0 to 38
    assert measured.fitted == [3, 3] and measured.last_fitted == [4, 4]
    assert measured.steps == 40 and measured.fitted_share == pytest.approx(4 / 40)
    assert measured.a.values == pytest.approx([0.4, 0.5], rel=1e-8)
    assert measured.rmse["law"].mean < 1e-10
    assert measured.best == "law"
    first, rest = 2, slice(3, None)
    for seed, point in enumerate(measured.points):
        accuracy = np.array(point.accuracy)
        error = accuracy[first] - accuracy[rest]
        value = measured.rmse["last value"].values[seed]
        assert value == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)
        value = measured.final_error["last value"].values[seed]
        assert value == pytest.approx(abs(error[-1]), rel=1e-12)
    assert measured.paper == (0.009, 0.005)
    assert FIGURE_5B.measure(runs).paper == (0.012, 0.019)
    assert FIGURE_5B.overlay.measure(runs).paper == (0.012, 0.019)
    json.dumps(as_json(measured), allow_nan=False)


def test_forecast_is_drawn_with_its_rivals():
    runs = [law_run(seed, a=0.4 + seed / 10, noise=0.01) for seed in range(2)]
    measured, (plane, *panels) = measure_5(runs), figure_5(runs).axes
    entropy, accuracy = curve_on(plane, line_of(plane, "law of the fitted points"))
    title = plane.get_title(loc="left")
    assert title == "(a)  GRPO\nfitted to the first 10% of 40 RL steps (3 points)"
    expected = measured.b.mean - measured.a.mean * np.exp(entropy)
    np.testing.assert_allclose(accuracy, expected, rtol=1e-10)
    sizes = [len(each.get_offsets()) for each in plane.collections]
    assert sizes[:4] == [3, 17, 3, 17]  # filled and hollow, by seed
    filled, hollow = plane.collections[:2]
    assert filled.get_facecolors().size and not hollow.get_facecolors().size
    assert [text.get_text() for text in panels[0].get_yticklabels()] == list(measured.rmse)
    paper = measured.paper
    errors = (measured.rmse, paper.rmse), (measured.final_error, paper.final_error)
    for panel, (error, expected) in zip(panels, errors, strict=True):
        assert "percentage points" in panel.get_xlabel()
        rows = list(error)
        means = {
            line.get_ydata()[0]: line.get_xdata()[0]
            for line in panel.lines
            if line.get_marker() == "o"
        }
        for row, method in enumerate(rows):
            assert means[row] == pytest.approx(100 * error[method].mean)
        paper = next(line for line in panel.lines if line.get_marker() == "D")
        assert paper.get_xdata()[0] == pytest.approx(100 * expected)


def test_one_law_for_all_against_one_for_each():
    same = [law_run(seed, label=label) for label in ALGORITHMS for seed in range(2)]
    measured = measure_6(same)
    assert measured.shared.a == pytest.approx(0.5) and measured.shared.n == 160
    assert measured.shared.r2 == pytest.approx(1) and measured.missing == []
    assert measured.worse.values == [1.0, 1.0]  # rounding against rounding
    apart = [law_run(0, b=1.25), law_run(0, b=1.35, label="RLOO")]
    measured = measure_6(apart)
    # the curve in the middle is 0.05 off everywhere, each law none
    assert measured.shared.rmse == pytest.approx(0.05, rel=1e-9)
    assert measured.shared.b == pytest.approx(1.3, rel=1e-9)
    assert measured.separate_rmse < 1e-12
    assert measured.missing == ["REINFORCE++", "PRIME"]
    assert np.isnan(measured.worse.mean)  # no finite multiple of no error
    json.dumps(as_json(measured), allow_nan=False)


def test_how_much_worse_one_law_is_counts_degrees_of_freedom():
    pairs = [Pairs(np.arange(3.0), np.log([1.0, 2.0, 3.0]), np.array([0.0, 0.1, 0.0]))] * 2
    # residuals 1/30 (-1, 2, -1), squares 6/900 each: twice that over 6 - 2, and over 6 - 4
    assert error_ratio(pairs) == pytest.approx(np.sqrt(2 / 4))


def test_algorithms_are_drawn_in_their_colours_with_coefficients():
    runs = [
        law_run(seed, a=0.4 + seed / 10, b=1.25 + place / 10, label=label)
        for place, label in enumerate(ALGORITHMS)
        for seed in range(3)
    ]
    plane, *panels = figure_6(runs).axes
    for place, label in enumerate(ALGORITHMS):
        line = line_of(plane, label)
        entropy, accuracy = curve_on(plane, line)
        np.testing.assert_allclose(accuracy, 1.25 + place / 10 - 0.5 * np.exp(entropy), rtol=1e-9)
        assert to_hex(line.get_color()) == to_hex(method_colour(label))
        for scatter in plane.collections[3 * place : 3 * place + 3]:
            colour = to_rgba(method_colour(label))[:3]
            np.testing.assert_allclose(scatter.get_facecolors()[0][:3], colour)
    assert len(plane.collections) == 12
    for panel, name in zip(panels, "ab", strict=True):
        assert panel.get_xlabel() == f"coefficient {name}"
        assert [len(each.get_offsets()) for each in panel.collections].count(3) == 4  # seeds
    assert [text.get_text() for text in panels[0].get_yticklabels()] == list(ALGORITHMS)
    b = {
        line.get_ydata()[0]: line.get_xdata()[0]
        for line in panels[1].lines
        if line.get_marker() == "o"
    }
    assert b == pytest.approx({place: 1.25 + place / 10 for place in range(4)})


def test_distributions_are_two_curves_of_two_colours():
    runs = [
        law_run(seed, b=b, label=label)
        for label, b in zip(DISTRIBUTIONS, (1.25, 1.0), strict=True)
        for seed in range(2)
    ]
    assert list(measure_13(runs).laws) == list(DISTRIBUTIONS)
    differences = measure_13(runs).differences
    assert differences["a"].values == pytest.approx([0.0, 0.0], abs=1e-9)
    assert differences["b"].values == pytest.approx([0.25, 0.25])
    plane = figure_13(runs).axes[0]
    long, short = (line_of(plane, label) for label in DISTRIBUTIONS)
    np.testing.assert_allclose(long.get_ydata() - short.get_ydata(), 0.25, rtol=1e-9)
    assert to_hex(long.get_color()) != to_hex(short.get_color())
    assert long.get_marker() != short.get_marker()


@pytest.mark.parametrize("function", [figure_3, measure_3, measure_5, figure_5, figure_6])
@pytest.mark.parametrize("key", ["entropy/token_mean", "val/accuracy"])
def test_a_missing_key_is_named_with_its_run(function, key):
    runs = [without(law_run(0), key), law_run(0, label="RLOO")]
    with pytest.raises(ValueError, match=f"'GRPO-None-0'.*'{key}'"):
        function(runs)


def test_missing_labels_are_named():
    other = [Run("a", "KL-Cov", 0, law_run(0).history)]
    for function in (figure_3, figure_5):
        with pytest.raises(ValueError, match=r"\['GRPO'\].*\['KL-Cov'\]"):
            function(other)
    with pytest.raises(ValueError, match=r"no run has label \['RLOO', 'REINFORCE\+\+', 'PRIME'\]"):
        figure_6([law_run(0)])
    with pytest.raises(ValueError, match=DISTRIBUTIONS[1]):
        figure_13([law_run(0, label=DISTRIBUTIONS[0])])


def test_too_few_points_name_their_run():
    with pytest.raises(ValueError, match=r"run 'GRPO-None-0': .*at least 3 pairs.*got 2"):
        measure_3([law_run(0, steps=4)])
    with pytest.raises(ValueError, match=r"run 'GRPO-None-0': .*points after the first 3"):
        measure_5([law_run(0, steps=6)])
