"""Table 1 (arXiv 2505.22617): the tail of the token covariance before any update."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lit_entropy.figures.as_text import show
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.entries import Claim, Entry, Judgement, Overlay, Table
from lit_entropy.figures.estimates import Estimate, estimate, first, labelled, over_seeds
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import curve, seeds_note
from lit_entropy.figures.style import BLACK, COLUMN_WIDTH, GREY, looks, paper_figure
from lit_entropy.figures.verdicts import above

LABEL = "GRPO"

#: Share of the tokens, metric key, and the paper's mean for Qwen2.5-7B.
SHARES: tuple[tuple[float, str, float], ...] = (
    (2e-4, "cov/top_2e-4", 5.654),
    (2e-3, "cov/top_2e-3", 3.112),
    (2e-2, "cov/top_2e-2", 1.385),
    (0.2, "cov/top_0.2", 0.351),
    (0.5, "cov/top_0.5", 0.152),
    (1.0, "cov/mean", 0.003),
)


@dataclass(frozen=True)
class Share:
    """The mean covariance of the top share of the tokens."""

    share: float  # of the tokens
    key: str  # of the metric
    covariance: Estimate  # nats
    paper: float  # the paper's, nats
    # the covariance as a multiple of that over all tokens; None if a seed's is not positive
    times_mean: Estimate | None


@dataclass(frozen=True)
class Tail:
    """Covariances at the first RL step that has them, smallest share first."""

    step: float
    seeds: list[int]
    rows: list[Share]


def measure_table_1(runs: Sequence[Run]) -> Tail:
    """Mean covariance (eq. 10) of the top share of the tokens at the first RL step.

    Args:
        runs: must hold runs labelled "GRPO"; before the first update the loss does not matter.

    Raises:
        ValueError: no such run, a run without a key, or runs whose first RL steps differ.
    """
    return measure_tail(labelled(runs, LABEL)[LABEL])


def measure_tail(group: Sequence[Run]) -> Tail:
    """As :func:`measure_table_1` for the runs of any one label."""
    steps = [(run.name, float(curve(run, "cov/mean")[0][0])) for run in group]
    if len({step for _, step in steps}) > 1:
        said = ", ".join(f"{name} {step:g}" for name, step in steps)
        raise ValueError(f"the first RL step with 'cov/mean' differs: {said}")
    means = [first(run, "cov/mean") for run in group]
    rows = []
    for share, key, paper in SHARES:
        found = over_seeds(group, lambda run: first(run, key))  # noqa: B023
        times = None
        if min(means) > 0:
            times = estimate([top / mean for top, mean in zip(found.values, means, strict=True)])
        rows.append(Share(share, key, found, paper, times))
    return Tail(steps[0][1], [run.seed for run in group], rows)


def figure_table_1(runs: Sequence[Run]) -> Figure:
    """Mean covariance against the share of the tokens beside the paper's, both axes logarithmic."""
    return overlay_table_1(labelled(runs, LABEL)[LABEL])


def overlay_table_1(runs: Sequence[Run]) -> Figure:
    """As :func:`figure_table_1` with a curve for every label."""
    groups = by_label(runs)
    look, shares = looks(groups), [share for share, _, _ in SHARES]
    with paper_figure(COLUMN_WIDTH, 3.0) as figure:
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log")
        tails = {label: measure_tail(group) for label, group in groups.items()}
        for label, measured in tails.items():
            draw_estimates(
                axes, shares, [row.covariance for row in measured.rows], look[label].colour,
                f"{label}{seeds_note(len(measured.seeds))}", marker=look[label].marker,
                markersize=4,
            )  # fmt: skip
        axes.plot(
            shares, [paper for _, _, paper in SHARES], color=GREY, marker="s", markersize=4,
            linestyle="--", markerfacecolor="white", markeredgecolor=BLACK,
            label="Qwen2.5-7B (paper)",
        )  # fmt: skip
        steps = sorted({measured.step for measured in tails.values()})
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
        axes.set_xticks(shares)
        axes.minorticks_off()
        axes.set(
            xlabel="top share of the tokens (%)",
            ylabel=f"mean covariance, RL step {' or '.join(f'{step:g}' for step in steps)} (nats)",
        )
        axes.legend(loc="lower left")
    return figure


def _judge_tail(m: Tail) -> Judgement:
    top, every = m.rows[0], m.rows[-1]
    text = f"top 0.02 %: {show(top.covariance, 2)}, mean {show(every.covariance)}"
    return Judgement(above(top.times_mean, 100), f"{text}: ×{show(top.times_mean, 0)}")  # noqa: RUF001


def tail_table(m: Tail) -> list[Table]:
    """Beside the paper's."""
    rows = [
        ["all" if row.share == 1 else f"top {100 * row.share:g} %",
         show(row.covariance), f"{row.paper:.3f}",
         "" if row.times_mean is None else show(row.times_mean, 1)]
        for row in m.rows
    ]  # fmt: skip
    return [Table(["tokens", "covariance (nats)", "Qwen2.5-7B (paper)", "times the mean"], rows)]


TABLE_1 = Entry(
    "table-1", "Table 1", "A few tokens carry the covariance",
    "The base at RL step 1, top share of the tokens by covariance (eq. 10): of N tokens "
    "max(1, floor(share N)), so that of fewer than 10,000 the top 0.02 % is one token.",
    measure_table_1, figure_table_1,
    (Claim("A few tokens have a covariance far above the mean.",
           "top 0.02 %: 5.654, mean 0.003",
           "95 % interval of the multiple that the top 0.02 % have of the mean above 100",
           _judge_tail),),
    tables=tail_table, overlay=Overlay(measure_tail, overlay_table_1),
)  # fmt: skip
