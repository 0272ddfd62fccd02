"""The whole paper at a glance: entropy is spent, what holding it wins, and that it is foretold."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lit_entropy.figures.discovery import CELLS, PLAN
from lit_entropy.figures.entries import Entry, Overlay
from lit_entropy.figures.estimates import labelled
from lit_entropy.figures.matches import MATCHES, Agreements, measure_dynamics
from lit_entropy.figures.matching import plot_match
from lit_entropy.figures.methods import METHODS
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY, Levels, levels
from lit_entropy.figures.panels import frame_lines, legend_of_labels
from lit_entropy.figures.runs import Run, by_label, exploration
from lit_entropy.figures.seeds import seed_lines
from lit_entropy.figures.style import FULL_WIDTH, looks, paper_figure


@dataclass(frozen=True)
class Glance:
    """What the panels show, by label."""

    levels: dict[str, Levels]  # differences to GRPO
    matches: Agreements


def measure_front(runs: Sequence[Run]) -> Glance:
    """The numbers of the figure.

    Raises:
        ValueError: a method has no run, or a run lacks a key.
    """
    groups = labelled(runs, *METHODS)
    found = {label: levels(group, groups["GRPO"]) for label, group in groups.items()}
    return Glance(found, measure_dynamics(runs))


def figure_front(runs: Sequence[Run]) -> Figure:
    """Entropy, held-out accuracy, and Lemma 1's change of entropy beside the realised one."""
    groups = by_label(runs)
    look, matches = looks(groups), measure_dynamics(runs)
    with paper_figure(FULL_WIDTH, 2.5) as figure:
        entropy, accuracy, match = figure.subplots(1, 3)
        for axes, key, name in (
            (entropy, ENTROPY, "entropy, token mean (nats)"),
            (accuracy, ACCURACY, "held-out accuracy (greedy)"),
        ):
            for label, group in groups.items():
                seed_lines(axes, group, key, look[label].colour, label)
            axes.set(xlabel="RL step", ylabel=name)
            frame_lines(axes)
        plot_match(match, groups, MATCHES[0], matches)
        legend_of_labels(figure, entropy, match, columns=5)
    return figure


FRONT = Entry(
    "front", "At a glance", "Entropy, accuracy, and the change of entropy foretold",
    "On strategy discovery. Left and middle: seeds thin, mean thick, 95 % t intervals as bands. "
    "Right: each point an RL step of a run; on the dashed line Lemma 1 is exact.",
    measure_front, figure_front, (), CELLS, select=exploration, plan=PLAN,
    overlay=Overlay(measure_dynamics, figure_front),
)  # fmt: skip
