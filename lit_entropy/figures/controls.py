"""Controls: what entropy, covariance and accuracy do where nothing can be learnt, or nothing acts.

Random rewards: a fall of entropy must not be read as learning (2509.26114, 2512.16912). Shuffled
advantages: the covariance must vanish. One update per rollout: KL-Cov's penalty has no gradient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import show
from lit_entropy.figures.cells import GRPO, Cell
from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import (
    Estimate,
    first,
    over_seeds,
    paired_ratio,
    plateau,
    smoothed,
    smoothing_window,
)
from lit_entropy.figures.marks import zero_line
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY, change
from lit_entropy.figures.panels import frame_lines
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import curve, seed_lines
from lit_entropy.figures.style import (
    BLACK,
    BLUE,
    FULL_WIDTH,
    GREEN,
    RED,
    paper_figure,
)
from lit_entropy.figures.verdicts import NOT_TESTABLE, below, every, within

COVARIANCE, PENALTY = "cov/mean", "policy/kl_selected"
ANSWER = "entropy/answer"
SINGLE = "KL-Cov, one update"

#: The controls and what they are held against.
COLOURS = {"GRPO": BLACK, "random rewards": RED, "shuffled advantages": GREEN, SINGLE: BLUE}


@dataclass(frozen=True)
class Control:
    """What one control came to; estimates over seeds."""

    seeds: list[int]
    # of the first rollout and the last fifth, nats
    entropy_first: Estimate
    entropy_last: Estimate
    entropy_kept: Estimate  # the last fifth's as a share of the first; NaN where that is 0
    # the same of the entropy over answers; None if not logged
    answer_entropy_first: Estimate | None
    answer_entropy_last: Estimate | None
    accuracy_gain: Estimate  # last validation minus first
    covariance: Estimate  # mean over the run, nats
    # largest mean KL penalty of the selected tokens; None for a method without one
    penalty: Estimate | None


#: By label.
Controls = dict[str, Control]


def measure_controls(runs: Sequence[Run]) -> Controls:
    """What each control came to, beside GRPO.

    Args:
        runs: of the labels "GRPO", "random rewards", "shuffled advantages" and "KL-Cov, one
            update", or some of them.

    Raises:
        ValueError: no run has one of the labels, or a run lacks a key.
    """
    groups = {label: group for label, group in by_label(runs).items() if label in COLOURS}
    if not groups.keys() - {"GRPO"}:
        raise ValueError(f"no run has one of the labels {list(COLOURS)[1:]}: add a control")
    return {label: _measure(groups[label]) for label in COLOURS if label in groups}


def _measure(group: Sequence[Run]) -> Control:
    def if_logged(key: str, value: Callable[[Run], float]) -> Estimate | None:
        return over_seeds(group, value) if all(key in run.history for run in group) else None

    return Control(
        [run.seed for run in group],
        over_seeds(group, lambda run: first(run, ENTROPY)),
        over_seeds(group, lambda run: plateau(run, ENTROPY)),
        over_seeds(group, _kept),
        if_logged(ANSWER, lambda run: first(run, ANSWER)),
        if_logged(ANSWER, lambda run: plateau(run, ANSWER)),
        over_seeds(group, lambda run: change(run, ACCURACY)),
        over_seeds(group, lambda run: float(curve(run, COVARIANCE)[1].mean())),
        if_logged(PENALTY, lambda run: float(np.abs(curve(run, PENALTY)[1]).max())),
    )


def _kept(run: Run) -> float:
    start = first(run, ENTROPY)
    return plateau(run, ENTROPY) / start if start else float("nan")


def figure_controls(runs: Sequence[Run]) -> Figure:
    """Entropy, covariance and accuracy of the controls."""
    measure_controls(runs)
    groups = {label: group for label, group in by_label(runs).items() if label in COLOURS}
    window = smoothing_window(next(iter(groups.values()))[0])
    with paper_figure(FULL_WIDTH, 3.0) as figure:
        panels = figure.subplots(1, 3)
        names = ("entropy, token mean (nats)", f"covariance (nats, mean over {window})",
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
        zero_line(panels[1])
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


NO_RUN = Judgement(NOT_TESTABLE, "no such run")


def _judge_random(m: Controls) -> Judgement:
    if "random rewards" not in m:
        return NO_RUN
    found = m["random rewards"]
    text = (
        f"entropy {show(found.entropy_first)} to {show(found.entropy_last)} "
        f"(×{show(found.entropy_kept, 2)}), accuracy {show(found.accuracy_gain, signed=True)}"  # noqa: RUF001
    )
    return Judgement(every(below(found.entropy_kept, 0.9), below(found.accuracy_gain, 0.02)), text)


def _judge_shuffled(m: Controls) -> Judgement:
    if "shuffled advantages" not in m:
        return NO_RUN
    shuffled = m["shuffled advantages"]
    text = f"mean covariance {show(shuffled.covariance, 5)}"
    if "GRPO" not in m:
        return Judgement(NOT_TESTABLE, f"{text}; no run of GRPO beside it")
    base = m["GRPO"]
    share = paired_ratio(*(
        dict(zip(each.seeds, each.covariance.values, strict=True)) for each in (shuffled, base)
    ))  # fmt: skip
    text += f", GRPO's {show(base.covariance, 5)}: ×{show(share, 3)}"  # noqa: RUF001
    return Judgement(within(share, -0.1, 0.1), text)


def _judge_single(m: Controls) -> Judgement:
    penalty = m[SINGLE].penalty if SINGLE in m else None
    if penalty is None:
        return NO_RUN
    largest = max(penalty.values)
    return Judgement(below(penalty, 1e-6), f"largest penalty {largest:.1e} nats")


def controls_table(m: Controls) -> list[Table]:
    """Every control beside GRPO."""
    header = ["", "entropy, first", "last fifth", "answer entropy, first", "last fifth",
              "accuracy gain", "covariance"]  # fmt: skip
    rows = [
        [label, show(e.entropy_first), show(e.entropy_last), show(e.answer_entropy_first),
         show(e.answer_entropy_last), show(e.accuracy_gain, signed=True), show(e.covariance, 5)]
        for label, e in m.items()
    ]  # fmt: skip
    return [Table(header, rows)]


CONTROLS = Entry(
    "controls", "Controls", "Where nothing is to be learnt, or nothing acts", SEEDS,
    measure_controls, figure_controls,
    (
        Claim("Entropy falls by random rewards too, without learning.",
              "not in the paper (2509.26114, 2512.16912)",
              "95 % intervals: entropy of the last fifth below 0.9 times the first, gain in "
              "accuracy below 2 points", _judge_random),
        Claim("Without a tie to the response the covariance vanishes: shuffled advantages.",
              "not in the paper", "its mean covariance as a multiple of GRPO's, paired by seed: "
              "95 % interval within ±0.1", _judge_shuffled),
        Claim("With one update a rollout KL-Cov has nothing to act on.",
              "not in the paper (its repository's issue 1)",
              "95 % interval of the largest penalty of a run below 1e-6 nats",
              _judge_single),
    ),
    (
        GRPO,
        # three seeds, trained again, left both undecided
        Cell("random_rewards", "random rewards", "random_rewards", kind="control", seeds=8),
        Cell("shuffled_advantages", "shuffled advantages", "shuffled_advantages", kind="control",
             seeds=8),
        Cell("kl_cov_single_update", SINGLE, "kl_cov_single_update", kind="control",
             single_update=True),
    ),
    tables=controls_table,
)  # fmt: skip
