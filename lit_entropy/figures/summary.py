"""One picture of a run: its entropy, its accuracy, and how well theory foretold the entropy."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    ORANGE,
    paper_figure,
)

History = Mapping[str, np.ndarray]


#: Standard errors in half a 95 % interval: metrics do not say of how many problems one is.
NORMAL = 1.96


class Change(NamedTuple):
    """A realised change of entropy beside its prediction, one point an RL step.

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


def summary_figure(history: History) -> Figure:
    """Entropy, accuracy, and realised against predicted entropy change.

    Two panels show the change where the run has ``EntropyDynamics``: Lemma 1 at fixed states, and
    Theorem 2 at the rollout's. Otherwise one shows the change at fixed states beside Theorem 2 of
    the rollout.

    Args:
        history: one array a metric key, all of one length, with ``step`` the RL step; NaN where a
            step has no such number (``read_metrics`` returns this).

    Returns:
        A figure of the width of a page; a panel without data says which key it lacks.

    Raises:
        ValueError: the history has no ``step``.
    """
    if "step" not in history:
        raise ValueError(
            f"history has no 'step' (it has {sorted(history)}): pass read_metrics(...)"
        )
    changes = [each for each in AT_STATES if _points(history, each) is not None]
    changes = changes or [OVER_STEPS]
    with paper_figure(FULL_WIDTH, 2.2 if len(changes) == 1 else 4.0) as figure:
        axes = figure.subplots(1, 3) if len(changes) == 1 else figure.subplots(2, 2).flatten()
        plot_entropy(axes[0], history)
        plot_accuracy(axes[1], history)
        for panel, change in zip(axes[2:], changes, strict=True):
            plot_entropy_change(panel, history, change)
        for letter, panel in zip("abcd", axes, strict=False):
            panel.set_title(f"({letter})  {panel.get_title()}", loc="left")
            panel.set_title("")
    return figure


def series(history: History, key: str) -> tuple[np.ndarray, np.ndarray] | None:
    """RL steps and values where ``key`` is finite; None when there is none."""
    if key not in history:
        return None
    finite = np.isfinite(history[key])
    if not finite.any():
        return None
    return history["step"][finite], history[key][finite]


def plot_entropy(axes: Axes, history: History) -> None:
    """Token-mean entropy of each rollout against the RL step."""
    data = series(history, "entropy/token_mean")
    if data is None:
        return _lacks(axes, "entropy/token_mean")
    axes.plot(*data, color=BLUE)
    axes.set(xlabel="RL step", ylabel="entropy, token mean (nats)", ylim=(0, None))


def plot_accuracy(axes: Axes, history: History) -> None:
    """Validation accuracy with its 95 % interval over problems, and the rollout's reward."""
    accuracy, reward = series(history, "val/accuracy"), series(history, "rollout/reward")
    if accuracy is None and reward is None:
        return _lacks(axes, "val/accuracy", "rollout/reward")
    if reward is not None:
        axes.plot(*reward, color=GREY, linewidth=0.7, label="reward, rollout")
    if accuracy is not None:
        steps, mean = accuracy
        axes.plot(steps, mean, color=ORANGE, marker="o", markersize=2.5, label="greedy, held out")
        if "val/accuracy_se" in history:
            half = NORMAL * history["val/accuracy_se"][np.isfinite(history["val/accuracy"])]
            axes.fill_between(
                steps, mean - half, mean + half, color=ORANGE, alpha=0.25, linewidth=0,
                label="95 % interval over problems",
            )  # fmt: skip
    axes.set(xlabel="RL step", ylabel="accuracy, mean reward")
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    axes.set(ylim=(low, high + 0.45 * (high - low)), yticks=ticks)  # room for the legend
    axes.legend(loc="upper left")


def plot_entropy_change(axes: Axes, history: History, change: Change) -> None:
    """Realised against predicted entropy change, one point an RL step.

    A prediction without a free scale has the line y = x; one for a step size of one is drawn as it
    is, with its least squares line through the origin.
    """
    points = _points(history, change)
    if points is None:
        return _lacks(axes, "RL steps that have both", change.realised, change.predicted)
    step_N, predicted_N, realised_N = points
    x, y = predicted_N if change.unit_step else 1e3 * predicted_N, 1e3 * realised_N
    dots = axes.scatter(x, y, c=step_N, cmap="cividis", s=5, linewidths=0)
    if change.unit_step:
        slope = float(predicted_N @ realised_N / max(predicted_N @ predicted_N, 1e-300))
        axes.axline(
            (0.0, 0.0), slope=1e3 * slope, color=GREY, linewidth=0.8, linestyle="--",
            label=f"slope {slope:.2g}, fitted here",
        )  # fmt: skip
        axes.set_xlabel(rf"$-$Cov, {change.law} (nats, unit step)")
    else:
        low, high = float(np.min([x, y])), float(np.max([x, y]))
        margin = 0.06 * max(high - low, 1e-9)
        limits = (low - margin, high + margin)  # the same on both axes, so that y = x is diagonal
        axes.set(xlim=limits, ylim=limits)
        axes.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=0.8, linestyle="--", label="y = x")
        axes.set_xlabel(rf"predicted $\Delta H$, {change.law} ($10^{{-3}}$ nats)")
    axes.set_ylabel(r"realised $\Delta H$ ($10^{-3}$ nats)")
    axes.set_title(change.states)
    axes.legend(loc="best")
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=5)
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(dots, ax=axes, label="RL step", aspect=25, pad=0.03)
    bar.outline.set_visible(False)


def _points(history: History, change: Change) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """RL steps, predicted and realised changes in nats, where both were logged; None without."""
    if change.realised not in history or change.predicted not in history:
        return None
    realised, predicted = history[change.realised], history[change.predicted]
    both = np.isfinite(realised) & np.isfinite(predicted)
    return (history["step"][both], predicted[both], realised[both]) if both.any() else None


def _lacks(axes: Axes, *keys: str) -> None:
    """Say on an empty panel what it would need."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, "not logged:\n" + "\n".join(keys), transform=axes.transAxes, color=GREY,
        ha="center", va="center", fontsize=7,
    )  # fmt: skip
