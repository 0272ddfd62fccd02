"""Fig. 1 and 2 of arXiv 2505.22617: entropy is spent, and accuracy won, early in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.estimates import estimate, labelled
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    BLUE,
    COLUMN_WIDTH,
    FULL_WIDTH,
    GREY,
    ORANGE,
    curve,
    paper_style,
    seed_lines,
    seed_mean,
    t_half_width,
)

METHOD = "GRPO"
ENTROPY, ACCURACY = "entropy/token_mean", "val/accuracy"

#: Share of training, share of the entropy consumed and share of the gain that the paper reports.
PAPER_MARKS: tuple[tuple[float, float, float], ...] = ((1 / 12, 0.73, 0.76), (1 / 3, 0.94, 0.93))

#: Colours of the two quantities, those of the summary figure.
COLOURS = {"entropy": BLUE, "gain": ORANGE}

Curve = tuple[np.ndarray, np.ndarray]
Lists = dict[str, list[Any]]


def mean_as_lists(x: str, x_N: np.ndarray, mean_N: np.ndarray, half_N: np.ndarray) -> Lists:
    """``x``, ``mean`` and ``half_width`` as JSON can hold them: None where there is no number."""
    lists = {x: x_N.tolist(), "mean": mean_N.tolist()}
    return lists | {"half_width": [half if np.isfinite(half) else None for half in half_N.tolist()]}


def measure_1(runs: Sequence[Run]) -> dict[str, Any]:
    """Entropy and held-out accuracy of GRPO over the RL steps.

    Args:
        runs: must hold runs of the label "GRPO" with ``entropy/token_mean`` and ``val/accuracy``.

    Returns:
        ``label``, ``seeds``, and for ``entropy`` (nats) and ``accuracy``: ``step``, ``mean`` and
        ``half_width`` (95 % t interval over seeds; None for one seed) as lists; ``entropy_lost``:
        1 - last mean entropy / first; ``gain``: last mean accuracy - first.

    Raises:
        ValueError: no such run, or a run without these keys.
    """
    group = labelled(runs, METHOD)[METHOD]
    entropy, accuracy = seed_mean(group, ENTROPY), seed_mean(group, ACCURACY)
    return {
        "label": METHOD,
        "seeds": len(group),
        "entropy": mean_as_lists("step", entropy.step_N, entropy.mean_N, entropy.half_width_N),
        "accuracy": mean_as_lists("step", accuracy.step_N, accuracy.mean_N, accuracy.half_width_N),
        "entropy_lost": float(1.0 - entropy.mean_N[-1] / entropy.mean_N[0]),
        "gain": float(accuracy.mean_N[-1] - accuracy.mean_N[0]),
    }


def figure_1(runs: Sequence[Run]) -> Figure:
    """Entropy and accuracy of GRPO against the RL step; takes and raises as :func:`measure_1`."""
    group = labelled(runs, METHOD)[METHOD]
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.3), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        seed_lines(left, group, ENTROPY, BLUE, METHOD)
        seed_lines(right, group, ACCURACY, ORANGE, METHOD)
        left.set(xlabel="RL step", ylabel="entropy, token mean (nats)", ylim=(0, None))
        right.set(xlabel="RL step", ylabel="accuracy, held out (greedy)")
        left.legend(loc="best")
        right.legend(loc="best")
    return figure


def shares(run: Run) -> dict[str, Curve]:
    """Share of the run's whole fall of entropy and of its whole gain, by share of training.

    Row k's entropy is that of the policy after k - 1 RL steps, row k's accuracy that of the policy
    after k; a share of training counts the RL steps that the policy has behind it.

    Returns:
        ``entropy`` and ``gain``: shares of training and the shares reached by then.

    Raises:
        ValueError: a missing key, fewer than two validations, or no fall or no gain to share out.
    """
    (step_E, entropy_E), (step_A, accuracy_A) = curve(run, ENTROPY), curve(run, ACCURACY)
    fall, gain = entropy_E[0] - entropy_E[-1], accuracy_A[-1] - accuracy_A[0]
    for name, key, total in (("entropy fell", ENTROPY, fall), ("accuracy rose", ACCURACY, gain)):
        if not total > 0:
            raise ValueError(
                f"run {run.name!r}: {name} by {total:.4g} from the first to the last '{key}', "
                "so it has no shares: take a longer run"
            )
    steps = max(step_E[-1], step_A[-1])
    return {
        "entropy": ((step_E - 1) / steps, (entropy_E[0] - entropy_E) / fall),
        "gain": (step_A / steps, (accuracy_A - accuracy_A[0]) / gain),
    }


def measure_2(runs: Sequence[Run]) -> dict[str, Any]:
    """Shares of the entropy consumed and of the gain that a share of training brought.

    Args:
        runs: as :func:`measure_1`.

    Returns:
        ``label``, ``seeds``; ``entropy`` and ``gain``: lists ``training_share``, ``mean``,
        ``half_width`` over seeds; ``marks``: for the shares of training 1/12 and 1/3, linearly
        interpolated, estimates ``entropy`` and ``gain`` beside ``paper_entropy``, ``paper_gain``;
        ``validation_spacing``: the largest share of training between two validations, so the gain
        at a mark below it rests on interpolation alone.

    Raises:
        ValueError: as :func:`measure_1` and :func:`shares`.
    """
    group = labelled(runs, METHOD)[METHOD]
    by_run = [shares(run) for run in group]
    marks: list[dict[str, Any]] = [
        {
            "training_share": at,
            "entropy": estimate([float(np.interp(at, *share["entropy"])) for share in by_run]),
            "gain": estimate([float(np.interp(at, *share["gain"])) for share in by_run]),
            "paper_entropy": entropy,
            "paper_gain": gain,
        }
        for at, entropy, gain in PAPER_MARKS
    ]
    return {
        "label": METHOD,
        "seeds": len(group),
        "entropy": _mean_share([share["entropy"] for share in by_run]),
        "gain": _mean_share([share["gain"] for share in by_run]),
        "marks": marks,
        "validation_spacing": max(float(np.diff(share["gain"][0]).max()) for share in by_run),
    }


def _mean_share(seeds: Sequence[Curve]) -> Lists:
    """Mean over seeds wherever one of them has a point, the others interpolated linearly."""
    grid_N = np.unique(np.concatenate([training for training, _ in seeds]))
    grid_N = grid_N[grid_N <= min(training[-1] for training, _ in seeds)]
    values_SN = np.array([np.interp(grid_N, *seed) for seed in seeds])
    return mean_as_lists("training_share", grid_N, values_SN.mean(axis=0), t_half_width(values_SN))


def figure_2(runs: Sequence[Run]) -> Figure:
    """Shares of entropy and gain against training; takes and raises as :func:`measure_2`."""
    measured = measure_2(runs)
    by_run = [shares(run) for run in labelled(runs, METHOD)[METHOD]]
    with paper_style():
        figure = Figure(figsize=(COLUMN_WIDTH, 2.7), layout="constrained")
        axes = figure.subplots()
        for key, name in (("entropy", "entropy consumed"), ("gain", "accuracy gained")):
            _draw_share(axes, [share[key] for share in by_run], measured[key], COLOURS[key], name)
        for mark in measured["marks"]:
            _draw_paper_mark(axes, mark)
        axes.plot([], [], color=GREY, marker=4, linestyle="none", label="paper, at 1/12 and 1/3")
        axes.set(xlabel="share of training", ylabel="share of the total", xlim=(0, 1.01))
        axes.legend(loc="lower right")
    return figure


def _draw_share(
    axes: Axes, seeds: Sequence[Curve], measured: Lists, colour: str, name: str
) -> None:
    training, mean = np.array(measured["training_share"]), np.array(measured["mean"])
    if len(seeds) > 1:
        for seed in seeds:
            axes.plot(*seed, color=colour, linewidth=0.5, alpha=0.5)
        half = np.array(measured["half_width"], dtype=float)
        axes.fill_between(training, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    note = "" if len(seeds) > 1 else " (1 seed)"
    axes.plot(training, mean, color=colour, label=f"{name}{note}")


def _draw_paper_mark(axes: Axes, mark: dict[str, Any]) -> None:
    """The paper's shares: a caret from the left for the entropy, from the right for the gain."""
    at = mark["training_share"]
    axes.axvline(at, color=GREY, linewidth=0.7, linestyle=":")
    for key, caret in (("entropy", 5), ("gain", 4)):
        axes.plot(
            [at], [mark[f"paper_{key}"]], marker=caret, color=COLOURS[key], markersize=6,
            markeredgecolor="black", markeredgewidth=0.5, linestyle="none",
        )  # fmt: skip
