"""Fig. 7 of arXiv 2505.22617: the law's coefficients against the size of the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import short, show
from lit_entropy.figures.cells import LAW
from lit_entropy.figures.coefficients import (
    COEFFICIENTS,
    Coefficient,
    LawMetrics,
    Named,
    fit_of,
    law_metrics,
    measure_law,
)
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.entries import Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import Estimate, by_x, estimate, labelled
from lit_entropy.figures.runs import Run, first_task
from lit_entropy.figures.style import FULL_WIDTH, GREY, paper_figure, sequential_colours
from lit_entropy.figures.verdicts import NOT_TESTABLE, above, every, within
from lit_entropy.functional.law import LawFit
from lit_entropy.functional.law_scaling import extrapolate, log_linear

METHOD = "GRPO"
#: Widths of the bases: some 60 times as many parameters in the largest, as from 0.5 to 32 B.
WIDTHS = (16, 32, 48, 64, 96, 128)
#: A coefficient that is foretold to within this, in units of accuracy, counts as foretold.
TOLERANCE = 0.1
#: Fits by size, ascending, and seed.
BySize = Mapping[float, Mapping[int, LawFit]]


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
    # of one trend for each seed that has every size, None without such a seed: its R², and the
    # error of its prediction of its own largest size
    r2_by_seed: Estimate | None
    error_by_seed: Estimate | None


@dataclass(frozen=True)
class Ladder:
    """``sizes``, smallest first, and the trend of each coefficient by its name.

    ``metrics`` are R and H of all sizes.
    """

    label: str
    metrics: LawMetrics
    sizes: list[Size]
    trends: dict[str, Trend]


def measure_7(runs: Sequence[Run]) -> Ladder:
    """Coefficients of the law for each size, their trend, and the largest foretold by the others.

    Args:
        runs: of the label "GRPO" with ``x`` the number of parameters, of three sizes or more. R is
            one pair of metrics for all sizes, :func:`law_metrics`.

    Raises:
        ValueError: fewer than three sizes, a missing key or x, or a run without a fit.
    """
    groups = by_x(labelled(runs, METHOD)[METHOD])
    metrics = law_metrics([run for group in groups.values() for run in group])
    laws = {size: measure_law(group, metrics) for size, group in groups.items()}
    sizes = [Size(size, law.seeds, law.a, law.b, law.ceiling) for size, law in laws.items()]
    by_size = {
        size: {run.seed: fit_of(run, metrics) for run in group} for size, group in groups.items()
    }
    parameters_N = np.array([size for size, own in by_size.items() for _ in own])
    fits = [fit for own in by_size.values() for fit in own.values()]
    trends = {name: _trend(name, parameters_N, fits, by_size) for name in COEFFICIENTS}
    return Ladder(METHOD, metrics, sizes, trends)


def _trend(name: str, parameters_N: np.ndarray, fits: Sequence[LawFit], by_size: BySize) -> Trend:
    coefficients_N = np.array([getattr(law, name) for law in fits])
    trend = log_linear(parameters_N, coefficients_N)
    ahead = extrapolate(parameters_N, coefficients_N)
    smaller = Line(*ahead.fit[:2])
    own = _by_seed(name, by_size)
    return Trend(*trend[:3], smaller, ahead.predicted, ahead.measured, ahead.error, *own)


def _by_seed(name: str, by_size: BySize) -> tuple[Estimate | None, Estimate | None]:
    """R² and the error of the extrapolation, of a trend for each seed that has every size."""
    common = sorted(set.intersection(*(set(fits) for fits in by_size.values())))
    if not common:
        return None, None
    columns = [[getattr(fits[seed], name) for fits in by_size.values()] for seed in common]
    sizes = list(by_size)
    r2 = estimate([log_linear(sizes, column).r2 for column in columns])
    return r2, estimate([extrapolate(sizes, column).error for column in columns])


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
    a, b = m.trends["a"].r2_by_seed, m.trends["b"].r2_by_seed
    text = f"R² by seed, {m.metrics}, of a {show(a, 2)}, of b {show(b, 2)}"
    return Judgement(every(above(a, 0.9), above(b, 0.9)), text)


def _judge_extrapolation(m: Ladder) -> Judgement:
    text = "; ".join(
        f"{name}: predicted {t.predicted:.2f}, measured {t.measured:.2f}, error by seed "
        f"{show(t.error_by_seed, 2, signed=True)}"
        for name, t in m.trends.items()
    )
    errors = [t.error_by_seed for t in m.trends.values()]
    if len(m.sizes) < len(WIDTHS):  # the largest of these is another's next size
        return Judgement(NOT_TESTABLE, f"{len(m.sizes)} of {len(WIDTHS)} sizes; {text}")
    return Judgement(every(*(within(e, -TOLERANCE, TOLERANCE) for e in errors)), text)


def ladder_table(m: Ladder) -> list[Table]:
    """Coefficients by size."""
    rows = [[f"{row.parameters:,.0f}", str(row.a), str(row.b), str(row.ceiling)] for row in m.sizes]
    return [Table(["parameters without embeddings", "a", "b", "ceiling b - a"], rows)]


FIGURE_7 = Entry(
    "7", "Fig. 7", "Coefficients against size",
    "Six bases of one recipe and one number of texts; accuracy of sampled responses.",
    measure_7, figure_7,
    (
        Claim("a and b are log-linear in the size of the model.", "straight lines, 0.5 B to 32 B",
              "R² of each seed's trend: 95 % intervals of both above 0.9", _judge_ladder),
        Claim("So the coefficients of larger models can be extrapolated.", "shown as a figure",
              f"prediction of the largest of {len(WIDTHS)} sizes by the smaller ones, by seed: "
              f"95 % intervals of the errors of a, b and ceiling within ±{TOLERANCE:g}",
              _judge_extrapolation),
    ),
    tuple(replace(LAW, name=f"ladder_{width}", costly=True, seeds=5, overlay="ladder",
                  overrides={"model.policy.model": f"ladder-{width}"})
          for width in WIDTHS),
    first_task, ladder_table,
)  # fmt: skip
