"""One picture of a run: its entropy, its accuracy, and how well theory foretold the entropy."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.change_panel import (
    AT_STATES,
    FEW,
    OVER_STEPS,
    plot_entropy_change,
    points,
)
from lit_entropy.figures.panels import lacks
from lit_entropy.figures.runs import History
from lit_entropy.figures.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    ORANGE,
    paper_figure,
)

#: Standard errors in half a 95 % interval: metrics do not say of how many problems one is.
NORMAL = 1.96


def summary_figure(history: History) -> Figure:
    """Entropy, accuracy, and realised against predicted entropy change.

    Two panels show the change where the run has ``EntropyDynamics``: Lemma 1 at fixed states, and
    Theorem 2 at the rollout's. Otherwise one shows the change at fixed states beside Theorem 2 of
    the rollout.

    Args:
        history: one array per metric key, all of one length, with ``step`` the RL step; NaN where a
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
    changes = [each for each in AT_STATES if points(history, each) is not None]
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
        return lacks(axes, "entropy/token_mean")
    axes.plot(*data, color=BLUE, **_dots(data[0]))
    top = 1.05 * float(data[1].max()) or None  # a flat line would lie on the edge
    axes.set(xlabel="RL step", ylabel="entropy, token mean (nats)", ylim=(0, top))


def plot_accuracy(axes: Axes, history: History) -> None:
    """Validation accuracy with its 95 % interval over problems, and the rollout's reward."""
    accuracy, reward = series(history, "val/accuracy"), series(history, "rollout/reward")
    if accuracy is None and reward is None:
        return lacks(axes, "val/accuracy", "rollout/reward")
    if reward is not None:
        axes.plot(*reward, color=GREY, linewidth=0.7, label="reward, rollout", **_dots(reward[0]))
    if accuracy is not None:
        steps, mean = accuracy
        axes.plot(steps, mean, color=ORANGE, marker="o", markersize=2.5, label="greedy, held out")
        if "val/accuracy_se" in history:
            half = NORMAL * history["val/accuracy_se"][np.isfinite(history["val/accuracy"])]
            _interval(axes, steps, mean, half)
    axes.set(xlabel="RL step", ylabel="accuracy, mean reward")
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    axes.set(ylim=(low, high + 0.45 * (high - low)), yticks=ticks)  # room for the legend
    axes.legend(loc="upper left")


def _interval(axes: Axes, steps: np.ndarray, mean: np.ndarray, half: np.ndarray) -> None:
    """A band; of one validation, where a band has no width, a bar."""
    style: dict[str, Any] = {"color": ORANGE, "alpha": 0.25, "label": "95 % interval"}
    if len(steps) == 1:
        axes.errorbar(steps, mean, yerr=half, fmt="none", elinewidth=3, **style)
    else:
        axes.fill_between(steps, mean - half, mean + half, linewidth=0, **style)


def _dots(steps: np.ndarray) -> dict[str, Any]:
    """Dots on the line of a run so short that it has few points, or one."""
    return {"marker": "o", "markersize": 2.5} if len(steps) < FEW else {}
