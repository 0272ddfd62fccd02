"""Fig. 11 (arXiv 2505.22617): entropy, response length and accuracy of the four methods."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lit_entropy.figures.as_text import points, show
from lit_entropy.figures.cells import CLIP_COV, CLIP_HIGHER, GRPO, KL_COV
from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import labelled, positive, smoothed, smoothing_window
from lit_entropy.figures.matched import Matched, matched_compute, plot_matched
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY, LENGTH, Levels, levels
from lit_entropy.figures.panels import frame_lines
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import FULL_WIDTH, method_colour, paper_figure, seed_lines

METHODS = ("GRPO", "clip-higher", "Clip-Cov", "KL-Cov")
COVARIANCE_METHODS = ("Clip-Cov", "KL-Cov")

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
    groups = labelled(runs, *METHODS)
    found = {label: levels(group, groups["GRPO"]) for label, group in groups.items()}
    try:
        return Methods(found, matched_compute(groups, "GRPO"), None)
    except ValueError as error:
        return Methods(found, None, str(error))


def figure_11(runs: Sequence[Run]) -> Figure:
    """Entropy, response length and held-out accuracy against the RL step, and matched compute.

    Seeds thin, their mean thick, its 95 % t interval a band; entropy and length are running means.
    """
    numbers = measure_11(runs)
    groups = labelled(runs, *METHODS)
    with paper_figure(FULL_WIDTH, 4.4) as figure:
        panels = figure.subplots(2, 2).flat
        for axes, (key, name) in zip(panels, PANELS, strict=False):
            for label, group in groups.items():
                shown = group if key == ACCURACY else [smoothed(run, key) for run in group]
                seed_lines(axes, shown, key, method_colour(label), label)
            axes.set(xlabel="RL step", ylabel=name)
        panels = figure.axes
        for axes, bottom in zip(panels, (0.0, 0.0, None), strict=False):
            frame_lines(axes, bottom=bottom)
        plot_matched(panels[3], groups, numbers.matched, numbers.matched_missing)
        note = f"running mean of {smoothing_window(groups['GRPO'][0])} RL steps"
        titles = (note, note, "every validation", "dashed: the fewest tokens of any run")
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, loc="left", fontsize=7)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _judge_held(m: Methods) -> Judgement:
    found = {name: m.methods[name] for name in COVARIANCE_METHODS}
    text = "; ".join(
        f"{name} {show(e.entropy_gain, 3, signed=True)} nats (×{e.entropy_ratio:.1f})"  # noqa: RUF001
        for name, e in found.items()
    )
    return Judgement(positive(*(e.entropy_gain for e in found.values())), text)


def _judge_ten_times(m: Methods) -> Judgement:
    ratio = m.methods["KL-Cov"].entropy_ratio
    return Judgement(ratio >= 10, f"{ratio:.1f} times GRPO's plateau")


def _judge_length(m: Methods) -> Judgement:
    found = {name: m.methods[name] for name in ("GRPO", *COVARIANCE_METHODS)}
    text = "; ".join(
        f"{name} {show(e.length_first, 1)} to {show(e.length_plateau, 1)}"
        for name, e in found.items()
    )
    base, *others = (e.length_plateau.mean for e in found.values())
    return Judgement(min(others) > base, text)


def _judge_accuracy(m: Methods) -> Judgement:
    gains = {name: m.methods[name].accuracy_gain for name in COVARIANCE_METHODS}
    text = "; ".join(f"{name} {points(gain)}" for name, gain in gains.items())
    return Judgement(positive(*gains.values()), text)


def _judge_instability(m: Methods) -> Judgement:
    change = m.methods["clip-higher"].late_change
    text = f"accuracy of the last fifth minus that at half time {show(change, signed=True)}"
    return Judgement(change.mean <= -0.02, text)


def methods_table(m: Methods) -> list[Table]:
    """Fig. 11 in numbers, and at matched compute."""
    header = ["", "entropy, first", "last fifth", "times GRPO's", "length, last fifth",
              "accuracy, last fifth", "since half time", "accuracy at matched tokens"]  # fmt: skip
    rows = [
        [name, show(e.entropy_first), show(e.entropy_plateau), f"{e.entropy_ratio:.2f}",
         show(e.length_plateau, 1), show(e.accuracy), show(e.late_change, signed=True),
         show(m.matched.accuracy[name]) if m.matched else str(m.matched_missing)]
        for name, e in m.methods.items()
    ]  # fmt: skip
    return [Table(header, rows)]


METHOD_CELLS = (GRPO, KL_COV, CLIP_COV, CLIP_HIGHER)
FIGURE_11 = Entry(
    "11", "Fig. 11", "Clip-Cov and KL-Cov",
    f"{SEEDS} (d) at matched compute: against generated tokens.", measure_11, figure_11,
    (
        Claim("Clip-Cov and KL-Cov keep the entropy above GRPO's.", "whole training",
              "paired 95 % intervals above 0 for both", _judge_held),
        Claim("KL-Cov keeps more than ten times GRPO's plateau entropy.", "more than 10 times (7B)",
              "at least 10 times", _judge_ten_times),
        Claim("Responses grow longer than GRPO's.", "shown as a figure",
              "mean length of the last fifth above GRPO's for both", _judge_length),
        Claim("Test accuracy rises above GRPO's.", "+1.8 and +2.0 points (7B), +4.5 and +6.4 (32B)",
              "paired 95 % intervals above 0 for both", _judge_accuracy),
        Claim("Clip-higher gains early, then becomes unstable and declines.", "shown as a figure",
              "last fifth at least 2 points below half time", _judge_instability),
    ),
    METHOD_CELLS, tables=methods_table,
)  # fmt: skip
