"""Estimates as dots: the seeds small, their mean large, its 95 % t interval a bar."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from lit_entropy.figures.estimates import Estimate, error_bar
from lit_entropy.figures.marks import MEAN_POINT, mark_interval, seed_points


def draw_estimates(
    axes: Axes,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    colour: str,
    label: str = "",
    scale: float = 1.0,
    seeds_at: Sequence[float] | None = None,
    horizontal: bool = False,
    **line: Any,
) -> None:
    """Draw one estimate a place; fewer than 3 seeds have no bar, a single seed no dot of its own.

    Args:
        axes: where to draw.
        x: places, on the other axis if ``horizontal``.
        estimates: one a place.
        colour: of everything.
        label: in the legend; without it the dots are explained as means over seeds.
        scale: factor of all numbers.
        seeds_at: places of the small dots; by default those of the means.
        horizontal: whether the estimates lie along the x axis.
        line: settings of the line of means, ``linestyle`` say.
    """
    for at, value in zip(x if seeds_at is None else seeds_at, estimates, strict=True):
        if len(value.values) > 1:
            seeds = [scale * each for each in value.values]
            places = [at] * len(seeds)
            seed_points(axes, *((seeds, places) if horizontal else (places, seeds)), colour)
    means = [scale * value.mean for value in estimates]
    half = scale * error_bar(estimates)
    settings: Any = {"marker": "o", "markersize": 3.5, "capsize": 2, "elinewidth": 0.9, **line}
    if horizontal:
        bars = axes.errorbar(means, x, xerr=half, color=colour, label=label, **settings)
    else:
        bars = axes.errorbar(x, means, yerr=half, color=colour, label=label, **settings)
    mark_interval(bars, half)
    if not label:
        bars[0].set_gid(MEAN_POINT)
