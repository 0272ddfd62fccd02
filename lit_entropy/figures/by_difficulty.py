"""Table 2 (arXiv 2505.22617) in miniature: methods against bands of difficulty."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, points
from lit_entropy.figures.difficulty_scores import (
    AVERAGE,
    BANDS,
    Bands,
    DifficultyScores,
    measure_table_2,
)
from lit_entropy.figures.entries import Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import error_bar, positive
from lit_entropy.figures.methods import COVARIANCE_METHODS, METHOD_CELLS, METHODS
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import FULL_WIDTH, GREY, method_colour, method_marker, paper_figure

#: The longest chains that are trained on, a band.
LONGEST_TRAINED = "8-10"


def figure_table_2(runs: Sequence[Run], bands: Bands = BANDS) -> Figure:
    """Above, each score by band; below, its differences to GRPO; bars are 95 % t intervals."""
    measured = measure_table_2(runs, bands)
    with paper_figure(FULL_WIDTH, 4.4) as figure:
        panels = figure.subplots(2, len(measured.scores), sharex=True, sharey="row")
        for score, (above, below) in zip(measured.scores, panels.T, strict=True):
            _plot_score(above, measured, score)
            _plot_score(below, measured, score, differences=True)
            above.set_title(score)
            below.axhline(0.0, color=GREY, linewidth=0.8, linestyle="--")
            names = [name.replace(", ", "\n") for name in measured.bands]
            below.set_xticks(range(len(names)), names, fontsize=6)
            below.set_xlabel("chain length")
        panels[0][0].set_ylabel("share of problems solved (%)")
        panels[1][0].set_ylabel("difference to GRPO (points)")
        handles = panels[0][0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=len(METHODS))
    return figure


def _plot_score(
    axes: Axes, measured: DifficultyScores, score: str, differences: bool = False
) -> None:
    for method in METHODS[1:] if differences else METHODS:
        rows = [measured.row(method, score, band) for band in measured.bands]
        found = [row.difference if differences else row.value for row in rows]
        drawn = [(at, value) for at, value in enumerate(found) if value is not None]
        offset = 0.17 * (METHODS.index(method) - (len(METHODS) - 1) / 2)
        note = "" if len(measured.seeds[method]) > 1 else " (1 seed)"
        axes.errorbar(
            [at + offset for at, _ in drawn], [100 * value.mean for _, value in drawn],
            yerr=100 * error_bar([value for _, value in drawn]), color=method_colour(method),
            marker=method_marker(method), markersize=3.5, linestyle="none", elinewidth=0.9,
            label=f"{method}{note}",
        )  # fmt: skip


def _judge_band(m: DifficultyScores, band: str) -> Judgement:
    score = m.scores[0]
    found = {name: m.row(name, score, band).difference for name in COVARIANCE_METHODS}
    text = "; ".join(f"{name} {points(d)}" for name, d in found.items())
    return Judgement(positive(*found.values()), f"{score}: {text}")


def _judge_average(m: DifficultyScores) -> Judgement:
    return _judge_band(m, AVERAGE)


def _judge_hardest(m: DifficultyScores) -> Judgement:
    holds, text = _judge_band(m, LONGEST_TRAINED)
    return Judgement(holds, f"{LONGEST_TRAINED}, {text}")


def difficulty_tables(m: DifficultyScores) -> list[Table]:
    """Values and paired differences, one table per score."""
    tables = []
    for score in m.scores:
        found = {name: [m.row(name, score, band) for band in m.bands] for name in METHODS}
        values = [[name, *(percent(row.value, 1) for row in found[name])] for name in METHODS]
        differences = [
            [f"{name} minus GRPO", *(percent(row.difference, 1, True) for row in found[name])]
            for name in METHODS[1:]
        ]
        tables.append(Table([score, *m.bands], values + differences))
    return tables


TABLE_2 = Entry(
    "table-2", "Table 2", "Accuracy by chain length",
    "Chains of 11 and 12 operations are longer than any that is trained on.",
    measure_table_2, figure_table_2,
    (
        Claim("Clip-Cov and KL-Cov beat GRPO on average over benchmarks.",
              "40.4 and 40.6 against 38.6 (7B)", "paired 95 % intervals above 0 for both",
              _judge_average),
        Claim("The gain is largest on the hardest benchmarks.", "AIME25: +6.2 and +3.3 (7B)",
              "on the longest trained chains: paired 95 % intervals above 0 for both",
              _judge_hardest),
    ),
    METHOD_CELLS, tables=difficulty_tables,
)  # fmt: skip
