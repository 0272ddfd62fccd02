"""Fig. 9 and 10 (arXiv 2505.22617): an entropy bonus and a reference KL, by coefficient."""

import json
from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import points, show
from lit_entropy.figures.cells import SWEPT_GRPO, Cell
from lit_entropy.figures.entries import SEEDS, Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import error_bar, smoothed, smoothing_window
from lit_entropy.figures.marks import MEAN_POINT, mark_interval, seed_points
from lit_entropy.figures.outcomes import ACCURACY, ENTROPY
from lit_entropy.figures.panels import frame_lines, plain_log_ticks
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import seed_lines
from lit_entropy.figures.style import BLACK, FULL_WIDTH, paper_figure, sequential_colours
from lit_entropy.figures.sweeps import Sweep, measure_sweep, sweep
from lit_entropy.figures.verdicts import NOT_TESTABLE, above, below, every, within

#: Coefficients that are trained, from no effect to one that rules; 0 is GRPO itself. The paper's go
#: up to 0.01 and 0.1; here 0.1 of the bonus explodes and 0.1 of the KL makes twice the entropy.
BONUS_COEFFICIENTS = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
#: Said to do nothing. Three seeds reproduced it, and trained again left it undecided.
SMALL_BONUSES = (1e-4, 1e-3)
REFERENCE_COEFFICIENTS = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def figure_sweep(runs: Sequence[Run], label: str, symbol: str) -> Figure:
    """Entropy and accuracy by coefficient, ``symbol`` in the legend."""
    numbers, groups = measure_sweep(runs, label), sweep(runs, label)
    colours = [BLACK, *sequential_colours(len(groups))[1:]]  # the darkest is too near to black
    columns = min(len(groups), 4)  # of the legend
    with paper_figure(FULL_WIDTH, 2.5 + 0.2 * -(-len(groups) // columns)) as figure:
        left, middle, right = figure.subplots(1, 3)
        for (coefficient, group), colour in zip(groups.items(), colours, strict=True):
            name = f"{symbol} = {coefficient:g}"
            seed_lines(left, [smoothed(run, ENTROPY) for run in group], ENTROPY, colour, name)
            seed_lines(middle, group, ACCURACY, colour, name)
        # an entropy that explodes and one that collapses, both legible
        window = smoothing_window(groups[0.0][0])
        left.set(xlabel=f"RL step (mean over {window})", ylabel="entropy, token mean (nats)")
        left.set_yscale("log")
        frame_lines(left)
        plain_log_ticks(left.yaxis)
        frame_lines(middle)
        middle.set(xlabel="RL step", ylabel="held-out accuracy (greedy)")
        _plot_outcome(right, numbers, colours)
        figure.legend(
            *left.get_legend_handles_labels(), title=label, title_fontsize=7,
            loc="outside upper center", ncols=columns, columnspacing=1.2, handlelength=1.6,
        )  # fmt: skip
    return figure


def _plot_outcome(axes: Axes, numbers: Sweep, colours: Sequence[str]) -> None:
    """Accuracy against entropy, both of the last fifth, one point per coefficient."""
    for entropy, accuracy, colour in zip(numbers.entropy, numbers.accuracy, colours, strict=True):
        if len(entropy.values) > 1:
            seed_points(axes, entropy.values, accuracy.values, colour)
        bars = axes.errorbar(
            entropy.mean, accuracy.mean, xerr=error_bar([entropy]),
            yerr=error_bar([accuracy]), color=colour, marker="o", markersize=4, elinewidth=0.8,
        )  # fmt: skip
        mark_interval(bars, error_bar([entropy, accuracy]))
        bars[0].set_gid(MEAN_POINT)
    axes.set(xlabel="entropy, last fifth (nats)", ylabel="accuracy, last fifth", xscale="log")
    plain_log_ticks(axes.xaxis)


measure_9 = partial(measure_sweep, label="entropy bonus")
figure_9 = partial(figure_sweep, label="entropy bonus", symbol=r"$\alpha$")
measure_10 = partial(measure_sweep, label="reference KL")
figure_10 = partial(figure_sweep, label="reference KL", symbol=r"$\beta$")


def sweep_text(m: Sweep) -> str:
    """Level of entropy and accuracy at every coefficient."""
    columns = zip(m.coefficients, m.entropy_ratio, m.accuracy, strict=True)
    return "; ".join(f"{c:g}: H ×{show(h, 2)}, {show(r, 2)}" for c, h, r in columns)  # noqa: RUF001


def _judge_small_bonus(m: Sweep) -> Judgement:
    ratios = [None if (i := m.place(c)) is None else m.entropy_ratio[i] for c in SMALL_BONUSES]
    decision = every(*(within(each, 1 / 1.5, 1.5) for each in ratios))
    return Judgement(decision, sweep_text(m))


def _judge_large_bonus(m: Sweep) -> Judgement:
    largest = BONUS_COEFFICIENTS[-1]
    place = m.place(largest)
    if place is None:
        return Judgement(NOT_TESTABLE, sweep_text(m))
    found = m.entropy_ratio[place]
    return Judgement(above(found, 10), f"×{show(found, 2)} at {largest:g}")  # noqa: RUF001


def _judge_reference(m: Sweep) -> Judgement:
    place = m.place(REFERENCE_COEFFICIENTS[-1])
    if place is None:
        return Judgement(NOT_TESTABLE, sweep_text(m))
    change = m.accuracy_gain[place]
    text = f"{sweep_text(m)}; accuracy at the largest {points(change)}"
    return Judgement(every(above(m.entropy_ratio[place], 1.5), below(change, -0.02)), text)


def sweep_table(m: Sweep) -> list[Table]:
    """Every coefficient of a sweep."""
    header = ["coefficient", "entropy, last fifth", "times that at 0", "accuracy, last fifth"]
    columns = zip(m.coefficients, m.entropy, m.entropy_ratio, m.accuracy, strict=True)
    return [Table(header, [[f"{c:g}", show(h), show(x, 2), show(r)] for c, h, x, r in columns])]


def cells(
    name: str, label: str, regularizer: str, coefficients: Sequence[float],
    decided: Sequence[float] = (),
) -> list[Cell]:  # fmt: skip
    """One point of the sweep each; those that are ``decided`` have as many seeds as GRPO."""
    class_path = f"lit_entropy.regularizers.{regularizer}"
    return [
        Cell(f"{name}_{c:g}", label, name, {"model.regularizers": json.dumps(
            [{"class_path": class_path, "init_args": {"coef": c}}])}, "sweep",
            seeds=SWEPT_GRPO.seeds if c in decided else 0)
        for c in coefficients
    ]  # fmt: skip


FIGURE_9 = Entry(
    "9", "Fig. 9", "Entropy bonus", f"Coefficient 0 is GRPO. {SEEDS}", measure_9, figure_9,
    (
        Claim("A small entropy bonus (1e-4, 1e-3) does nothing.", "curves on top of each other",
              "95 % intervals, paired by seed: entropy within a factor of 1.5 of GRPO's at both",
              _judge_small_bonus),
        Claim("A large bonus makes the entropy explode.", "entropy runs away at 0.01",
              "at 0.3, the largest here: 95 % interval, paired by seed, of the multiple of GRPO's "
              "entropy above 10", _judge_large_bonus),
    ),
    (SWEPT_GRPO, *cells("entropy_bonus", "entropy bonus", "EntropyBonus", BONUS_COEFFICIENTS,
                        SMALL_BONUSES)),
    tables=sweep_table,
)  # fmt: skip
FIGURE_10 = Entry(
    "10", "Fig. 10", "Reference KL", f"Coefficient 0 is GRPO. {SEEDS}", measure_10, figure_10,
    (Claim("A reference KL holds the entropy and costs accuracy.",
           "lower scores for every coefficient",
           f"at {REFERENCE_COEFFICIENTS[-1]:g}, the largest here, 95 % intervals paired by seed: "
           "more than 1.5 times GRPO's entropy, more than 2 points less accuracy",
           _judge_reference),),
    (SWEPT_GRPO, *cells("reference_kl", "reference KL", "ReferenceKL", REFERENCE_COEFFICIENTS)),
    tables=sweep_table,
)  # fmt: skip
