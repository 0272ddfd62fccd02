"""Controls: what entropy, covariance and accuracy do where nothing can be learnt, or nothing acts.

Random rewards: a fall of entropy must not be read as learning (2509.26114, 2512.16912). Shuffled
advantages: the covariance must vanish. One update a rollout: KL-Cov's penalty has no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lit_entropy.figures.estimates import (
    first,
    last,
    over_seeds,
    plateau,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.methods import ACCURACY, ENTROPY
from lit_entropy.figures.panels import frame_lines
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.style import (
    BLACK,
    BLUE,
    FULL_WIDTH,
    GREEN,
    RED,
    curve,
    paper_style,
    seed_lines,
)

COVARIANCE, PENALTY = "cov/mean", "policy/kl_selected"
ANSWER = "entropy/answer"
SINGLE = "KL-Cov, one update"

#: The controls and what they are held against.
COLOURS = {"GRPO": BLACK, "random rewards": RED, "shuffled advantages": GREEN, SINGLE: BLUE}


def measure_controls(runs: Sequence[Run]) -> dict[str, Any]:
    """What each control came to, beside GRPO.

    Args:
        runs: of the labels "GRPO", "random rewards", "shuffled advantages" and "KL-Cov, one
            update", or some of them.

    Returns:
        By label: ``seeds``; estimates over seeds ``entropy_first``, ``entropy_last`` (nats, first
        rollout and mean of the last fifth), ``answer_entropy_first``, ``answer_entropy_last`` (the
        same of the entropy over answers; None if not logged), ``accuracy_gain`` (last validation -
        first), ``covariance`` (mean over the run, nats), ``penalty`` (largest mean KL penalty of
        the selected tokens; None for a method without one).

    Raises:
        ValueError: no run has one of the labels, or a run lacks a key.
    """
    groups = {label: group for label, group in by_label(runs).items() if label in COLOURS}
    if not groups.keys() - {"GRPO"}:
        raise ValueError(f"no run has one of the labels {list(COLOURS)[1:]}: add a control")
    return {label: _measure(groups[label]) for label in COLOURS if label in groups}


def _measure(group: Sequence[Run]) -> dict[str, Any]:
    answers = all(ANSWER in run.history for run in group)
    penalised = all(PENALTY in run.history for run in group)
    return {
        "seeds": [run.seed for run in group],
        "entropy_first": over_seeds(group, lambda run: first(run, ENTROPY)),
        "entropy_last": over_seeds(group, lambda run: plateau(run, ENTROPY)),
        "answer_entropy_first": over_seeds(group, lambda run: first(run, ANSWER))
        if answers
        else None,
        "answer_entropy_last": over_seeds(group, lambda run: plateau(run, ANSWER))
        if answers
        else None,
        "accuracy_gain": over_seeds(group, lambda run: last(run, ACCURACY) - first(run, ACCURACY)),
        "covariance": over_seeds(group, lambda run: float(curve(run, COVARIANCE)[1].mean())),
        "penalty": over_seeds(group, lambda run: float(np.abs(curve(run, PENALTY)[1]).max()))
        if penalised
        else None,
    }


def figure_controls(runs: Sequence[Run]) -> Figure:
    """Entropy, covariance and accuracy of the controls; raises as :func:`measure_controls`."""
    measure_controls(runs)
    groups = {label: group for label, group in by_label(runs).items() if label in COLOURS}
    window = smoothing_window(next(iter(groups.values()))[0])
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 2.6), layout="constrained")
        panels = figure.subplots(1, 3)
        names = ("entropy, token mean (nats)", f"covariance (nats), mean over {window}",
                 "held-out accuracy (greedy)")  # fmt: skip
        for axes, key, name in zip(panels, (ENTROPY, COVARIANCE, ACCURACY), names, strict=True):
            for label, colour in COLOURS.items():
                if label in groups:
                    shown = groups[label]
                    if key == COVARIANCE:
                        shown = [smoothed(run, key) for run in shown]
                    seed_lines(axes, shown, key, colour, label)
            axes.set(xlabel="RL step", ylabel=name)
            frame_lines(axes)
        panels[1].axhline(0.0, color="black", linewidth=0.6)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure
