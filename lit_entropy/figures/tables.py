"""Table 1 (arXiv 2505.22617): the tail of the token covariance before any update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lit_entropy.figures.as_text import markdown, show
from lit_entropy.figures.by_difficulty import (
    figure_table_2,
    markdown_table_2,
    measure_table_2,
)
from lit_entropy.figures.estimates import error_bar, estimate, first, labelled
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import BLACK, BLUE, COLUMN_WIDTH, GREY, curve, paper_style

__all__ = [
    "figure_table_1",
    "figure_table_2",
    "markdown_table_1",
    "markdown_table_2",
    "measure_table_1",
    "measure_table_2",
]

LABEL = "GRPO"

#: Share of the tokens, metric key, and the paper's mean for Qwen2.5-7B.
SHARES: tuple[tuple[float, str, float], ...] = (
    (2e-4, "cov/top_2e-4", 5.654),
    (2e-3, "cov/top_2e-3", 3.112),
    (2e-2, "cov/top_2e-2", 1.385),
    (0.2, "cov/top_0.2", 0.351),
    (0.5, "cov/top_0.5", 0.152),
    (1.0, "cov/mean", 0.003),
)


def measure_table_1(runs: Sequence[Run]) -> dict[str, Any]:
    """Mean covariance (eq. 10) of the top share of the tokens at the first RL step.

    Args:
        runs: must hold runs labelled "GRPO"; before the first update the loss does not matter.

    Returns:
        ``step``, ``seeds`` and ``rows``: ``share`` of the tokens, largest first, ``key``,
        ``covariance`` (estimate over seeds, nats), ``paper``, and ``times_mean``, the covariance as
        a multiple of that over all tokens (None if that is not positive).

    Raises:
        ValueError: no such run, a run without a key, or runs whose first RL steps differ.
    """
    group = labelled(runs, LABEL)[LABEL]
    steps = {run.name: float(curve(run, "cov/mean")[0][0]) for run in group}
    if len(set(steps.values())) > 1:
        raise ValueError(f"the first RL step with 'cov/mean' differs: {steps}")
    found = [estimate([first(run, key) for run in group]) for _, key, _ in SHARES]
    mean = found[-1]["mean"]
    return {
        "step": next(iter(steps.values())),
        "seeds": [run.seed for run in group],
        "rows": [
            {
                "share": share,
                "key": key,
                "covariance": covariance,
                "paper": paper,
                "times_mean": covariance["mean"] / mean if mean > 0 else None,
            }
            for (share, key, paper), covariance in zip(SHARES, found, strict=True)
        ],
    }


def markdown_table_1(runs: Sequence[Run]) -> str:
    """Table 1 as Markdown; raises as :func:`measure_table_1`."""
    rows = measure_table_1(runs)["rows"]
    head = ["top", *(_percent(row["share"]) for row in rows)]
    ours = ["this run (nats)", *(show(row["covariance"]) for row in rows)]
    paper = ["Qwen2.5-7B (paper)", *(f"{row['paper']:.3f}" for row in rows)]
    return markdown(head, [ours, paper])


def _percent(share: float) -> str:
    return "all" if share == 1 else f"{100 * share:g} %"


def figure_table_1(runs: Sequence[Run]) -> Figure:
    """Mean covariance against the share of the tokens beside the paper's, both axes logarithmic.

    Raises:
        ValueError: as :func:`measure_table_1`.
    """
    measured = measure_table_1(runs)
    rows = measured["rows"]
    shares = [row["share"] for row in rows]
    covariances = [row["covariance"] for row in rows]
    note = "" if len(measured["seeds"]) > 1 else " (1 seed)"
    with paper_style():
        figure = Figure(figsize=(COLUMN_WIDTH, 2.7), layout="constrained")
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log")
        axes.errorbar(
            shares, [value["mean"] for value in covariances], yerr=error_bar(covariances),
            color=BLUE, marker="o", markersize=4, capsize=2, elinewidth=0.8,
            label=f"measured{note}",
        )  # fmt: skip
        axes.plot(
            shares, [row["paper"] for row in rows], color=GREY, marker="s", markersize=4,
            linestyle="--", markerfacecolor="white", markeredgecolor=BLACK,
            label="Qwen2.5-7B (paper)",
        )  # fmt: skip
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
        axes.set_xticks(shares)
        axes.minorticks_off()
        axes.set(
            xlabel="top share of the tokens (%)",
            ylabel=f"mean covariance, RL step {measured['step']:g} (nats)",
        )
        axes.legend(loc="upper right")
    return figure
