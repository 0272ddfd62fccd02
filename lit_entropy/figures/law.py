"""Fig. 3 and 4 of arXiv 2505.22617: accuracy against entropy, and R = -a exp(H) + b."""

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, show
from lit_entropy.figures.cells import COUNTDOWN, LONG
from lit_entropy.figures.coefficients import Law, measure_law
from lit_entropy.figures.entries import Claim, Entry, Judgement, Overlay, Table
from lit_entropy.figures.estimates import Estimate, labelled
from lit_entropy.figures.law_panels import (
    entropy_axis,
    fit_to_points,
    law_curve,
    law_points,
    legend_below,
)
from lit_entropy.figures.runs import Run, by_label, code
from lit_entropy.figures.style import COLUMN_WIDTH, FULL_WIDTH, GREY, Look, looks, paper_figure
from lit_entropy.figures.verdicts import Decision, above, every

METHOD = "GRPO"


def measure_3(runs: Sequence[Run]) -> Law:
    """The law on GRPO's runs.

    Raises:
        ValueError: no run of the label "GRPO", a missing key, or a run without a fit.
    """
    return measure_law(labelled(runs, METHOD)[METHOD])


def figure_3(runs: Sequence[Run]) -> Figure:
    """Accuracy against entropy, all seeds, with the fitted law."""
    return overlay_3(labelled(runs, METHOD)[METHOD])


def overlay_3(runs: Sequence[Run]) -> Figure:
    """As :func:`figure_3` for every label, a panel each, two in a row."""
    laws = [measure_law(group) for group in by_label(runs).values()]
    look = looks(law.label for law in laws)
    columns = min(2, len(laws))
    rows = math.ceil(len(laws) / columns)
    width = COLUMN_WIDTH if columns == 1 else FULL_WIDTH
    with paper_figure(width, 2.9 * rows) as figure:
        panels = iter(figure.subplots(rows, columns, squeeze=False).flat)
        for law in laws:
            _draw_law(next(panels), law, look[law.label])
        for empty in panels:
            empty.set_axis_off()
    return figure


def _draw_law(axes: Axes, law: Law, look: Look) -> None:
    entropy_axis(axes, law.points, law.metrics)
    law_points(axes, law.points, look.colour, look.marker, "one validation")
    law_curve(axes, law.a.values, law.b.values, look.colour, r"$R = -a\,e^{H} + b$")
    fit_to_points(axes, law.points)
    _draw_ceiling(axes, law)
    quality = f"\n$R^2$ = {law.r2.mean:.2f}" if math.isfinite(law.r2.mean) else ""
    seeds = len(law.seeds)
    title = (
        f"{law.label}, {seeds} seed{'s' if seeds > 1 else ''}\na = {law.a}\nb = {law.b}{quality}"
    )
    legend_below(axes, law.points, title)


def law_tables(runs: Sequence[Run]) -> list[Table]:
    """:func:`law_table` of every label."""
    return law_table(measure_law(group) for group in by_label(runs).values())


def _draw_ceiling(axes: Axes, law: Law) -> None:
    """The accuracy at H = 0; drawn into view where it is one, told by the legend anyway."""
    ceiling = law.ceiling.mean
    low, high = axes.get_ylim()
    room = 0.12 * (high - low)
    if 0 <= ceiling <= 1:
        axes.set_ylim(min(low, ceiling - room), max(high, ceiling + room))
    name = f"ceiling {law.ceiling}"
    axes.axhline(ceiling, color=GREY, linewidth=0.8, linestyle="--", label=name)


def fits(r2: Estimate, a: Estimate) -> Decision:
    """That the law fits: R² above 0.9, and accuracy rises as entropy falls."""
    return every(above(r2, 0.9), above(a, 0))


def _judge_fit(m: Law) -> Judgement:
    text = f"R² = {show(m.r2, 2)}, RMSE {percent(m.rmse, 1)}, a = {m.a}, {m.metrics}"
    return Judgement(fits(m.r2, m.a), text)


def law_table(laws: Iterable[Law]) -> list[Table]:
    """Coefficients, fit and caveats of one law or of several."""
    header = ["", "a", "b", "ceiling b - a", "R²", "RMSE", "caveats"]
    rows = [
        [law.label, str(law.a), str(law.b), str(law.ceiling), show(law.r2, 2), show(law.rmse),
         " ".join(law.caveats) or "none"]
        for law in laws
    ]  # fmt: skip
    return [Table(header, rows)]


FIT_RULE = "95 % intervals of the means over seeds: R² above 0.9 and a above 0"
OVERLAY = Overlay(measure_law, overlay_3, tables=law_tables)
FIGURE_3 = Entry(
    "3", "Fig. 3", "The law on mathematics",
    "Held-out accuracy against the entropy of the same policy; entropy falls to the right.",
    measure_3, figure_3,
    (Claim("R = -a exp(H) + b fits every run on mathematics.", "2 coefficients for 200 points",
           FIT_RULE, _judge_fit),),
    (LONG,), tables=lambda law: law_table([law]), overlay=OVERLAY,
)  # fmt: skip
FIGURE_4 = Entry(
    "4", "Fig. 4", "The law on a second task",
    "Countdown stands for the paper's code. Entropy falls to the right.", measure_3, figure_3,
    (Claim("The same law fits on code (here: countdown).", "2 coefficients for 200 points",
           FIT_RULE, _judge_fit),),
    (COUNTDOWN,), code, lambda law: law_table([law]), OVERLAY,
)  # fmt: skip
