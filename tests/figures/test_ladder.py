"""Fig. 7 on coefficients that are log-linear by construction, and on a largest that is not."""

import json

import numpy as np
import pytest
from figures.law_runs import law_run, without

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.coefficients import GREEDY, LawMetrics
from lit_entropy.figures.ladder import figure_7, measure_7

SIZES = (1e4, 1e5, 1e6, 1e7)


def ladder(off: float = 0.0, seeds: int = 3) -> list:
    """a = 0.2 + 0.1 log10(size / 10^4) + seed / 100, the largest ``off`` above; b = a + 0.7."""
    runs = []
    for place, size in enumerate(SIZES):
        for seed in range(seeds):
            a = 0.2 + 0.1 * place + seed / 100 + (off if size == SIZES[-1] else 0.0)
            runs.append(law_run(seed, a=a, b=a + 0.7, x=size))
    return runs


def test_trend_and_extrapolation_by_hand():
    measured = measure_7(ladder(off=0.06)[::-1])  # any order of runs
    assert [size.parameters for size in measured.sizes] == list(SIZES)
    assert measured.sizes[1].a.mean == pytest.approx(0.31, rel=1e-9)
    trend = measured.trends["a"]
    assert trend.smaller.slope == pytest.approx(0.1 / np.log(10), rel=1e-8)
    assert trend.predicted == pytest.approx(0.51, rel=1e-8)  # 0.2 + 0.3 + mean of 0, .01, .02
    assert trend.measured == pytest.approx(0.57, rel=1e-8)
    assert trend.error == pytest.approx(-0.06, rel=1e-6)
    # each seed's own smaller sizes foretell its own largest, so that the seeds' levels cancel
    assert trend.error_by_seed.values == pytest.approx([-0.06] * 3, rel=1e-6)
    assert trend.error_by_seed.half_width == pytest.approx(0.0, abs=1e-8)
    values = [0.2, 0.3, 0.4, 0.56]
    r2 = np.corrcoef(np.arange(4), values)[0, 1] ** 2
    assert trend.r2_by_seed.values == pytest.approx([r2] * 3, rel=1e-8)
    assert measured.trends["b"].predicted == pytest.approx(1.21, rel=1e-8)
    assert measured.trends["ceiling"].error == pytest.approx(0, abs=1e-9)
    json.dumps(as_json(measured), allow_nan=False)


def test_slope_over_all_sizes_is_that_of_least_squares():
    trend = measure_7(ladder(off=0.06)).trends["a"]
    parameters = np.repeat(np.log(SIZES), 3)
    values = [0.2 + 0.1 * p + s / 100 + 0.06 * (p == 3) for p in range(4) for s in range(3)]
    slope, intercept = np.polyfit(parameters, values, 1)
    assert trend.slope == pytest.approx(slope, rel=1e-8)
    assert trend.intercept == pytest.approx(intercept, rel=1e-8)
    assert trend.r2 == pytest.approx(np.corrcoef(parameters, values)[0, 1] ** 2, rel=1e-8)


def test_what_is_drawn_is_what_is_measured():
    runs = ladder(off=0.06)
    measured = measure_7(runs)
    for axes, name in zip(figure_7(runs).axes, "ab", strict=True):
        trend = measured.trends[name]
        assert axes.get_xscale() == "log"
        assert "parameters without embeddings" in axes.get_xlabel()
        assert axes.get_ylabel() == f"coefficient {name}"
        assert [text.get_text() for text in axes.get_xticklabels()] == [
            "10 k",
            "100 k",
            "1 M",
            "10 M",
        ]
        seeds = [each for each in axes.collections if len(each.get_offsets()) == 3]
        for scatter, size in zip(seeds, measured.sizes, strict=True):
            np.testing.assert_allclose(scatter.get_offsets()[:, 1], size.coefficient(name).values)
        lines = {line.get_label(): line for line in axes.lines}
        for label, of in (("all sizes", trend), ("without the largest", trend.smaller)):
            x, y = lines[label].get_data()
            np.testing.assert_allclose(y, of.intercept + of.slope * np.log(x))
            np.testing.assert_array_equal(x, [1e4, 1e7])
        np.testing.assert_allclose(
            lines["predicted"].get_xydata(), [[1e7, trend.predicted]], rtol=1e-12
        )
        means = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
        assert means == pytest.approx([size.coefficient(name).mean for size in measured.sizes])
        colours = {line.get_color() for line in axes.lines if line.get_marker() == "o"}
        assert len(colours) == 4


def test_the_sampled_accuracy_is_taken_where_every_run_has_it_throughout():
    runs = ladder()
    assert measure_7(runs).metrics == GREEDY
    for run in runs:
        run.history["val/avg@1"] = 0.5 * run.history["val/accuracy"]
        run.history["val/entropy"] = np.append(run.history["entropy/token_mean"][1:], np.nan)
    measured = measure_7(runs)
    assert measured.metrics == LawMetrics("val/avg@1", "val/entropy")
    assert measured.sizes[1].a.mean == pytest.approx(0.155, rel=1e-9)  # half of 0.31
    assert measured.trends["b"].predicted == pytest.approx(1.21 / 2, rel=1e-8)
    runs[0].history["val/avg@1"][0] = np.nan  # sampled at the ends alone, say
    assert measure_7(runs).metrics == GREEDY


def test_one_seed_a_size_is_enough():
    measured = measure_7(ladder(seeds=1))
    assert measured.trends["a"].error == pytest.approx(0, abs=1e-9)
    assert {size.a.half_width for size in measured.sizes} == {None}
    assert measured.trends["a"].error_by_seed.half_width is None
    assert len(figure_7(ladder(seeds=1)).axes) == 2


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"'GRPO-None-0'.* have no x.*parameters"):
        measure_7([*ladder(), law_run(0)])
    with pytest.raises(ValueError, match="fewer than 3 sizes"):
        measure_7([run for run in ladder() if run.x < 1e6])
    with pytest.raises(ValueError, match=r"\['GRPO'\]"):
        measure_7([law_run(0, label="RLOO", x=1e4)])
    with pytest.raises(ValueError, match=r"'GRPO-10000\.0-0'.*'val/accuracy'"):
        measure_7([without(ladder()[0], "val/accuracy"), *ladder()[1:]])


def test_a_size_has_a_seed_once():
    """Whichever came last counted in the trends, and both in the intervals."""
    again = law_run(0, a=3.0, b=3.7, x=SIZES[-1])
    for runs in ([*ladder(), again], [again, *ladder()]):
        with pytest.raises(ValueError, match=r"both have seed 0: leave one out"):
            measure_7(runs)
