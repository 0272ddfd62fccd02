"""Fig. 5 of arXiv 2505.22617: the law fitted to the first 15 % of a run forecasts the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent
from lit_entropy.figures.cells import COUNTDOWN, FORECAST
from lit_entropy.figures.coefficients import LawMetrics, Points, law_metrics, pairs_of, points_of
from lit_entropy.figures.entries import Claim, Entry, Judgement, Overlay, Table
from lit_entropy.figures.estimates import Estimate, estimate, labelled, paired
from lit_entropy.figures.law_panels import (
    dot_panel,
    entropy_axis,
    fit_to_points,
    law_curve,
    legend_below,
)
from lit_entropy.figures.marks import PAIR
from lit_entropy.figures.runs import Run, by_label, code, mathematics
from lit_entropy.figures.style import FULL_WIDTH, GREY, ORANGE, looks, paper_figure
from lit_entropy.figures.verdicts import NOT_TESTABLE, above, below, every
from lit_entropy.functional.forecast import Forecast, forecast
from lit_entropy.functional.rounding import all_the_same

METHOD = "GRPO"

#: Share of the points that is fitted.
SHARE = 0.15
#: Share of the RL steps up to which the fit counts as one to the first 15 %: few validations make
#: 3 points, the fewest that can be fitted, a large part of the run.
LARGEST_SHARE = 0.2


class Errors(NamedTuple):
    """Errors of a forecast, fractions."""

    rmse: float
    final_error: float


#: The law's on mathematics and on code.
PAPER, PAPER_CODE = Errors(0.009, 0.005), Errors(0.012, 0.019)
#: The rival that reads the later entropies as well, so that it only asks for the form of the law.
LINE = "linear in H"


@dataclass(frozen=True)
class Forecasts:
    """Errors of the law's forecast and of its rivals."""

    label: str
    metrics: LawMetrics
    seeds: list[int]
    share: float  # of the points, which are fitted
    fitted: list[int]  # number of points fitted in each seed, at least 3
    last_fitted: list[float]  # last RL step fitted in each seed
    steps: float  # RL steps of the longest run
    # the largest share of a run's RL steps that the last fitted one comes to
    fitted_share: float
    points: list[Points]  # of each seed
    # of the fits to the first points
    a: Estimate
    b: Estimate
    ceiling: Estimate
    # of "law", "linear in H", "last value" and "sigmoid in steps", fractions
    rmse: dict[str, Estimate]
    final_error: dict[str, Estimate]
    paper: Errors  # the law's errors there
    best: str  # the method of the smallest mean RMSE


def forecast_of(run: Run, metrics: LawMetrics) -> Forecast:
    """Forecast of one run.

    Raises:
        ValueError: no forecast exists; the run is named.
    """
    pairs = pairs_of(run, metrics)
    try:
        return forecast(*pairs, share=SHARE)
    except ValueError as error:
        raise ValueError(f"run {run.name!r}: {error}") from error


def measure_5(runs: Sequence[Run], paper: Errors = PAPER) -> Forecasts:
    """How far the law's forecast and its rivals are off.

    Args:
        runs: must hold runs of the label "GRPO" with ``entropy/token_mean`` and ``val/accuracy``.
        paper: the law's errors in the paper.

    Raises:
        ValueError: no such run, a missing key, or too few points.
    """
    return measure_forecast(labelled(runs, METHOD)[METHOD], paper)


def measure_forecast(group: Sequence[Run], paper: Errors = PAPER) -> Forecasts:
    """As :func:`measure_5` for the runs of any one label."""
    metrics = law_metrics(group)
    ahead = [forecast_of(run, metrics) for run in group]
    names = list(ahead[0].methods)
    rmse = {name: estimate([each.methods[name].rmse for each in ahead]) for name in names}
    final = {name: estimate([each.methods[name].final_error for each in ahead]) for name in names}
    points, fitted = [points_of(run, metrics) for run in group], [each.fitted for each in ahead]
    last_fitted = [each.step[count - 1] for each, count in zip(points, fitted, strict=True)]
    steps = [float(np.nanmax(run.history["step"])) for run in group]
    return Forecasts(
        group[0].label,
        metrics,
        [run.seed for run in group],
        SHARE,
        fitted,
        last_fitted,
        max(steps),
        max(end / length for end, length in zip(last_fitted, steps, strict=True)),
        points,
        estimate([each.law.a for each in ahead]),
        estimate([each.law.b for each in ahead]),
        estimate([each.law.ceiling for each in ahead]),
        rmse,
        final,
        paper,
        min(rmse, key=lambda name: rmse[name].mean),
    )


def figure_5(runs: Sequence[Run], paper: Errors = PAPER) -> Figure:
    """The forecast beside what was measured, and its errors beside its rivals'."""
    return overlay_5(labelled(runs, METHOD)[METHOD], paper)


def overlay_5(runs: Sequence[Run], paper: Errors = PAPER) -> Figure:
    """As :func:`figure_5` for every label, a row each."""
    found = [measure_forecast(group, paper) for group in by_label(runs).values()]
    look = looks(each.label for each in found)
    with paper_figure(FULL_WIDTH, 2.9 * len(found)) as figure:
        grid = figure.subplots(len(found), 3, width_ratios=(2.2, 1, 1), squeeze=False)
        for row, measured in zip(grid, found, strict=True):
            _draw_forecast(row[0], measured, look[measured.label].colour)
            _draw_errors(row[1:], measured)
        figure.legend(*grid[0, 1].get_legend_handles_labels(), loc="outside upper right", ncols=1)
    return figure


def _draw_errors(panels: Sequence[Axes], measured: Forecasts) -> None:
    """The law's errors beside its rivals' and the paper's."""
    errors = (
        (measured.rmse, measured.paper.rmse, "RMSE of the rest"),
        (measured.final_error, measured.paper.final_error, "error at the end"),
    )
    for axes, (methods, paper, name), letter in zip(panels, errors, "bc", strict=True):
        colours = {method: ORANGE if method == "law" else GREY for method in methods}
        dot_panel(axes, methods, colours, scale=100)
        axes.plot(
            [100 * paper], [list(methods).index("law")], marker="D", markersize=5,
            markerfacecolor="none", color="black", linestyle="none", label="the paper's law",
        )  # fmt: skip
        axes.set(xlabel=f"{name}\n(percentage points)", xlim=(0, None))
        axes.set_title(f"({letter})", loc="left")
    panels[1].tick_params(labelleft=False)


def _draw_forecast(axes: Axes, measured: Forecasts, colour: str) -> None:
    """First points filled, the rest hollow, and the law that only the first have shaped."""
    entropy_axis(axes, measured.points, measured.metrics)
    seeds = zip(measured.points, measured.fitted, strict=True)
    for index, (point, count) in enumerate(seeds):
        parts = ((slice(count), colour, "fitted"), (slice(count, None), "none", "held back"))
        for part, face, name in parts:
            axes.scatter(
                point.entropy[part], point.accuracy[part], s=10, facecolors=face,
                edgecolors=colour, linewidths=0.6, alpha=0.7, gid=PAIR,
                label=name if index == 0 else None,
            )  # fmt: skip
    law_curve(axes, measured.a.values, measured.b.values, ORANGE, "law of the fitted points")
    fit_to_points(axes, measured.points)
    legend_below(axes, measured.points)
    axes.set_title(f"(a)  {measured.label}\nfitted to {_window(measured)}", loc="left")


def _window(measured: Forecasts) -> str:
    """The share of the RL steps that was fitted, and what that is."""
    points = max(measured.fitted)
    return f"the first {measured.fitted_share:.0%} of {measured.steps:g} RL steps ({points} points)"


def _judge_forecast(m: Forecasts) -> Judgement:
    rmse, final = m.rmse["law"], m.final_error["law"]
    text = f"RMSE {percent(rmse, 1)}, final step {percent(final, 1)}, from {_window(m)}"
    if any(all_the_same(seed.accuracy) for seed in m.points):  # what stands still foretells itself
        return Judgement(NOT_TESTABLE, f"{text}; the accuracy of a seed does not change")
    early = m.fitted_share <= LARGEST_SHARE
    decision = every(below(rmse, 0.02), below(final, 0.02)) if early else NOT_TESTABLE
    return Judgement(decision, text)


def _judge_rivals(m: Forecasts) -> Judgement:
    return _beats(m, [name for name in m.rmse if name not in ("law", LINE)])


def _judge_form(m: Forecasts) -> Judgement:
    return _beats(m, [LINE])


def _beats(m: Forecasts, rivals: Sequence[str]) -> Judgement:
    """That the law's RMSE is below that of each rival, paired by seed."""
    law, *others = (dict(enumerate(m.rmse[name].values)) for name in ("law", *rivals))
    ahead = [paired(other, law) for other in others]
    text = ", ".join(f"{name} {percent(m.rmse[name], 1)}" for name in ("law", *rivals))
    return Judgement(every(*(above(each, 0) for each in ahead)), f"RMSE: {text}")


def forecast_table(m: Forecasts) -> list[Table]:
    """The law's forecast beside its rivals'."""
    rows = [[name, percent(e, 1), percent(m.final_error[name], 1)] for name, e in m.rmse.items()]
    return [Table(["forecast", "RMSE on the rest", "error on the final step"], rows)]


RULE = (
    "95 % intervals of both errors below 2 %; not testable if fitted to more than a fifth of the "
    "RL steps, or if the accuracy of a seed stands still"
)
CAPTION = "The law and linear in H read the later entropies; last value and the sigmoid do not."
RIVALS = Claim(
    "Entropy is what makes the forecast possible.", "no rival is reported",
    "RMSE below that of the last value and of the sigmoid in steps, which know no entropy: the "
    "95 % interval of each paired difference above 0", _judge_rivals,
)  # fmt: skip
FORM = Claim(
    "It is exp(H) that foretells, not H.", "no rival is reported",
    "RMSE below that of a line in H: 95 % interval of the paired difference above 0", _judge_form,
)  # fmt: skip
FIGURE_5 = Entry(
    "5", "Fig. 5", "Forecast from the first 15 %, mathematics",
    f"GRPO from the largest base of Fig. 7. {CAPTION}", measure_5, figure_5,
    (Claim("Fitted to the first 15 %, the law forecasts the rest (mathematics).",
           "RMSE 0.9 %, final step 0.5 %", RULE, _judge_forecast), RIVALS, FORM),
    (FORECAST,), mathematics, forecast_table, Overlay(measure_forecast, overlay_5),
)  # fmt: skip
FIGURE_5B = Entry(
    "5b", "Fig. 5 (code)", "Forecast from the first 15 %, second task", CAPTION,
    partial(measure_5, paper=PAPER_CODE), partial(figure_5, paper=PAPER_CODE),
    (Claim("The same on code (here: countdown).", "RMSE 1.2 %, final step 1.9 %", RULE,
           _judge_forecast), RIVALS, FORM),
    (COUNTDOWN,), code, forecast_table,
    Overlay(partial(measure_forecast, paper=PAPER_CODE), partial(overlay_5, paper=PAPER_CODE)),
)  # fmt: skip
