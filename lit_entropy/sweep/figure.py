"""The curves of a sweep: one panel per metric, one colour per point, seeds thin and means thick."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import seed_lines, seed_mean
from lit_entropy.figures.style import (
    BLACK,
    BLUE,
    FULL_WIDTH,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TEAL,
    paper_figure,
)
from lit_entropy.sweep.table import last_tenth

COLOURS = (BLACK, BLUE, ORANGE, GREEN, RED, SKY, PURPLE, TEAL)
COLUMNS = 3
#: Units of the metrics that are compared by default, where they have one.
UNITS = {"entropy/token_mean": "nats", "rollout/length": "tokens"}


def colours(count: int) -> list[str]:
    """So many colours that are told apart."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [to_hex(matplotlib.colormaps["turbo"](x)) for x in np.linspace(0.05, 0.95, count)]


def undrawn(runs: Sequence[Run], metrics: Sequence[str]) -> dict[str, str]:
    """Why a metric that is logged has no panel: the seeds of a point share no RL step of it.

    Args:
        runs: labelled by their point.
        metrics: keys.

    Returns:
        A remark by metric.
    """
    remarks: dict[str, str] = {}
    for key in metrics:
        for group in by_label(_logged(runs, key)).values():
            try:
                seed_mean(group, key)
            except ValueError as error:
                remarks.setdefault(key, f"{key}: has no panel in the figure, as {error}")
    return remarks


def _logged(runs: Sequence[Run], key: str) -> list[Run]:
    return [run for run in runs if last_tenth(run, key) is not None]


def sweep_figure(runs: Sequence[Run], metrics: Sequence[str]) -> Figure:
    """Each metric against the RL step; intervals are seen whole.

    Args:
        runs: labelled by their point; of a panel those that log its metric.
        metrics: keys; one that no run logs has no panel.

    Raises:
        ValueError: no run logs any of the metrics, or :func:`undrawn` has a remark on one.
    """
    drawn = [key for key in metrics if _logged(runs, key)]
    if not drawn:
        raise ValueError(f"no run logs any of {', '.join(metrics)}: name others with --metrics")
    groups = by_label(runs)
    columns = 2 if len(drawn) in (2, 4) else min(COLUMNS, len(drawn))
    lines = -(-len(drawn) // columns)
    with paper_figure(FULL_WIDTH, 2.1 * lines + 0.16 * -(-len(groups) // 3) + 0.2) as figure:
        panels = figure.subplots(lines, columns, squeeze=False).flatten()
        handles: dict[str, Line2D] = {}
        for panel, key in zip(panels, drawn, strict=False):
            for (label, group), colour in zip(groups.items(), colours(len(groups)), strict=True):
                if logged := _logged(group, key):
                    handles[label] = _draw(panel, logged, key, colour)
            unit = f" ({UNITS[key]})" if key in UNITS else ""
            panel.set(xlabel="RL step", ylabel=f"{_literal(key)}{unit}")
        for panel in panels[len(drawn) :]:
            panel.set_visible(False)
        names = [f"{_literal(label)} ({_seeds(groups[label])})" for label in handles]
        figure.legend(list(handles.values()), names, loc="outside upper center", ncols=3)
    return figure


def _draw(panel: Axes, runs: Sequence[Run], key: str, colour: str) -> Line2D:
    """The runs of one point in one panel; returns the line of their mean."""
    mean = seed_lines(panel, runs, key, colour, "")
    line = panel.lines[-1]
    if len(mean.step_N) < 5:  # points that lines alone would hide
        line.set(marker="o", markersize=2.5)
    return line


def _literal(text: str) -> str:
    """Text that matplotlib takes for no formula: a metric or a point may hold anything."""
    return text.replace("$", r"\$")


def _seeds(group: Sequence[Run]) -> str:
    return "1 seed" if len(group) == 1 else f"{len(group)} seeds"
