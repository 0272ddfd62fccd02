"""Means over the last tenth, intervals, and differences paired by seed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from lit_entropy.figures.estimates import last, plateau
from lit_entropy.figures.runs import Run
from lit_entropy.sweep.figure import colours, sweep_figure, undrawn
from lit_entropy.sweep.table import _shown, as_csv, as_markdown, last_tenth, rows, unlogged

KEY, RARE = "entropy/token_mean", "val/accuracy"


def run(label: str, seed: int, level: float, steps: int = 20, **extra: list[float]) -> Run:
    step_N = np.arange(1, steps + 1, dtype=float)
    value_N = np.where(10 * step_N > 9 * steps, level, 9.0)
    history = {"step": step_N, KEY: value_N, **{k: np.array(v) for k, v in extra.items()}}
    return Run(f"{label}-seed{seed}", label, seed, history)


def three(seeds: int = 3) -> list[Run]:
    levels = {"a": [1.0, 2.0, 4.0], "b": [1.5, 2.75, 4.25]}
    return [run(label, s, levels[label][s]) for label in levels for s in range(seeds)]


def test_the_window_is_the_last_tenth_of_the_rl_steps() -> None:
    assert last_tenth(run("a", 0, 3.0), KEY) == 3.0  # RL steps 19 and 20
    values = [np.nan] * 20
    rare = run("a", 0, 3.0, **{RARE: [*values[:9], 0.25, *values[10:19], np.nan]})
    assert last_tenth(rare, RARE) == 0.25  # the last validation, though it was at RL step 10
    assert last_tenth(run("a", 0, 3.0, **{RARE: values}), RARE) is None
    assert last_tenth(rare, "no/key") is None
    mixed = run("a", 0, 3.0, **{RARE: [1.0] * 18 + [np.nan, 5.0]})
    assert last_tenth(mixed, RARE) == 5.0


def test_means_intervals_and_paired_differences() -> None:
    first, second = rows(three(), [KEY], "a")
    assert (first.point, first.mean, first.difference, first.p_value) == ("a", 7 / 3, None, None)
    half = stats.t.ppf(0.975, 2) * np.std([1.0, 2.0, 4.0], ddof=1) / np.sqrt(3)
    assert first.half_width == pytest.approx(half)
    assert second.values == {0: 1.5, 1: 2.75, 2: 4.25} and second.difference_seeds == [0, 1, 2]
    assert second.difference == pytest.approx(0.5)
    spread = np.std([0.5, 0.75, 0.25], ddof=1) / np.sqrt(3)
    assert second.difference_half_width == pytest.approx(stats.t.ppf(0.975, 2) * spread)
    assert second.p_value == pytest.approx(stats.ttest_1samp([0.5, 0.75, 0.25], 0).pvalue)


def test_no_interval_below_three_seeds() -> None:
    for seeds in (1, 2):
        _, second = rows(three(seeds), [KEY], "a")
        assert second.half_width is second.difference_half_width is second.p_value is None
        assert second.difference == pytest.approx([0.5, 0.625][seeds - 1])
    assert "±" not in as_markdown(rows(three(2), [KEY], "a"), "a")


def test_differences_are_over_shared_seeds_alone() -> None:
    found = rows([*three()[:2], run("b", 1, 5.0), run("b", 7, 50.0)], [KEY], "a")
    assert found[1].difference == 3.0 and found[1].difference_seeds == [1]
    assert "+3 (1 shared)" in as_markdown(found, "a")
    alone = rows(three()[3:], [KEY], "a")[0]  # the baseline has no run
    assert alone.difference is None and alone.difference_seeds == []


def test_the_table_as_text_and_as_csv() -> None:
    found = rows(three(), [KEY], "a")
    assert as_markdown(found, "a").splitlines() == [
        "| point | metric | mean | difference to a | seeds |",
        "|---|---|---|---|---|",
        "| a | `entropy/token_mean` | 2.3 ± 3.8 | baseline | 0, 1, 2 |",
        "| b | `entropy/token_mean` | 2.8 ± 3.4 | +0.50 ± 0.62 | 0, 1, 2 |",
    ]
    table = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert table[0]["difference"] == "" and table[1]["difference"] == "0.5"
    assert float(table[1]["half_width"]) == found[1].half_width


def test_what_is_not_logged_is_said() -> None:
    some = [*three(), run("c", 0, 1.0, **{RARE: [0.5] * 20})]
    assert unlogged(some, [KEY, RARE, "entropy/token_maen"]) == [
        f"{RARE}: not logged by {', '.join(r.name for r in three())}",
        "entropy/token_maen: logged by no run; did you mean entropy/token_mean?",
    ]
    assert [row.point for row in rows(some, [RARE], "a")] == ["c"]
    with pytest.raises(ValueError, match="no run logs any of no/key: name others with --metrics"):
        sweep_figure(some, ["no/key"])


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_was_never_finite_is_no_misspelt_key(value: float) -> None:
    broken = [run("a", seed, 1.0, **{RARE: [value] * 20}) for seed in (0, 1)]
    remedy = "NaN or infinite at every RL step, see metrics.csv"
    assert unlogged(broken, [RARE]) == [f"{RARE}: logged as a finite number by no run: {remedy}"]
    some = [*broken, run("b", 0, 1.0), run("b", 1, 1.0, **{RARE: [0.5] * 20})]
    assert unlogged(some, [RARE]) == [
        f"{RARE}: not logged as a finite number by a-seed0, a-seed1: {remedy}",
        f"{RARE}: not logged by b-seed0",
    ]


def test_a_run_that_became_infinite_after_the_base_is_not_too_short() -> None:
    infinite = run("a", 0, 1.0, **{RARE: [0.5, *[np.inf] * 19]})
    infinite.history["step"][:] -= 1  # row 0 is the base
    assert unlogged([infinite], [RARE]) == [
        f"{RARE}: logged as a finite number by no run: NaN or infinite at every RL step, see "
        "metrics.csv"
    ]


def test_a_metric_of_which_seeds_share_no_step_has_no_panel() -> None:
    odd, even = ([0.5 if n % 2 == k else np.nan for n in range(20)] for k in (0, 1))
    apart = [run("a", 0, 1.0, **{RARE: odd}), run("a", 1, 1.0, **{RARE: even})]
    gaps = undrawn(apart, [KEY, RARE, "no/key"])
    assert gaps == {
        RARE: f"{RARE}: has no panel in the figure, as runs ['a-seed0', 'a-seed1'] share no RL "
        f"step with '{RARE}': give them one cadence"
    }
    with pytest.raises(ValueError, match="share no RL step"):
        sweep_figure(apart, [KEY, RARE])
    assert [axes.get_ylabel() for axes in sweep_figure(apart, [KEY]).axes] == [f"{KEY} (nats)"]
    assert undrawn(apart[:1], [KEY, RARE]) == {}


def validated(label: str, *steps: int) -> Run:
    """A run of 20 RL steps and the base's row, validated after ``steps``."""
    values = [0.46 + step / 100 if step in steps else np.nan for step in range(21)]
    history = {"step": np.arange(21.0), KEY: np.ones(21), RARE: np.array(values)}
    return Run(f"{label}-seed0", label, 0, history)


def test_the_bases_validation_is_no_result_of_a_run() -> None:
    untrained, half, whole = validated("a", 0), validated("b", 0, 10), validated("c", 0, 10, 20)
    assert last_tenth(untrained, RARE) is None and last_tenth(untrained, KEY) == 1.0
    assert [last_tenth(run, RARE) for run in (half, whole)] == pytest.approx([0.56, 0.66])
    assert rows([untrained], [RARE], "a") == []
    remedy = "after RL step 0, the base's: train longer, or lower trainer.check_val_every_n_epoch"
    assert unlogged([untrained], [RARE]) == [f"{RARE}: measured by no run {remedy}"]
    assert unlogged([untrained, half, whole], [KEY, RARE]) == [
        f"{RARE}: not measured by a-seed0 {remedy}",
        f"{RARE}: the last one is of RL step 10 of 20",
    ]
    assert unlogged([whole], [KEY, RARE]) == []


@pytest.mark.parametrize("measure", [last, plateau])
def test_no_figure_takes_the_base_for_the_end_of_a_run(measure: Callable[..., float]) -> None:
    assert measure(validated("a", 0, 20), RARE) == pytest.approx(0.66)
    with pytest.raises(ValueError, match=r"a-seed0 has val/accuracy of RL step 0 alone"):
        measure(validated("a", 0), RARE)


@pytest.mark.parametrize(
    "mean, half, text",
    [
        (0.37812, 0.011, "0.378 ± 0.011"),
        (0.38481, 0.00092, "0.38481 ± 0.00092"),
        (0.0104, 0.045, "0.010 ± 0.045"),
        (7.729, 9.96, "8 ± 10"),  # its two digits, once it is rounded
        (412.7, 96.0, "413 ± 96"),
        (0.5, 0.0, "0.5 ± 0"),
        (1.5e-9, 2.1e-10, "1.5e-09 ± 2.1e-10"),
        (0.5, None, "0.5"),
    ],
)
def test_a_mean_has_the_decimals_of_its_interval(mean: float, half: float, text: str) -> None:
    assert _shown(mean, half, "") == text
    assert _shown(mean, half, "+") == f"+{text}"


@pytest.mark.parametrize("seeds, bands", [(2, 0), (3, 2)])
def test_the_figure_has_a_line_a_seed_and_a_band_from_three_seeds_on(
    seeds: int, bands: int
) -> None:
    figure = sweep_figure(three(seeds), [KEY, "no/key"])
    (panel,) = (axes for axes in figure.axes if axes.get_visible())
    assert len(panel.lines) == 2 * (seeds + 1) and len(panel.collections) == bands
    legend, _ = figure.legends  # the other one explains the marks
    assert [text.get_text() for text in legend.get_texts()] == [
        f"{n} ({seeds} seeds)" for n in "ab"
    ]
    assert panel.get_ylabel() == f"{KEY} (nats)"
    low, high = panel.get_ylim()
    for band in panel.collections:  # none leaves the panel
        (path,) = band.get_paths()
        assert low < path.vertices[:, 1].min() and path.vertices[:, 1].max() < high
    assert len(set(colours(8))) == 8 and len(set(colours(20))) == 20


def test_any_name_of_a_metric_is_drawn_and_told() -> None:
    """No formula of matplotlib, no end of a table's cell."""
    key = r"a|b $\frac{$"
    runs = [run("x=$_$", seed, 1.0, steps=2, **{key: [1.0, 2.0]}) for seed in range(3)]
    figure = sweep_figure(runs, [key])
    figure.draw_without_rendering()  # a formula that is none is found here
    assert figure.axes[0].get_ylabel() == r"a|b \$\frac{\$"
    cells = as_markdown(rows(runs, [key], "x=$_$"), "x=$_$").splitlines()[2]
    assert cells == r"| x=$_$ | `a\|b $\frac{$` | 2 ± 0 | baseline | 0, 1, 2 |"
