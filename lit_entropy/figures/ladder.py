"""Fig. 7 of arXiv 2505.22617: the law's coefficients against the size of the model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import short
from lit_entropy.figures.cells import GRPO, Cell
from lit_entropy.figures.coefficients import COEFFICIENTS, Coefficient, Named, fit_of, measure_law
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.entries import Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import by_x, labelled
from lit_entropy.figures.runs import Run, first_task
from lit_entropy.figures.style import FULL_WIDTH, GREY, paper_figure, sequential_colours
from lit_entropy.functional.law import LawFit
from lit_entropy.functional.law_scaling import extrapolate, log_linear

METHOD = "GRPO"


@dataclass(frozen=True)
class Size(Named):
    """The law's coefficients for the runs of one size."""

    parameters: float
    seeds: list[int]
    a: Coefficient
    b: Coefficient
    ceiling: Coefficient


@dataclass(frozen=True)
class Line:
    """A coefficient as intercept + slope ln(parameters)."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Trend(Line):
    """A coefficient over the runs of all sizes, and the largest size foretold by the others."""

    r2: float  # NaN for a coefficient that is the same in all runs
    smaller: Line  # without the largest
    # of the largest
    predicted: float
    measured: float
    error: float
    within: bool  # whether its interval holds the prediction; False without one


@dataclass(frozen=True)
class Ladder:
    """``sizes``, smallest first, and the trend of each coefficient by its name."""

    label: str
    sizes: list[Size]
    trends: dict[str, Trend]


def measure_7(runs: Sequence[Run]) -> Ladder:
    """Coefficients of the law for each size, their trend, and the largest foretold by the others.

    Args:
        runs: of the label "GRPO" with ``x`` the number of parameters, of three sizes or more.

    Raises:
        ValueError: fewer than three sizes, a missing key or x, or a run without a fit.
    """
    groups = by_x(labelled(runs, METHOD)[METHOD])
    laws = {size: measure_law(group) for size, group in groups.items()}
    sizes = [Size(size, law.seeds, law.a, law.b, law.ceiling) for size, law in laws.items()]
    parameters_N = np.array([size for size, group in groups.items() for _ in group])
    fits = [fit_of(run) for group in groups.values() for run in group]
    trends = {name: _trend(name, parameters_N, fits, sizes[-1]) for name in COEFFICIENTS}
    return Ladder(METHOD, sizes, trends)


def _trend(name: str, parameters_N: np.ndarray, fits: Sequence[LawFit], largest: Size) -> Trend:
    coefficients_N = np.array([getattr(law, name) for law in fits])
    trend = log_linear(parameters_N, coefficients_N)
    ahead = extrapolate(parameters_N, coefficients_N)
    low, high = largest.coefficient(name).bounds
    within = bool(low <= ahead.predicted <= high)
    smaller = Line(*ahead.fit[:2])
    return Trend(*trend[:3], smaller, ahead.predicted, ahead.measured, ahead.error, within)


def figure_7(runs: Sequence[Run]) -> Figure:
    """a and b against the number of parameters, with the trend and the extrapolation."""
    measured = measure_7(runs)
    with paper_figure(FULL_WIDTH, 2.7) as figure:
        panels = figure.subplots(1, 2)
        for axes, name, letter in zip(panels, ("a", "b"), "ab", strict=True):
            _draw_coefficient(axes, measured, name)
            trend = measured.trends[name]
            axes.set_title(
                f"({letter})  largest: predicted {trend.predicted:.2f}, "
                f"measured {trend.measured:.2f}",
                loc="left",
            )
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _draw_coefficient(axes: Axes, measured: Ladder, name: str) -> None:
    sizes, trend = measured.sizes, measured.trends[name]
    axes.set_xscale("log")
    for size, colour in zip(sizes, sequential_colours(len(sizes)), strict=True):
        value, x = size.coefficient(name), size.parameters
        draw_estimates(axes, [x], [value], colour, seeds_at=[x * 1.06], markersize=4)
    parameters_2 = np.array([sizes[0].parameters, sizes[-1].parameters])
    lines = ((trend, "-", "all sizes"), (trend.smaller, "--", "without the largest"))
    for line, style, label in lines:
        axes.plot(
            parameters_2, line.intercept + line.slope * np.log(parameters_2), style,
            color=GREY, linewidth=1, label=label, zorder=1,
        )  # fmt: skip
    axes.plot(
        [parameters_2[1]], [trend.predicted], marker="D", markersize=6, markerfacecolor="none",
        color="black", linestyle="none", label="predicted",
    )  # fmt: skip
    counts = [size.parameters for size in sizes]
    axes.set_xticks(counts, [short(count) for count in counts])
    axes.minorticks_off()
    axes.set(xlabel="parameters without embeddings (log scale)", ylabel=f"coefficient {name}")


def _judge_ladder(m: Ladder) -> Judgement:
    a, b = m.trends["a"].r2, m.trends["b"].r2
    if not math.isfinite(a + b):
        return Judgement(None, "a coefficient is the same in all runs")
    return Judgement(min(a, b) >= 0.9, f"R² of a {a:.2f}, of b {b:.2f}")


def _judge_extrapolation(m: Ladder) -> Judgement:
    text = "; ".join(
        f"{name}: predicted {t.predicted:.2f}, measured {t.measured:.2f}"
        for name, t in m.trends.items()
    )
    if not all(math.isfinite(m.sizes[-1].coefficient(name).bounds[0]) for name in m.trends):
        return Judgement(None, text)
    return Judgement(all(t.within for t in m.trends.values()), text)


def ladder_table(m: Ladder) -> list[Table]:
    """Coefficients by size."""
    rows = [[f"{row.parameters:,.0f}", str(row.a), str(row.b), str(row.ceiling)] for row in m.sizes]
    return [Table(["parameters without embeddings", "a", "b", "ceiling b - a"], rows)]


FIGURE_7 = Entry(
    "7", "Fig. 7", "Coefficients against size", "Four bases of one recipe.", measure_7, figure_7,
    (
        Claim("a and b are log-linear in the size of the model.", "straight lines, 0.5 B to 32 B",
              "R² of both at least 0.9", _judge_ladder),
        Claim("So the coefficients of larger models can be extrapolated.", "shown as a figure",
              "a, b and ceiling of the largest within its interval", _judge_extrapolation),
    ),
    (GRPO, *(Cell(f"grpo_{size}", "GRPO", "grpo", {"model.policy.model": f"chain-{size}"})
             for size in ("xs", "m", "l"))),
    first_task, ladder_table,
)  # fmt: skip
