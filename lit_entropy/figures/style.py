"""One look for every figure: sizes in inches as printed, one colour a method, seeds drawn alike."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lit_entropy.figures.runs import Run
from lit_entropy.functional.quantiles import t_quantile

#: Width of a figure over both columns and over one, inches.
FULL_WIDTH, COLUMN_WIDTH = 7.0, 3.4

#: Palette of Okabe and Ito (2008), made for colour-blind readers.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#7F7F7F"
#: Three more of Tol's muted palette, made for colour-blind readers too.
TEAL, WINE, OLIVE = "#44AA99", "#882255", "#999933"

#: The colour of a method is the same in every figure.
METHOD_COLOURS: dict[str, str] = {
    "GRPO": BLACK,
    "clip-higher": SKY,
    "Clip-Cov": ORANGE,
    "KL-Cov": BLUE,
    "entropy bonus": GREEN,
    "reference KL": RED,
    "policy gradient": PURPLE,
    "RLOO": TEAL,
    "REINFORCE++": WINE,
    "PRIME": OLIVE,
    "other": GREY,
}

#: The marker of a method, so that a print without colour still tells them apart.
METHOD_MARKERS: dict[str, str] = {
    **{"GRPO": "o", "clip-higher": "v", "Clip-Cov": "s", "KL-Cov": "D"},
    **{"RLOO": "^", "REINFORCE++": "<", "PRIME": ">", "policy gradient": "P"},
}

RC: Any = {  # matplotlib types its keys as a union of 300 literals
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # text stays text in the PDF
}


def method_colour(method: str) -> str:
    """The colour of a method; grey for one without a colour of its own."""
    return METHOD_COLOURS.get(method, GREY)


def method_marker(method: str) -> str:
    """The marker of a method; a cross for one without a marker of its own."""
    return METHOD_MARKERS.get(method, "X")


def sequential_colours(count: int) -> list[str]:
    """``count`` colours for ordered things (sizes, coefficients), dark to light."""
    # viridis beyond 0.75 is too light on white
    return [to_hex(matplotlib.colormaps["viridis"](x)) for x in np.linspace(0.0, 0.75, count)]


@contextmanager
def paper_figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of a size in inches, with the shared settings while it is drawn."""
    with paper_style():
        yield Figure(figsize=(width, height), layout="constrained")


@contextmanager
def paper_style() -> Iterator[None]:
    """The shared settings, for the duration of a block only."""
    with matplotlib.rc_context(RC):
        yield


@dataclass(frozen=True)
class SeedMean:
    """Mean over seeds at the RL steps that all seeds have."""

    step_N: np.ndarray
    mean_N: np.ndarray  # in the unit of the metric
    half_width_N: np.ndarray  # half the width of the 95 % t interval of the mean; NaN for one seed
    seeds: int


def curve(run: Run, key: str) -> tuple[np.ndarray, np.ndarray]:
    """RL steps and values where a run has a finite ``key``.

    Raises:
        ValueError: the run has no such number.
    """
    for name in ("step", key):
        if name not in run.history or not np.isfinite(run.history[name]).any():
            raise ValueError(
                f"run {run.name!r} (label {run.label!r}) has no finite '{name}': "
                "log it, or leave the run out"
            )
    finite = np.isfinite(run.history[key])
    return run.history["step"][finite], run.history[key][finite]


def seed_mean(runs: Sequence[Run], key: str) -> SeedMean:
    """Mean and 95 % t interval of ``key`` over seeds.

    Raises:
        ValueError: no runs, a run without ``key``, or no RL step that all runs have.
    """
    if not runs:
        raise ValueError(f"no runs to average '{key}' over: name at least one")
    curves = [curve(run, key) for run in runs]
    step_N = curves[0][0]
    for step, _ in curves[1:]:
        step_N = np.intersect1d(step_N, step)
    if step_N.size == 0:
        names = [run.name for run in runs]
        raise ValueError(f"runs {names} share no RL step with '{key}': give them one cadence")
    values_SN = np.array([value[np.isin(step, step_N)] for step, value in curves])
    return SeedMean(step_N, values_SN.mean(axis=0), t_half_width(values_SN), len(runs))


def t_half_width(values_SN: np.ndarray) -> np.ndarray:
    """Half the width of the 95 % t interval of the mean over the first axis; NaN for one seed."""
    seeds = values_SN.shape[0]
    if seeds == 1:
        return np.full(values_SN.shape[1:], np.nan)
    error_N = values_SN.std(axis=0, ddof=1) / np.sqrt(seeds)
    return error_N * t_quantile(0.975, seeds - 1)


def seed_lines(axes: Axes, runs: Sequence[Run], key: str, colour: str, label: str) -> SeedMean:
    """Draw ``key`` against the RL step: seeds thin, their mean thick, its 95 % t interval a band.

    A single seed is one thick line without a band, and its label says so.

    Returns:
        The mean that was drawn.

    Raises:
        ValueError: as :func:`seed_mean`.
    """
    mean = seed_mean(runs, key)
    if mean.seeds > 1:
        for run in runs:
            axes.plot(*curve(run, key), color=colour, linewidth=0.5, alpha=0.5)
        low_N, high_N = mean.mean_N - mean.half_width_N, mean.mean_N + mean.half_width_N
        axes.fill_between(mean.step_N, low_N, high_N, color=colour, alpha=0.15, linewidth=0)
    note = "" if mean.seeds > 1 else " (1 seed)"
    axes.plot(mean.step_N, mean.mean_N, color=colour, linewidth=1.5, label=f"{label}{note}")
    return mean


def save(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Write ``<stem>.png`` (300 dpi) and ``<stem>.pdf``; the same figure gives the same bytes.

    Args:
        figure: what to write.
        stem: path without a suffix; missing folders are made.

    Returns:
        Paths of the PNG and of the PDF.
    """
    path = Path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = (path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "pdf"))
    with paper_style():
        figure.savefig(png)
        layout = figure.get_layout_engine()
        figure.set_layout_engine("none")  # the PDF has the places that the PNG's layout found
        figure.savefig(pdf, metadata={"CreationDate": None})
        figure.set_layout_engine(layout)
    return png, pdf
