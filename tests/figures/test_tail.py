"""Tables 1 and 2: first rows, bands of difficulty, paired differences against scipy."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from method_runs import NAN, without
from scipy import stats

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.by_difficulty import difficulty_tables, figure_table_2
from lit_entropy.figures.difficulty_scores import AVERAGE, BANDS, measure_table_2, scores
from lit_entropy.figures.methods import METHODS
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import paper_style
from lit_entropy.figures.tail import (
    SHARES,
    figure_table_1,
    measure_table_1,
    overlay_table_1,
    tail_table,
)


def tail_run(seed: int) -> Run:
    """Means of the tails 60, 50, ... 10 (plus the seed) at RL step 1, and others after it."""
    numbers = {"step": np.array([0.0, 1.0, 2.0])}
    for index, (_, key, _) in enumerate(SHARES):
        numbers[key] = np.array([NAN, 60.0 - 10 * index + seed, 1e6])
    return Run(f"grpo-{seed}", "GRPO", seed, numbers)


def test_table_1_takes_the_first_row():
    measured = measure_table_1([tail_run(0), tail_run(2)])
    assert measured.step == 1.0 and measured.seeds == [0, 2]
    assert [row.covariance.mean for row in measured.rows] == [61, 51, 41, 31, 21, 11]
    assert measured.rows[0].times_mean.values == pytest.approx([60 / 10, 62 / 12])
    assert [row.share for row in measured.rows] == [2e-4, 2e-3, 2e-2, 0.2, 0.5, 1.0]
    paper = [row.paper for row in measured.rows]
    assert paper == [5.654, 3.112, 1.385, 0.351, 0.152, 0.003]
    json.dumps(as_json(measured), allow_nan=False)


def test_table_1_without_a_positive_mean_has_no_multiples():
    run = tail_run(0)
    run = replace(run, history={**run.history, "cov/mean": np.array([NAN, -0.1, 0.0])})
    assert {row.times_mean for row in measure_table_1([run]).rows} == {None}


def test_table_1_renderings():
    (table,) = tail_table(measure_table_1([tail_run(0)]))
    shares = ["top 0.02 %", "top 0.2 %", "top 2 %", "top 20 %", "top 50 %", "all"]
    assert [row[0] for row in table.rows] == shares
    assert table.rows[1] == ["top 0.2 %", "50.000", "3.112", "5.0"]
    axes = figure_table_1([tail_run(0)]).axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert "RL step 1 (nats)" in axes.get_ylabel() and "%" in axes.get_xlabel()
    ours = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(ours.get_ydata(orig=False), [60, 50, 40, 30, 20, 10])
    assert "GRPO (1 seed)" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_table_1_errors():
    with pytest.raises(ValueError, match=r"grpo-0.*cov/top_2e-3"):
        figure_table_1([without(tail_run(0), "cov/top_2e-3")])
    with pytest.raises(ValueError, match="GRPO"):
        measure_table_1([replace(tail_run(0), label="KL-Cov")])
    late = replace(tail_run(1), history={**tail_run(1).history, "step": np.array([1.0, 2.0, 3.0])})
    with pytest.raises(ValueError, match=r"first RL step.*: grpo-0 1, grpo-1 2$"):
        measure_table_1([tail_run(0), late])
    # names need not be unique
    with pytest.raises(ValueError, match=r"first RL step.*: grpo-0 1, grpo-0 2$"):
        measure_table_1([tail_run(0), replace(late, name="grpo-0")])


def test_labels_of_other_first_steps_are_not_said_to_be_of_one():
    late = replace(tail_run(1), label="late", history={
        **tail_run(1).history, "step": np.array([4.0, 5.0, 6.0])})  # fmt: skip
    for order in ([tail_run(0), late], [late, tail_run(0)]):
        assert "RL step 1 or 5 (nats)" in overlay_table_1(order).axes[0].get_ylabel()


OFFSET = {"GRPO": [0.0, 0.05, 0.02], "clip-higher": [0.1, 0.02, 0.03]}
OFFSET |= {"Clip-Cov": [0.0, 0.05, 0.02], "KL-Cov": [0.3, 0.2, 0.25]}


def score_run(method: str, seed: int) -> Run:
    """Accuracy 0.6 - 0.05 d plus an offset at the last validation; avg@8 half, pass@4 twice it."""
    numbers = {"step": np.arange(3.0)}
    for d in range(1, 13):
        value = 0.6 - 0.05 * d + OFFSET[method][seed]
        for score, factor in (("accuracy", 1.0), ("avg@8", 0.5), ("pass@2", 9.0), ("pass@4", 2.0)):
            row = np.array([0.9, factor * value, NAN])
            numbers[f"val/{score}/difficulty_{d}"] = row
            numbers[f"val/{score}_se/difficulty_{d}"] = row
    return Run(f"{method}-{seed}", method, seed, numbers)


def score_runs(seeds: int = 3) -> list[Run]:
    return [score_run(method, seed) for method in METHODS for seed in range(seeds)]


def test_table_2_by_hand():
    measured = measure_table_2(score_runs())
    assert measured.bands == [*BANDS, AVERAGE]
    assert measured.scores == ["pass@1 (greedy)", "avg@8", "pass@4"]
    assert len(measured.rows) == 4 * 3 * 5
    # lengths 2 to 4: 0.6 - 0.05 * 3; 11 and 12: 0.6 - 0.05 * 11.5
    easy = measured.row("GRPO", "pass@1 (greedy)", "2-4").value
    np.testing.assert_allclose(easy.values, np.array(OFFSET["GRPO"]) + 0.45)
    unseen = measured.row("KL-Cov", "pass@4", "11-12, unseen").value
    np.testing.assert_allclose(unseen.values, 2 * (np.array(OFFSET["KL-Cov"]) + 0.025))
    average = measured.row("GRPO", "avg@8", AVERAGE).value.values
    bands = [0.45, 0.3, 0.15, 0.025]
    np.testing.assert_allclose(average, 0.5 * (np.array(OFFSET["GRPO"]) + np.mean(bands)))
    json.dumps(as_json(measured), allow_nan=False)


@pytest.mark.parametrize("method", ["clip-higher", "KL-Cov"])
def test_table_2_differences_are_scipys(method):
    measured = measure_table_2(score_runs())
    difference = measured.row(method, "pass@1 (greedy)", "5-7").difference
    test = stats.ttest_rel(OFFSET[method], OFFSET["GRPO"])
    interval = test.confidence_interval(0.95)
    assert difference.p_value == pytest.approx(test.pvalue)
    assert difference.mean - difference.half_width == pytest.approx(interval.low)
    assert difference.mean + difference.half_width == pytest.approx(interval.high)


def test_table_2_own_bands_and_seeds_without_a_partner():
    runs = [run for run in score_runs() if (run.label, run.seed) != ("GRPO", 1)]
    measured = measure_table_2(runs, {"one": (1,)})
    assert measured.bands == ["one", AVERAGE]
    difference = measured.row("KL-Cov", "avg@8", "one").difference
    assert difference.seeds == [0, 2]
    np.testing.assert_allclose(difference.values, [0.15, 0.115])
    alone = [run for run in score_runs() if run.seed == (run.label == "GRPO")]
    measured = measure_table_2(alone, {"one": (1,)})
    assert measured.row("KL-Cov", "avg@8", "one").difference is None
    assert difficulty_tables(measured)[0].rows[-1] == ["KL-Cov minus GRPO", "n/a", "n/a"]
    assert len(figure_table_2(alone, {"one": (1,)}).axes) == 6


def test_table_2_renderings():
    tables = difficulty_tables(measure_table_2(score_runs()))
    assert [table.header[0] for table in tables] == ["pass@1 (greedy)", "avg@8", "pass@4"]
    grpo = np.array(OFFSET["GRPO"]) + 0.45
    width = stats.t.ppf(0.975, 2) * stats.sem(grpo)
    rows = {row[0]: row[1] for row in tables[0].rows}
    assert rows["GRPO"] == f"{100 * grpo.mean():.1f} ± {100 * width:.1f} %"
    assert rows["Clip-Cov minus GRPO"] == "+0.0 ± 0.0 %"
    figure = figure_table_2(score_runs())
    assert [axes.get_title() for axes in figure.axes[:3]] == ["pass@1 (greedy)", "avg@8", "pass@4"]
    assert "%" in figure.axes[0].get_ylabel() and "points" in figure.axes[3].get_ylabel()
    points = figure.axes[3].containers[-1].lines[0].get_ydata(orig=False)  # KL-Cov, greedy
    np.testing.assert_allclose(points, [100 * np.mean([0.3, 0.15, 0.23])] * 5)
    with paper_style():  # as it is saved
        figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[3].get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_table_2_errors():
    runs = score_runs()
    with pytest.raises(ValueError, match=r"KL-Cov-2.*val/accuracy/difficulty_12"):
        figure_table_2([*runs[:-1], without(runs[-1], "val/accuracy/difficulty_12")])
    with pytest.raises(ValueError, match=r"\['KL-Cov'\]"):
        measure_table_2(runs[:9])
    keys = [key for key in runs[0].history if "pass@" in key]
    for key in keys:
        runs[0] = without(runs[0], key)
    with pytest.raises(ValueError, match=r"val/pass@<n>.*evaluation.samples"):
        scores(runs)
