"""Fig. 1 of arXiv 2505.22617: entropy collapses as the accuracy rises."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, show
from lit_entropy.figures.cells import LONG
from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement, Overlay
from lit_entropy.figures.estimates import Estimate, labelled, over_seeds
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY, change
from lit_entropy.figures.panels import legend_of_labels
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import SeedMean, course, seed_lines, seed_mean
from lit_entropy.figures.style import FULL_WIDTH, looks, paper_figure
from lit_entropy.figures.verdicts import above, every

METHOD = "GRPO"


@dataclass(frozen=True)
class Course:
    """Mean over seeds at each RL step, with its 95 % t interval (NaN for fewer than 3 seeds)."""

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
    entropy_lost: Estimate  # 1 - last entropy / first
    gain: Estimate  # last accuracy - first


def measure_1(runs: Sequence[Run]) -> Collapse:
    """How far the entropy fell and the accuracy rose.

    Args:
        runs: must hold runs of the label "GRPO" with ``entropy/token_mean`` and ``val/accuracy``.

    Raises:
        ValueError: no such run, or a run that has one of these keys once or never.
    """
    return measure_collapse(labelled(runs, METHOD)[METHOD])


def measure_collapse(group: Sequence[Run]) -> Collapse:
    """As :func:`measure_1` for the runs of any one label."""
    entropy, accuracy = seed_mean(group, ENTROPY), seed_mean(group, ACCURACY)
    lost, gain = over_seeds(group, _lost), over_seeds(group, lambda run: change(run, ACCURACY))
    return Collapse(group[0].label, len(group), _course(entropy), _course(accuracy), lost, gain)


def _lost(run: Run) -> float:
    """Share of the first entropy that is gone at the end; NaN where there was none."""
    _, value_N = course(run, ENTROPY)
    return float(1.0 - value_N[-1] / value_N[0]) if value_N[0] else float("nan")


def _course(mean: SeedMean) -> Course:
    return Course(mean.step_N.tolist(), mean.mean_N.tolist(), mean.half_width_N.tolist())


def figure_1(runs: Sequence[Run]) -> Figure:
    """Entropy and accuracy of GRPO against the RL step."""
    return overlay_1(labelled(runs, METHOD)[METHOD])


def overlay_1(runs: Sequence[Run]) -> Figure:
    """Entropy and accuracy of every label against the RL step."""
    groups = by_label(runs)
    look = looks(groups)
    with paper_figure(FULL_WIDTH, 2.6) as figure:
        left, right = figure.subplots(1, 2, sharex=True)
        for label, group in groups.items():
            measure_collapse(group)  # refuses what would be an empty panel
            seed_lines(left, group, ENTROPY, look[label].colour, label)
            seed_lines(right, group, ACCURACY, look[label].colour, label)
        left.set(xlabel="RL step", ylabel="entropy, token mean (nats)", ylim=(0, None))
        right.set(xlabel="RL step", ylabel="accuracy, held out (greedy)")
        legend_of_labels(figure, left)
    return figure


def _judge_collapse(m: Collapse) -> Judgement:
    text = f"entropy lost {percent(m.entropy_lost)}, accuracy {show(m.gain, signed=True)}"
    decision = every(above(m.entropy_lost, 0.75), above(m.gain, 0))
    return Judgement(decision, f"{text}, {m.seeds} seeds")


FIGURE_1 = Entry(
    "1", "Fig. 1", "Entropy collapses, accuracy rises", f"GRPO. {SEEDS}", measure_1, figure_1,
    cells=(LONG,), overlay=Overlay(measure_collapse, overlay_1), claims=(
        Claim("Entropy collapses as the accuracy rises.", "entropy towards 0",
              "95 % intervals: share of the entropy lost above 75 %, of the last rollout "
              "against the first, gain in accuracy above 0",
              _judge_collapse),
    ),
)  # fmt: skip
