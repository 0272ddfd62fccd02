"""Fig. 11 (arXiv 2505.22617): entropy, response length and accuracy of the four methods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lit_entropy.figures.as_text import points, show
from lit_entropy.figures.cells import METHOD_CELLS
from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement, Overlay, Table
from lit_entropy.figures.estimates import labelled, smoothed, smoothing_window
from lit_entropy.figures.matched import Matched, matched_compute, plot_matched
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY, LENGTH, Levels, levels
from lit_entropy.figures.panels import frame_lines, legend_of_labels
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import seed_lines
from lit_entropy.figures.style import FULL_WIDTH, looks, paper_figure
from lit_entropy.figures.verdicts import NOT_TESTABLE, above, below, every, within

METHODS = ("GRPO", "clip-higher", "Clip-Cov", "KL-Cov")
COVARIANCE_METHODS = ("Clip-Cov", "KL-Cov")
#: Tokens below which every difference lies where a task's responses are all of one length.
ONE_LENGTH = 0.1

#: Panels against the RL step: key, label of the y axis.
PANELS = (
    (ENTROPY, "entropy, token mean (nats)"),
    (LENGTH, "response length (tokens)"),
    (ACCURACY, "held-out accuracy (greedy)"),
)


@dataclass(frozen=True)
class Methods:
    """What each method came to, by label.

    ``matched`` is None where a run does not count its tokens; ``matched_missing`` then says why.
    """

    methods: dict[str, Levels]
    matched: Matched | None
    matched_missing: str | None


def measure_11(runs: Sequence[Run]) -> Methods:
    """The numbers of Fig. 11, with differences to GRPO.

    Raises:
        ValueError: a method has no run, or a run lacks a key.
    """
    return measure_methods(labelled(runs, *METHODS), "GRPO")


def measure_methods(groups: Mapping[str, Sequence[Run]], base: str) -> Methods:
    """As :func:`measure_11` for any labels, with differences to ``base``."""
    found = {label: levels(group, groups[base]) for label, group in groups.items()}
    try:
        return Methods(found, matched_compute(groups, base), None)
    except ValueError as error:
        return Methods(found, None, str(error))


def figure_11(runs: Sequence[Run]) -> Figure:
    """Entropy, response length and held-out accuracy against the RL step, and matched compute.

    Seeds thin, their mean thick, its 95 % t interval a band; entropy and length are running means.
    """
    return _draw_methods(labelled(runs, *METHODS))


def overlay_11(runs: Sequence[Run]) -> Figure:
    """As :func:`figure_11` for every label."""
    return _draw_methods(by_label(runs))


def base_of(labels: Iterable[str]) -> str:
    """What others are compared with: GRPO, or where it is not there the first."""
    labels = list(labels)
    return "GRPO" if "GRPO" in labels else labels[0]


def _draw_methods(groups: Mapping[str, Sequence[Run]]) -> Figure:
    numbers, look = measure_methods(groups, base_of(groups)), looks(groups)
    with paper_figure(FULL_WIDTH, 4.8) as figure:
        panels = figure.subplots(2, 2).flat
        for axes, (key, name) in zip(panels, PANELS, strict=False):
            for label, group in groups.items():
                shown = group if key == ACCURACY else [smoothed(run, key) for run in group]
                seed_lines(axes, shown, key, look[label].colour, label)
            axes.set(xlabel="RL step", ylabel=name)
        panels = figure.axes
        for axes, bottom in zip(panels, (0.0, 0.0, None), strict=False):
            frame_lines(axes, bottom=bottom)
        plot_matched(panels[3], groups, look, numbers.matched, numbers.matched_missing)
        first = next(iter(groups.values()))[0]
        note = f"running mean of {smoothing_window(first)} RL steps"
        titles = (note, note, "every validation", "accuracy at matched compute")
        for letter, axes, title in zip("abcd", panels, titles, strict=True):
            axes.set_title(f"({letter})  {title}", loc="left", fontsize=7)
        legend_of_labels(figure, panels[0])
    return figure


def _judge_held(m: Methods) -> Judgement:
    found = {name: m.methods[name] for name in COVARIANCE_METHODS}
    text = "; ".join(
        f"{name} {show(e.entropy_gain, 3, signed=True)} nats (×{show(e.entropy_ratio, 1)})"  # noqa: RUF001
        for name, e in found.items()
    )
    return Judgement(every(*(above(e.entropy_gain, 0) for e in found.values())), text)


def _judge_ten_times(m: Methods) -> Judgement:
    ratio = m.methods["KL-Cov"].entropy_ratio
    return Judgement(above(ratio, 10), f"{show(ratio, 1)} times GRPO's plateau")


def _judge_length(m: Methods) -> Judgement:
    found = {name: m.methods[name] for name in ("GRPO", *COVARIANCE_METHODS)}
    text = "; ".join(
        f"{name} {show(e.length_first, 1)} to {show(e.length_plateau, 1)}"
        for name, e in found.items()
    )
    gains = [m.methods[name].length_gain for name in COVARIANCE_METHODS]
    if all(within(gain, -ONE_LENGTH, ONE_LENGTH).verdict == "reproduced" for gain in gains):
        return Judgement(NOT_TESTABLE, text)
    return Judgement(every(*(above(gain, 0) for gain in gains)), text)


def _judge_accuracy(m: Methods) -> Judgement:
    gains = {name: m.methods[name].accuracy_gain for name in COVARIANCE_METHODS}
    text = "; ".join(f"{name} {points(gain)}" for name, gain in gains.items())
    return Judgement(every(*(above(gain, 0) for gain in gains.values())), text)


def _judge_instability(m: Methods) -> Judgement:
    change = m.methods["clip-higher"].late_change
    text = f"accuracy of the last fifth minus that at half time {show(change, signed=True)}"
    return Judgement(below(change, -0.02), text)


def methods_table(m: Methods) -> list[Table]:
    """Fig. 11 in numbers, and at matched compute."""
    header = ["", "entropy, first", "last fifth", "times the baseline's", "length, last fifth",
              "accuracy, last fifth", "since half time", "accuracy at matched tokens"]  # fmt: skip
    rows = [
        [name, show(e.entropy_first), show(e.entropy_plateau), show(e.entropy_ratio, 2),
         show(e.length_plateau, 1), show(e.accuracy), show(e.late_change, signed=True),
         show(m.matched.accuracy[name]) if m.matched else str(m.matched_missing)]
        for name, e in m.methods.items()
    ]  # fmt: skip
    return [Table(header, rows)]


def _measure_alone(group: Sequence[Run]) -> Levels:
    return levels(group, group)


def _overlay_tables(runs: Sequence[Run]) -> list[Table]:
    groups = by_label(runs)
    return methods_table(measure_methods(groups, base_of(groups)))


FIGURE_11 = Entry(
    "11", "Fig. 11", "Clip-Cov and KL-Cov",
    f"{SEEDS} (d) at matched compute: against generated tokens.", measure_11, figure_11,
    (
        Claim("Clip-Cov and KL-Cov keep the entropy above GRPO's.", "whole training",
              "last fifth: paired 95 % intervals above 0 for both", _judge_held),
        Claim("KL-Cov keeps more than ten times GRPO's plateau entropy.", "more than 10 times (7B)",
              "95 % interval, paired by seed, of the multiple above 10", _judge_ten_times),
        Claim("Responses grow longer than GRPO's.", "shown as a figure",
              "length of the last fifth minus GRPO's: paired 95 % intervals above 0 for both; not "
              f"testable where both lie within {ONE_LENGTH} tokens", _judge_length),
        Claim("Test accuracy rises above GRPO's.", "+1.8 and +2.0 points (7B), +4.5 and +6.4 (32B)",
              "last fifth: paired 95 % intervals above 0 for both", _judge_accuracy),
        Claim("Clip-higher becomes unstable and declines.", "shown as a figure",
              "accuracy of the last fifth minus that around half time, a fifth of the run: 95 % "
              "interval below -2 points",
              _judge_instability),
    ),
    METHOD_CELLS, tables=methods_table,
    overlay=Overlay(_measure_alone, overlay_11, tables=_overlay_tables),
)  # fmt: skip
