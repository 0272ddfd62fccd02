"""Fig. 9, 10 and 12: levels of entropy by coefficient and by knob."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from method_runs import flat_run, without

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.control import figure_9, figure_10, measure_9, measure_10
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.knobs import measure_12, unsteadiness
from lit_entropy.figures.steering import figure_12

BONUS = {1e-4: (0.1, 0.8), 5e-3: (0.3, 0.7), 1e-2: (2.0, 0.2)}


def sweep_runs(label: str = "entropy bonus"):
    base = [flat_run("GRPO", seed, 0.1, 0.8, x=125_000.0) for seed in range(3)]
    return base + [flat_run(label, 0, *level, x=c) for c, level in reversed(BONUS.items())]


@pytest.mark.parametrize(
    "measure, label", [(measure_9, "entropy bonus"), (measure_10, "reference KL")]
)
def test_sweep_by_hand(measure, label):
    measured = measure(sweep_runs(label))
    assert measured.coefficients == [0.0, 1e-4, 5e-3, 1e-2]  # sorted, GRPO first
    assert measured.seeds == [[0, 1, 2], [0], [0], [0]]
    np.testing.assert_allclose([each.mean for each in measured.entropy_ratio], [1, 1, 3, 20])
    assert measured.entropy_ratio[3].values == pytest.approx([20.0])  # paired: seed 0 alone
    assert measured.entropy[0].half_width == pytest.approx(0.0, abs=1e-12)
    assert measured.entropy[3] == Estimate([2.0], 2.0, None)
    # the pairs are those of seed 0; the last fifth of the accuracy is 0.95 of its end
    gains = [gain.mean for gain in measured.accuracy_gain]
    np.testing.assert_allclose(gains, 0.95 * np.array([0, 0, -0.1, -0.6]), atol=1e-12)
    assert measured.accuracy_gain[3].seeds == [0]
    json.dumps(as_json(measured), allow_nan=False)


def test_an_own_zero_replaces_grpo():
    runs = [*sweep_runs(), flat_run("entropy bonus", 5, 0.2, 0.5, x=0.0)]
    measured = measure_9(runs)
    assert measured.seeds[0] == [5]
    assert measured.entropy_ratio[-1] is None
    assert measured.accuracy_gain[-1] is None  # no seed in common


@pytest.mark.parametrize(
    "figure, label, symbol",
    [(figure_9, "entropy bonus", "alpha"), (figure_10, "reference KL", "beta")],
)
def test_sweep_figure(figure, label, symbol):
    drawn = figure(sweep_runs(label))
    entropy, accuracy, outcome = drawn.axes
    assert entropy.get_yscale() == "log" and accuracy.get_yscale() == "linear"
    assert "nats" in entropy.get_ylabel() and "accuracy" in accuracy.get_ylabel()
    assert "nats" in outcome.get_xlabel() and outcome.get_xscale() == "log"
    legend = drawn.legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    assert legend.get_title().get_text() == label
    assert symbol in texts[0] and "0.01 (1 seed)" in texts[-1] and "seed" not in texts[0]
    points = [line.get_xydata()[0] for line in outcome.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points[-1], [2.0, 0.19])
    colours = [line.get_color() for line in outcome.lines if line.get_marker() == "o"]
    assert to_hex(colours[0]) == "#000000"
    brightness = [np.dot(to_rgb(c), [0.2126, 0.7152, 0.0722]) for c in colours]
    assert brightness == sorted(brightness) and len(set(colours)) == 4  # in print without colour


def test_sweep_errors():
    runs = sweep_runs()
    with pytest.raises(ValueError, match="reference KL"):
        figure_10(runs)
    with pytest.raises(ValueError, match="GRPO"):
        figure_9(runs[3:])
    with pytest.raises(ValueError, match=r"entropy bonus-0.01-0.*no x"):
        figure_9([*runs[:3], replace(runs[3], x=None)])
    with pytest.raises(ValueError, match=r"entropy bonus-0.01-0.*val/accuracy"):
        measure_9([*runs[:3], without(runs[3], "val/accuracy")])


def knob_runs(unit: float = 7e-3):
    clip = [flat_run("Clip-Cov", 0, 0.1 * m, 0.5, x=m * unit) for m in (4, 1, 2, 7)]
    clip.append(flat_run("Clip-Cov", 1, 0.3, 0.5, x=unit))
    return clip + [flat_run("KL-Cov", 0, 0.2 + 0.1 * b, 0.5, x=b) for b in (0, 0.05, 0.5, 1)]


@pytest.mark.parametrize("unit", [1.0, 7e-3])
def test_steering_by_hand(unit):
    measured = measure_12(knob_runs(unit))
    clip, kl = measured["Clip-Cov"], measured["KL-Cov"]
    assert clip.knob == [1.0, 2.0, 4.0, 7.0]  # fractions as multiples of the smallest
    assert clip.seeds == [[0, 1], [0], [0], [0]]
    np.testing.assert_allclose([level.mean for level in clip.entropy], [0.2, 0.2, 0.4, 0.7])
    # seed 1 has one value of the knob alone, so that it has no rank correlation
    assert clip.rank_correlation.values == pytest.approx([1.0])
    assert kl.knob == [0.0, 0.05, 0.5, 1.0] and kl.rank_correlation.half_width is None
    assert clip.unsteadiness_of == {0: pytest.approx(0.0, abs=1e-12)}
    assert clip.unsteadiness[0].mean == pytest.approx(0.0, abs=1e-12)
    json.dumps(as_json(measured), allow_nan=False)


def test_rank_correlation_of_each_seed():
    levels = {0: (0.1, 0.2, 0.4, 0.7), 1: (0.2, 0.1, 0.4, 0.7), 2: (0.1, 0.2, 0.4, 0.3)}
    runs = [
        flat_run(label, seed, level, 0.5, x=x)
        for label in ("Clip-Cov", "KL-Cov")
        for seed, each in levels.items()
        for x, level in zip((1.0, 2.0, 4.0, 7.0), each, strict=True)
    ]
    # one neighbouring pair of four exchanged: 1 - 6 (1 + 1) / (4 (16 - 1)) = 0.8
    for knob in measure_12(runs).values():
        assert knob.rank_correlation.values == pytest.approx([1.0, 0.8, 0.8])
    equal = [flat_run("KL-Cov", 3, 0.1, 0.5, x=x) for x in (1.0, 2.0, 4.0, 7.0)]
    assert measure_12([*runs, *equal])["KL-Cov"].rank_correlation is None


def test_unsteadiness_by_hand():
    run = flat_run("KL-Cov", 0, 1.0, 0.5, steps=20)
    entropy = run.history["entropy/token_mean"].copy()
    entropy[-4:] = [1.1, 0.9, 0.9, 1.1]  # mean 1, no slope: deviation 0.1
    shaken = replace(run, history={**run.history, "entropy/token_mean": entropy})
    assert unsteadiness(shaken) == (pytest.approx(0.1))
    short = [
        replace(run, history={k: v[:8] for k, v in run.history.items()}) for run in knob_runs()
    ]
    assert measure_12(short)["KL-Cov"].unsteadiness == [None] * 4  # two rows are a line
    assert measure_12(short)["KL-Cov"].unsteadiness_of == {}


def test_steering_figure():
    figure = figure_12(knob_runs())
    clip, kl, clip_level, kl_level = figure.axes
    assert clip.get_yscale() == kl_level.get_yscale() == "log"
    assert clip.get_legend().get_title().get_text() == "Clip-Cov"
    assert [text.get_text() for text in kl.get_legend().get_texts()][
        1
    ] == r"$\beta$ = 0.05 (1 seed)"
    assert [tick.get_text() for tick in clip_level.get_xticklabels()] == ["1", "2", "4", "7"]
    assert "multiples" in clip_level.get_xlabel() and "beta" in kl_level.get_xlabel()
    means = next(line for line in kl_level.lines if line.get_marker() == "D")
    np.testing.assert_allclose(means.get_xydata(), [[0, 0.2], [0.05, 0.205], [0.5, 0.25], [1, 0.3]])
    assert "+1.00" in kl_level.get_title(loc="left")


def test_steering_errors():
    runs = knob_runs()
    with pytest.raises(ValueError, match="KL-Cov"):
        figure_12(runs[:5])
    with pytest.raises(ValueError, match=r"Clip-Cov.*x = 0.028.*other values"):
        figure_12([runs[0], *runs[5:]])
    with pytest.raises(ValueError, match="must be positive"):
        figure_12([*runs, flat_run("Clip-Cov", 0, 0.1, 0.5, x=0.0)])
    with pytest.raises(ValueError, match="no x"):
        figure_12([*runs, flat_run("KL-Cov", 0, 0.1, 0.5)])
