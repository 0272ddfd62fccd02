"""Table 2 (arXiv 2505.22617) in miniature: methods against bands of difficulty."""

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, points
from lit_entropy.figures.cells import METHOD_CELLS
from lit_entropy.figures.difficulty_scores import (
    AVERAGE,
    BANDS,
    Bands,
    DifficultyScores,
    bands_of,
    measure_scores,
    measure_table_2,
)
from lit_entropy.figures.dots import draw_estimates
from lit_entropy.figures.entries import Claim, Entry, Judgement, Overlay, Table
from lit_entropy.figures.estimates import Paired, paired
from lit_entropy.figures.marks import zero_line
from lit_entropy.figures.methods import COVARIANCE_METHODS, METHODS, base_of
from lit_entropy.figures.panels import legend_of_labels
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.seeds import seeds_note
from lit_entropy.figures.style import FULL_WIDTH, looks, paper_figure
from lit_entropy.figures.verdicts import above, every

#: The longest chains that are trained on, a band.
LONGEST_TRAINED = "8-10"


def figure_table_2(runs: Sequence[Run], bands: Bands = BANDS) -> Figure:
    """Above, each score by band; below, its differences to GRPO; bars are 95 % t intervals."""
    return _draw_scores(measure_table_2(runs, bands), "GRPO")


def overlay_table_2(runs: Sequence[Run]) -> Figure:
    """As :func:`figure_table_2` for every label."""
    groups = by_label(runs)
    base = base_of(groups)
    return _draw_scores(measure_scores(groups, bands_of(runs), base), base)


def _draw_scores(measured: DifficultyScores, base: str) -> Figure:
    with paper_figure(FULL_WIDTH, 4.6) as figure:
        panels = figure.subplots(2, len(measured.scores), sharex=True, sharey="row")
        for score, (above, below) in zip(measured.scores, panels.T, strict=True):
            _plot_score(above, measured, score)
            _plot_score(below, measured, score, base)
            above.set_title(score)
            zero_line(below)
            names = [name.replace(", ", "\n") for name in measured.bands]
            below.set_xticks(range(len(names)), names, fontsize=6)
            below.set_xlabel("difficulty (here: chain length)")
        panels[0][0].set_ylabel("share of problems solved (%)")
        panels[1][0].set_ylabel(f"difference to {base} (points)")
        legend_of_labels(figure, panels[0][0])
    return figure


def _plot_score(
    axes: Axes, measured: DifficultyScores, score: str, base: str | None = None
) -> None:
    """The score by band; with a ``base`` the differences to it."""
    methods = list(measured.seeds)
    look, width = looks(methods), min(0.17, 0.7 / len(methods))
    for method in methods:
        if method == base:
            continue
        rows = [measured.row(method, score, band) for band in measured.bands]
        found = [row.difference if base else row.value for row in rows]
        drawn = [(at, value) for at, value in enumerate(found) if value is not None]
        offset = width * (methods.index(method) - (len(methods) - 1) / 2)
        draw_estimates(
            axes, [at + offset for at, _ in drawn], [value for _, value in drawn],
            look[method].colour, f"{method}{seeds_note(len(measured.seeds[method]))}", 100,
            marker=look[method].marker, linestyle="none", capsize=0,
        )  # fmt: skip


def _judge_band(m: DifficultyScores, band: str) -> Judgement:
    score = m.scores[0]
    found = {name: m.row(name, score, band).difference for name in COVARIANCE_METHODS}
    text = "; ".join(f"{name} {points(d)}" for name, d in found.items())
    decision = every(*(above(each, 0) for each in found.values()))
    return Judgement(decision, f"{score}: {text}")


def _judge_average(m: DifficultyScores) -> Judgement:
    return _judge_band(m, AVERAGE)


def _judge_hardest(m: DifficultyScores) -> Judgement:
    decision, text = _judge_band(m, LONGEST_TRAINED)
    ahead = {name: _ahead_of_easier(m, name) for name in COVARIANCE_METHODS}
    more = "; ".join(f"{name} {points(each)}" for name, each in ahead.items())
    decision = every(decision, *(above(each, 0) for each in ahead.values()))
    return Judgement(decision, f"{LONGEST_TRAINED}, {text}; more than on shorter ones: {more}")


def _ahead_of_easier(m: DifficultyScores, method: str) -> Paired | None:
    """Gain on the longest trained chains less the mean gain on shorter ones, paired by seed."""
    score = m.scores[0]
    easier = m.bands[: m.bands.index(LONGEST_TRAINED)]
    gains = [m.row(method, score, band).difference for band in (LONGEST_TRAINED, *easier)]
    if not easier or any(gain is None for gain in gains):
        return None
    hardest, *rest = (
        dict(zip(gain.seeds, gain.values, strict=True)) for gain in gains if gain is not None
    )
    return paired(hardest, {seed: fmean(each[seed] for each in rest) for seed in hardest})


def difficulty_tables(m: DifficultyScores) -> list[Table]:
    """Values and paired differences, one table per score."""
    base, tables = base_of(m.seeds or METHODS), []
    for score in m.scores:
        found = {
            name: [m.row(name, score, band) for band in m.bands] for name in m.seeds or METHODS
        }
        values = [[name, *(percent(row.value, 1) for row in rows)] for name, rows in found.items()]
        differences = [
            [f"{name} minus {base}", *(percent(row.difference, 1, True) for row in rows)]
            for name, rows in found.items()
            if name != base
        ]
        tables.append(Table([score, *m.bands], values + differences))
    return tables


def _measure_alone(group: Sequence[Run]) -> DifficultyScores:
    label = group[0].label
    return measure_scores({label: group}, bands_of(group), label)


def _overlay_tables(runs: Sequence[Run]) -> list[Table]:
    groups = by_label(runs)
    return difficulty_tables(measure_scores(groups, bands_of(runs), base_of(groups)))


TABLE_2 = Entry(
    "table-2", "Table 2", "Accuracy by chain length",
    "Chains of 11 and 12 operations are longer than any that is trained on.",
    measure_table_2, figure_table_2,
    (
        Claim("Clip-Cov and KL-Cov beat GRPO on average over benchmarks.",
              "40.4 and 40.6 against 38.6 (7B)",
              "greedy accuracy of the last validation: paired 95 % intervals above 0 for both",
              _judge_average),
        Claim("The gain is largest on the hardest benchmarks.", "AIME25: +6.2 and +3.3 (7B)",
              "on the longest trained chains: paired 95 % intervals above 0 for both, of the "
              "gain and of how far it exceeds the mean gain on shorter ones",
              _judge_hardest),
    ),
    METHOD_CELLS, tables=difficulty_tables,
    overlay=Overlay(_measure_alone, overlay_table_2, 2, _overlay_tables),
)  # fmt: skip
