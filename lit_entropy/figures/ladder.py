"""Fig. 7 of arXiv 2505.22617: the law's coefficients against the size of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.coefficients import COEFFICIENTS, fit_of, measure_law, plain
from lit_entropy.figures.estimates import labelled
from lit_entropy.figures.law_panels import bounds
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import FULL_WIDTH, GREY, paper_style, sequential_colours
from lit_entropy.functional.law_scaling import extrapolate, log_linear

METHOD = "GRPO"


def by_size(runs: Sequence[Run]) -> dict[float, list[Run]]:
    """GRPO's runs by number of parameters, smallest first.

    Raises:
        ValueError: no run of the label "GRPO", or one without its number of parameters.
    """
    group = labelled(runs, METHOD)[METHOD]
    if unsized := [run.name for run in group if run.x is None]:
        raise ValueError(
            f"runs {unsized} have no x: set it to the number of parameters without embeddings"
        )
    sizes = sorted({float(run.x) for run in group if run.x is not None})
    return {size: [run for run in group if run.x == size] for size in sizes}


def measure_7(runs: Sequence[Run]) -> dict[str, Any]:
    """Coefficients of the law for each size, their trend, and the largest foretold by the others.

    Args:
        runs: of the label "GRPO" with ``x`` the number of parameters, of three sizes or more.

    Returns:
        ``label``; ``sizes``: smallest first, ``parameters``, ``seeds`` and the coefficients ``a``,
        ``b``, ``ceiling`` (as :func:`lit_entropy.figures.coefficients.measure_law`); ``trends``: by
        coefficient, ``slope`` (for e times the parameters), ``intercept``, ``r2`` over the runs of
        all sizes, ``smaller``: slope and intercept without the largest, ``predicted``, ``measured``
        and ``error`` of the largest, and ``within``: whether its interval holds the prediction.

    Raises:
        ValueError: fewer than three sizes, a missing key or x, or a run without a fit.
    """
    sizes = by_size(runs)
    laws = {size: measure_law(group) for size, group in sizes.items()}
    parameters_N = np.array([size for size, group in sizes.items() for _ in group])
    fits = [fit_of(run) for group in sizes.values() for run in group]
    trends = {}
    for name in COEFFICIENTS:
        coefficients_N = np.array([getattr(law, name) for law in fits])
        trend = log_linear(parameters_N, coefficients_N)
        ahead = extrapolate(parameters_N, coefficients_N)
        low, high = bounds(laws[max(sizes)][name])
        trends[name] = {
            "slope": trend.slope,
            "intercept": trend.intercept,
            "r2": trend.r2,
            "smaller": {"slope": ahead.fit.slope, "intercept": ahead.fit.intercept},
            "predicted": ahead.predicted,
            "measured": ahead.measured,
            "error": ahead.error,
            "within": bool(low <= ahead.predicted <= high),
        }
    rows = [
        {"parameters": size, **{key: law[key] for key in ("seeds", "interval", *COEFFICIENTS)}}
        for size, law in laws.items()
    ]
    return plain({"label": METHOD, "sizes": rows, "trends": trends})


def figure_7(runs: Sequence[Run]) -> Figure:
    """a and b against the number of parameters, with the trend and the extrapolation.

    Args, Raises:
        as :func:`measure_7`.
    """
    measured = measure_7(runs)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.7), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, name, letter in zip(panels, ("a", "b"), "ab", strict=True):
            _draw_coefficient(axes, measured, name)
            trend = measured["trends"][name]
            axes.set_title(
                f"({letter})  largest: predicted {trend['predicted']:.2f}, "
                f"measured {trend['measured']:.2f}",
                loc="left",
            )
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _draw_coefficient(axes: Axes, measured: Mapping[str, Any], name: str) -> None:
    sizes, trend = measured["sizes"], measured["trends"][name]
    axes.set_xscale("log")
    for size, colour in zip(sizes, sequential_colours(len(sizes)), strict=True):
        value, x = size[name], size["parameters"]
        low, high = bounds(value)
        seeds = [x * 1.06] * len(value["values"])
        axes.scatter(seeds, value["values"], s=6, color=colour, alpha=0.6, linewidths=0)
        axes.errorbar(
            [x], [value["mean"]], yerr=[[value["mean"] - low], [high - value["mean"]]],
            color=colour, marker="o", markersize=4, capsize=2, linewidth=1,
        )  # fmt: skip
    parameters_2 = np.array([sizes[0]["parameters"], sizes[-1]["parameters"]])
    lines = (
        (trend, "-", r"all sizes"),
        (trend["smaller"], "--", "without the largest"),
    )
    for line, style, label in lines:
        axes.plot(
            parameters_2, line["intercept"] + line["slope"] * np.log(parameters_2), style,
            color=GREY, linewidth=1, label=label, zorder=1,
        )  # fmt: skip
    axes.plot(
        [parameters_2[1]], [trend["predicted"]], marker="D", markersize=6, markerfacecolor="none",
        color="black", linestyle="none", label="predicted",
    )  # fmt: skip
    axes.set_xticks(
        [size["parameters"] for size in sizes],
        [short(size["parameters"]) for size in sizes],
    )
    axes.minorticks_off()
    axes.set(xlabel="parameters without embeddings (log scale)", ylabel=f"coefficient {name}")


def short(count: float) -> str:
    """A number of parameters as printed: ``24.6 k``, ``1.6 M``, ``7 B``."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:g}"
