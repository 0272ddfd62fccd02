"""One panel of a run's summary: the realised change of entropy beside its prediction."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lit_entropy.figures.panels import lacks
from lit_entropy.figures.runs import History
from lit_entropy.figures.style import GREY

#: Points below which each is drawn as a dot of its own.
FEW = 10


class Change(NamedTuple):
    """A realised change of entropy beside its prediction, one point per RL step.

    Attributes:
        realised: key of the realised change.
        predicted: key of the prediction.
        states: where both are taken.
        law: name of the prediction.
        unit_step: whether the prediction is for a step size of one, so that its scale is free.
    """

    realised: str
    predicted: str
    states: str
    law: str
    unit_step: bool


#: What EntropyDynamics measures, before and after the update at the same states.
AT_STATES = (
    Change("dynamics/fixed/delta", "dynamics/fixed/lemma1", "fixed states", "Lemma 1", False),
    Change(
        "dynamics/own/delta", "dynamics/own/theorem2_batch", "states of the rollout", "Theorem 2",
        True,
    ),
)  # fmt: skip
#: What EntropyDelta measures: the states are fixed, the prediction is the rollout's.
OVER_STEPS = Change(
    "dynamics/delta",
    "dynamics/predicted_theorem2",
    "fixed states",
    "Theorem 2",
    True,
)


def plot_entropy_change(axes: Axes, history: History, change: Change) -> None:
    """Realised against predicted entropy change, one point per RL step, seen from zero.

    A prediction without a free scale has the line y = x; one for a step size of one is drawn as it
    is, with its least squares line through the origin, which a single point does not have.
    """
    found = points(history, change)
    if found is None:
        return lacks(axes, "RL steps that have both", change.realised, change.predicted)
    step_N, predicted_N, realised_N = found
    x_N, y_N = predicted_N if change.unit_step else 1e3 * predicted_N, 1e3 * realised_N
    size = 15 if len(step_N) < FEW else 5
    dots = axes.scatter(x_N, y_N, c=step_N, cmap="cividis", s=size, linewidths=0)
    if change.unit_step:
        _fitted(axes, x_N, y_N)
        axes.set_xlabel(rf"$-$Cov, {change.law} (nats, unit step)")
    else:
        _diagonal(axes, x_N, y_N)
        axes.set_xlabel(rf"predicted $\Delta H$, {change.law} ($10^{{-3}}$ nats)")
    axes.set_ylabel(r"realised $\Delta H$ ($10^{-3}$ nats)")
    axes.set_title(change.states)
    axes.legend(loc="best")
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=5)
    figure = axes.get_figure()
    assert figure is not None
    ticks = MaxNLocator(5, integer=True, min_n_ticks=1)
    bar = figure.colorbar(dots, ax=axes, label="RL step", aspect=25, pad=0.03, ticks=ticks)
    bar.outline.set_visible(False)


def _fitted(axes: Axes, x_N: np.ndarray, y_N: np.ndarray) -> None:
    """The least squares line through the origin."""
    axes.update_datalim([(0.0, 0.0)])
    axes.autoscale_view()
    if len(x_N) == 1:  # any line would meet it
        axes.plot([], [], " ", label="one RL step: no slope")
        return
    slope = float(x_N @ y_N / max(x_N @ x_N, 1e-300))
    axes.axline(
        (0.0, 0.0), slope=slope, color=GREY, linewidth=0.8, linestyle="--",
        label=f"slope {1e-3 * slope:.2g}, fitted here",
    )  # fmt: skip


def _diagonal(axes: Axes, x_N: np.ndarray, y_N: np.ndarray) -> None:
    """The line y = x, between limits that are the same on both axes."""
    low, high = min(x_N.min(), y_N.min(), 0.0), max(x_N.max(), y_N.max(), 0.0)
    margin = 0.06 * max(high - low, 1e-9)
    limits = (low - margin, high + margin)
    axes.set(xlim=limits, ylim=limits)
    axes.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=0.8, linestyle="--", label="y = x")


def points(history: History, change: Change) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """RL steps, predicted and realised changes in nats, where both were logged; None without."""
    if change.realised not in history or change.predicted not in history:
        return None
    realised, predicted = history[change.realised], history[change.predicted]
    both = np.isfinite(realised) & np.isfinite(predicted)
    return (history["step"][both], predicted[both], realised[both]) if both.any() else None
