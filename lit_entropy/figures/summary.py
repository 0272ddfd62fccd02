"""One picture of a run: its entropy, its accuracy, and how well theory foretold the entropy."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.style import BLUE, FULL_WIDTH, GREY, ORANGE, paper_figure

History = Mapping[str, np.ndarray]

#: Predictions of the entropy change: key and label; the first that a run has is drawn.
PREDICTIONS: tuple[tuple[str, str], ...] = (
    ("dynamics/predicted_theorem2", "Theorem 2"),
    ("dynamics/predicted_lemma1", "Lemma 1"),
    ("dynamics/predicted_theorem1", "Theorem 1"),
)


def summary_figure(history: History) -> Figure:
    """Entropy, accuracy, and realised against predicted entropy change.

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
    with paper_figure(FULL_WIDTH, 2.2) as figure:
        axes = figure.subplots(1, 3)
        plot_entropy(axes[0], history)
        plot_accuracy(axes[1], history)
        plot_entropy_change(axes[2], history)
        for letter, panel in zip("abc", axes, strict=True):
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
    """Validation accuracy with its standard error, and the rollout's reward."""
    accuracy, reward = series(history, "val/accuracy"), series(history, "rollout/reward")
    if accuracy is None and reward is None:
        return _lacks(axes, "val/accuracy", "rollout/reward")
    if reward is not None:
        axes.plot(*reward, color=GREY, linewidth=0.7, label="reward, rollout")
    if accuracy is not None:
        steps, mean = accuracy
        axes.plot(steps, mean, color=ORANGE, marker="o", markersize=2.5, label="greedy, held out")
        if "val/accuracy_se" in history:
            error = history["val/accuracy_se"][np.isfinite(history["val/accuracy"])]
            axes.fill_between(
                steps, mean - error, mean + error, color=ORANGE, alpha=0.25, linewidth=0,
                label=r"$\pm$ 1 standard error",
            )  # fmt: skip
    axes.set(xlabel="RL step", ylabel="accuracy, mean reward")
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    axes.set(ylim=(low, high + 0.45 * (high - low)), yticks=ticks)  # room for the legend
    axes.legend(loc="upper left")


def plot_entropy_change(axes: Axes, history: History) -> None:
    """Realised against predicted entropy change, one point an RL step, with the line y = x.

    The covariance of Theorem 2 is scaled by ``dynamics/slope`` (last value), the run's effective
    step size; without a slope the prediction is for a step size of one.
    """
    found = [(key, name) for key, name in PREDICTIONS if series(history, key) is not None]
    if series(history, "dynamics/delta") is None or not found:
        return _lacks(axes, "dynamics/delta", PREDICTIONS[0][0])
    key, name = found[0]
    slope_data = series(history, "dynamics/slope") if key == PREDICTIONS[0][0] else None
    slope = 1.0 if slope_data is None else float(slope_data[1][-1])
    realised, predicted = history["dynamics/delta"], slope * history[key]
    both = np.isfinite(realised) & np.isfinite(predicted)
    if not both.any():
        return _lacks(axes, "RL steps that have both", "dynamics/delta", key)
    x, y = 1e3 * predicted[both], 1e3 * realised[both]
    points = axes.scatter(x, y, c=history["step"][both], cmap="cividis", s=5, linewidths=0)
    low, high = float(np.min([x, y])), float(np.max([x, y]))
    margin = 0.06 * max(high - low, 1e-9)
    limits = (low - margin, high + margin)  # the same on both axes, so that y = x is the diagonal
    axes.set(xlim=limits, ylim=limits)
    axes.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=0.8, linestyle="--")
    axes.set(
        xlabel=rf"predicted $\Delta H$, {name} ($10^{{-3}}$ nats)",
        ylabel=r"realised $\Delta H$ ($10^{-3}$ nats)",
    )
    axes.locator_params(nbins=5)
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(points, ax=axes, label="RL step", aspect=25, pad=0.03)
    bar.outline.set_visible(False)
    if slope_data is not None:
        fit = series(history, "dynamics/r2")
        quality = "" if fit is None else rf", $R^2$ = {fit[1][-1]:.2f}"
        axes.set_title(rf"slope {slope:.2g}{quality}")


def _lacks(axes: Axes, *keys: str) -> None:
    """Say on an empty panel what it would need."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, "not logged:\n" + "\n".join(keys), transform=axes.transAxes, color=GREY,
        ha="center", va="center", fontsize=7,
    )  # fmt: skip
