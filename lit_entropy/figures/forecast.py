"""Fig. 5 of arXiv 2505.22617: the law fitted to the first 15 % of a run forecasts the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.coefficients import pairs_of, plain, points_of
from lit_entropy.figures.estimates import estimate, labelled
from lit_entropy.figures.law_panels import (
    dot_panel,
    entropy_axis,
    fit_to_points,
    law_curve,
    legend_below,
)
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import FULL_WIDTH, GREY, ORANGE, method_colour, paper_style
from lit_entropy.functional.forecast import Forecast, forecast

METHOD = "GRPO"

#: Share of the points that is fitted, and the paper's errors on mathematics, fractions.
SHARE, PAPER = 0.15, {"rmse": 0.009, "final_error": 0.005}


def forecast_of(run: Run) -> Forecast:
    """Forecast of one run.

    Raises:
        ValueError: no forecast exists; the run is named.
    """
    pairs = pairs_of(run)
    try:
        return forecast(*pairs, share=SHARE)
    except ValueError as error:
        raise ValueError(f"run {run.name!r}: {error}") from error


def measure_5(runs: Sequence[Run]) -> dict[str, Any]:
    """Errors of the law's forecast and of its rivals.

    Args:
        runs: must hold runs of the label "GRPO" with ``entropy/token_mean`` and ``val/accuracy``.

    Returns:
        ``label``, ``seeds``, ``share``; ``fitted``: number of points fitted in each seed,
        at least 3; ``fitted_share``: the share of all points that this comes to;
        ``points``: ``step``, ``entropy``, ``accuracy`` of each seed; estimates ``a``, ``b``,
        ``ceiling`` of the fits to the first points; ``rmse`` and ``final_error``: an estimate
        for each of "law", "linear in H", "last value", "sigmoid in steps" (fractions); ``paper``:
        the law's two errors there; ``best``: the method of the smallest mean RMSE.

    Raises:
        ValueError: no such run, a missing key, or too few points.
    """
    group = labelled(runs, METHOD)[METHOD]
    ahead = [forecast_of(run) for run in group]
    errors = {
        error: {
            name: estimate([getattr(each.methods[name], error) for each in ahead])
            for name in ahead[0].methods
        }
        for error in PAPER
    }
    coefficients = {
        name: estimate([getattr(each.law, name) for each in ahead])
        for name in ("a", "b", "ceiling")
    }
    measured = {
        "label": METHOD,
        "seeds": [run.seed for run in group],
        "share": SHARE,
        "fitted": [each.fitted for each in ahead],
        "fitted_share": sum(e.fitted for e in ahead) / sum(len(pairs_of(r)[0]) for r in group),
        "points": [points_of(run) for run in group],
        **coefficients,
        **errors,
        "paper": PAPER,
        "best": min(errors["rmse"], key=lambda name: errors["rmse"][name]["mean"]),
    }
    return plain(measured)


def figure_5(runs: Sequence[Run]) -> Figure:
    """The forecast beside what was measured, and its errors beside its rivals'.

    Args, Raises:
        as :func:`measure_5`.
    """
    measured = measure_5(runs)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.5), layout="constrained")
        plane, *panels = figure.subplots(1, 3, width_ratios=(2.2, 1, 1))
        _draw_forecast(plane, measured)
        names = (("rmse", "RMSE of the rest"), ("final_error", "error at the end"))
        for axes, (error, name), letter in zip(panels, names, "bc", strict=True):
            methods = measured[error]
            colours = {method: ORANGE if method == "law" else GREY for method in methods}
            dot_panel(axes, methods, colours, scale=100)
            axes.plot(
                [100 * measured["paper"][error]], [list(methods).index("law")], marker="D",
                markersize=5, markerfacecolor="none", color="black", linestyle="none",
            )  # fmt: skip
            axes.set(xlabel=f"{name}\n(percentage points)", xlim=(0, None))
            axes.set_title(rf"({letter})  $\diamond$ the paper", loc="left")
        panels[1].tick_params(labelleft=False)
    return figure


def _draw_forecast(axes: Axes, measured: Mapping[str, Any]) -> None:
    """First points filled, the rest hollow, and the law that only the first have shaped."""
    entropy_axis(axes, [value for point in measured["points"] for value in point["entropy"]])
    colour = method_colour(METHOD)
    for point, count in zip(measured["points"], measured["fitted"], strict=True):
        parts = ((slice(count), colour), (slice(count, None), "none"))
        for part, face in parts:
            axes.scatter(
                point["entropy"][part], point["accuracy"][part], s=10, facecolors=face,
                edgecolors=colour, linewidths=0.6, alpha=0.7,
            )  # fmt: skip
    law_curve(axes, measured["a"], measured["b"], ORANGE, "law of the filled points")
    first = f"first {measured['fitted_share']:.0%} of the points"
    for face, name in ((colour, first), ("none", "held back")):
        axes.scatter([], [], s=10, facecolors=face, edgecolors=colour, linewidths=0.6, label=name)
    fit_to_points(axes, [measured])
    legend_below(axes, [measured])
    axes.set_title(f"(a)  {METHOD}", loc="left")
