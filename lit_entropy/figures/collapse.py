"""Fig. 1 of arXiv 2505.22617: entropy collapses as the accuracy saturates."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement
from lit_entropy.figures.estimates import labelled
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    BLUE,
    FULL_WIDTH,
    ORANGE,
    SeedMean,
    paper_figure,
    seed_lines,
    seed_mean,
)

METHOD = "GRPO"


@dataclass(frozen=True)
class Course:
    """Mean over seeds at each RL step, with its 95 % t interval (NaN for one seed)."""

    step: list[float]
    mean: list[float]
    half_width: list[float]


@dataclass(frozen=True)
class Collapse:
    """Entropy and held-out accuracy of GRPO over the RL steps."""

    label: str
    seeds: int
    entropy: Course  # nats
    accuracy: Course  # fraction
    entropy_lost: float  # 1 - last mean entropy / first
    gain: float  # last mean accuracy - first


def measure_1(runs: Sequence[Run]) -> Collapse:
    """How far the entropy fell and the accuracy rose.

    Args:
        runs: must hold runs of the label "GRPO" with ``entropy/token_mean`` and ``val/accuracy``.

    Raises:
        ValueError: no such run, or a run without these keys.
    """
    group = labelled(runs, METHOD)[METHOD]
    entropy, accuracy = seed_mean(group, ENTROPY), seed_mean(group, ACCURACY)
    lost = float(1.0 - entropy.mean_N[-1] / entropy.mean_N[0])
    gain = float(accuracy.mean_N[-1] - accuracy.mean_N[0])
    return Collapse(METHOD, len(group), _course(entropy), _course(accuracy), lost, gain)


def _course(mean: SeedMean) -> Course:
    return Course(mean.step_N.tolist(), mean.mean_N.tolist(), mean.half_width_N.tolist())


def figure_1(runs: Sequence[Run]) -> Figure:
    """Entropy and accuracy of GRPO against the RL step."""
    group = labelled(runs, METHOD)[METHOD]
    with paper_figure(FULL_WIDTH, 2.3) as figure:
        left, right = figure.subplots(1, 2, sharex=True)
        seed_lines(left, group, ENTROPY, BLUE, METHOD)
        seed_lines(right, group, ACCURACY, ORANGE, METHOD)
        left.set(xlabel="RL step", ylabel="entropy, token mean (nats)", ylim=(0, None))
        right.set(xlabel="RL step", ylabel="accuracy, held out (greedy)")
        left.legend(loc="best")
        right.legend(loc="best")
    return figure


def _judge_collapse(m: Collapse) -> Judgement:
    text = f"entropy lost {m.entropy_lost:.0%}, accuracy {m.gain:+.3f}, {m.seeds} seeds"
    return Judgement(m.entropy_lost >= 0.75 and m.gain > 0, text)


FIGURE_1 = Entry(
    "1", "Fig. 1", "Entropy collapses, accuracy saturates", f"GRPO. {SEEDS}", measure_1, figure_1,
    (
        Claim("Entropy collapses as the accuracy rises and saturates.", "entropy towards 0",
              "at least 75 % of the entropy lost and a gain in accuracy", _judge_collapse),
    ),
)  # fmt: skip
