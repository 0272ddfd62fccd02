"""Fig. 2 of arXiv 2505.22617: entropy is spent, and accuracy won, early in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, points, show
from lit_entropy.figures.cells import LONG
from lit_entropy.figures.collapse import METHOD
from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement, Overlay
from lit_entropy.figures.estimates import Estimate, estimate, labelled
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY
from lit_entropy.figures.panels import legend_of_labels
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import course, draw_mean, draw_seeds, seeds_note, t_half_width
from lit_entropy.figures.style import FULL_WIDTH, looks, paper_figure
from lit_entropy.figures.verdicts import above, every

#: Share of training, share of the entropy consumed and share of the gain that the paper reports.
PAPER_MARKS: tuple[tuple[float, float, float], ...] = ((1 / 12, 0.73, 0.76), (1 / 3, 0.94, 0.93))
#: Shares of the whole that must be spent and won by then: "most", "nearly all".
LEAST = (1 / 2, 2 / 3)

Curve = tuple[np.ndarray, np.ndarray]


class Shares(NamedTuple):
    """Shares of training, and the shares of the fall of entropy and of the gain reached by then."""

    entropy: Curve
    gain: Curve


@dataclass(frozen=True)
class ShareCurve:
    """Mean over seeds by share of training, with its 95 % t interval (NaN below 3 seeds)."""

    training_share: list[float]
    mean: list[float]
    half_width: list[float]


@dataclass(frozen=True)
class Mark:
    """What was spent and won at one share of training (interpolated), beside the paper's."""

    training_share: float
    # shares of the whole, NaN where a seed's does not fall, or rise
    entropy: Estimate
    gain: Estimate
    # what is judged, which divides by no small gain: spent, and won, by then, less the least share
    # of the whole
    least: float
    entropy_ahead: Estimate  # nats
    gain_ahead: Estimate  # fraction
    paper_entropy: float
    paper_gain: float


@dataclass(frozen=True)
class Spending:
    """Shares of the entropy consumed and of the gain that a share of training brought."""

    label: str
    seeds: int
    fall: Estimate  # of the entropy from the first value to the last, nats
    rise: Estimate  # of the accuracy, fraction
    # shares by share of training
    entropy: ShareCurve
    gain: ShareCurve
    marks: list[Mark]  # at 1/12 and 1/3 of training
    # the largest share of training between two validations, so the gain at a mark below it rests on
    # interpolation alone
    validation_spacing: float


def shares(run: Run) -> Shares:
    """Share of the run's whole fall of entropy and of its whole gain, by share of training.

    Row k's entropy is that of the policy after k - 1 RL steps, row k's accuracy that of the policy
    after k; a share of training counts the RL steps that the policy has behind it. Of a whole that
    is not above 0 every share is NaN.

    Raises:
        ValueError: a missing key, or fewer than two validations.
    """
    spent, won = changes(run)
    return Shares(_of_whole(spent), _of_whole(won))


def changes(run: Run) -> Shares:
    """As :func:`shares`, not divided by the whole: fall of entropy in nats, gain as a fraction."""
    (step_E, entropy_E), (step_A, accuracy_A) = course(run, ENTROPY), course(run, ACCURACY)
    steps = max(step_E[-1], step_A[-1])
    return Shares(
        ((step_E - 1) / steps, entropy_E[0] - entropy_E),
        (step_A / steps, accuracy_A - accuracy_A[0]),
    )


def _of_whole(curve: Curve) -> Curve:
    training_N, value_N = curve
    return training_N, value_N / (value_N[-1] if value_N[-1] > 0 else np.nan)


def measure_2(runs: Sequence[Run]) -> Spending:
    """How early entropy was spent and accuracy won.

    Args, Raises:
        as :func:`lit_entropy.figures.collapse.measure_1` and :func:`shares`.
    """
    return measure_spending(labelled(runs, METHOD)[METHOD])


def measure_spending(group: Sequence[Run]) -> Spending:
    """As :func:`measure_2` for the runs of any one label."""
    by_run, whole = [shares(run) for run in group], [changes(run) for run in group]
    marks = [
        Mark(
            at,
            estimate([_at(share.entropy, at) for share in by_run]),
            estimate([_at(share.gain, at) for share in by_run]),
            least,
            estimate([_ahead(each.entropy, at, least) for each in whole]),
            estimate([_ahead(each.gain, at, least) for each in whole]),
            *paper,
        )
        for (at, *paper), least in zip(PAPER_MARKS, LEAST, strict=True)
    ]
    return Spending(
        group[0].label,
        len(by_run),
        estimate([float(each.entropy[1][-1]) for each in whole]),
        estimate([float(each.gain[1][-1]) for each in whole]),
        _mean_share([share.entropy for share in by_run]),
        _mean_share([share.gain for share in by_run]),
        marks,
        max(float(np.diff(share.gain[0]).max()) for share in by_run),
    )


def _ahead(curve: Curve, at: float, least: float) -> float:
    """What a share of training has brought, less a share of the whole."""
    return float(_at(curve, at) - least * curve[1][-1])


def _at(curve: Curve, at: float) -> float:
    """Interpolated; NaN before the first point, of which nothing is known."""
    return float(np.interp(at, *curve, left=np.nan))


def _mean_share(seeds: Sequence[Curve]) -> ShareCurve:
    """Mean over seeds wherever one of them has a point, the others interpolated linearly."""
    grid_N = np.unique(np.concatenate([training for training, _ in seeds]))
    grid_N = grid_N[grid_N <= min(training[-1] for training, _ in seeds)]
    values_SN = np.array([np.interp(grid_N, *seed, left=np.nan) for seed in seeds])
    columns = grid_N, values_SN.mean(axis=0), t_half_width(values_SN)
    return ShareCurve(*(column_N.tolist() for column_N in columns))


def figure_2(runs: Sequence[Run]) -> Figure:
    """Shares of entropy and gain against training."""
    return overlay_2(labelled(runs, METHOD)[METHOD])


def overlay_2(runs: Sequence[Run]) -> Figure:
    """Shares of every label's fall of entropy, and of its gain, beside the paper's."""
    groups = by_label(runs)
    look = looks(groups)
    with paper_figure(FULL_WIDTH, 2.8) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for label, group in groups.items():
            measured, by_run = measure_shared(group), [shares(run) for run in group]
            colour = look[label].colour
            entropies, gains = [each.entropy for each in by_run], [each.gain for each in by_run]
            _draw_share(left, entropies, measured.entropy, colour, label)
            _draw_share(right, gains, measured.gain, colour, label)
        for axes, name, column in ((left, "fall of entropy", 1), (right, "gain in accuracy", 2)):
            at = [mark[0] for mark in PAPER_MARKS]
            axes.plot(
                at, [mark[column] for mark in PAPER_MARKS], marker="D", markersize=5, color="black",
                markerfacecolor="none", linestyle="none", label="the paper, at 1/12 and 1/3",
            )  # fmt: skip
            axes.set(xlabel="share of training", ylabel=f"share of the {name}", xlim=(0, 1.01))
        legend_of_labels(figure, left)
    return figure


def measure_shared(group: Sequence[Run]) -> Spending:
    """As :func:`measure_spending`, of runs that all have something to share out.

    Raises:
        ValueError: the entropy of a run does not fall, or the accuracy of one does not rise.
    """
    measured = measure_spending(group)
    for key, verb, whole in (
        (ENTROPY, "fall", measured.fall), (ACCURACY, "rise", measured.rise)
    ):  # fmt: skip
        for run, value in zip(group, whole.values, strict=True):
            if not value > 0:
                raise ValueError(
                    f"run {run.name!r}: '{key}' does not {verb} from its first to its last value, "
                    f"so there is nothing to share out ({verb} {value:.4g}): take a longer run"
                )
    return measured


def _draw_share(
    axes: Axes, seeds: Sequence[Curve], measured: ShareCurve, colour: str, name: str
) -> None:
    training, mean = np.array(measured.training_share), np.array(measured.mean)
    draw_seeds(axes, seeds, colour)
    draw_mean(axes, training, mean, np.array(measured.half_width), colour)
    axes.lines[-1].set_label(f"{name}{seeds_note(len(seeds))}")


def _judge_mark(m: Spending, index: int) -> Judgement:
    mark = m.marks[index]
    text = (
        f"{percent(mark.entropy)} of the entropy, {percent(mark.gain)} of the gain; less "
        f"{mark.least:.0%} of the whole {show(mark.entropy_ahead, signed=True)} nats, "
        f"{points(mark.gain_ahead)}"
    )
    # of a whole below 0 a part is more than its share at once
    signs = above(m.fall, 0), above(m.rise, 0)
    return Judgement(every(*signs, above(mark.entropy_ahead, 0), above(mark.gain_ahead, 0)), text)


_RULE = (
    "of entropy spent and of accuracy won: 95 % intervals above 0, of the whole and of the part by "
    "then less {} of the whole"
)
FIGURE_2 = Entry(
    "2", "Fig. 2", "Most is spent and won early",
    f"Shares of the whole fall of entropy and of the whole gain. {SEEDS}", measure_2, figure_2,
    cells=(LONG,), overlay=Overlay(measure_shared, overlay_2), claims=(
        Claim("Most is spent and won at once: the first twelfth of training.",
              "73 % of the entropy, 76 % of the gain",
              _RULE.format("half"),
              partial(_judge_mark, index=0)),
        Claim("Nearly all is spent and won in the first third.",
              "94 % of the entropy, 93 % of the gain",
              _RULE.format("two thirds"),
              partial(_judge_mark, index=1)),
    ),
)  # fmt: skip
