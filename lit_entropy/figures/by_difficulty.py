"""Table 2 (arXiv 2505.22617) in miniature: methods against bands of difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import markdown, show_percent
from lit_entropy.figures.estimates import (
    by_seed,
    error_bar,
    estimate,
    labelled,
    last,
    paired,
)
from lit_entropy.figures.methods import METHODS
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import (
    FULL_WIDTH,
    GREY,
    method_colour,
    method_marker,
    paper_style,
)

Bands = Mapping[str, tuple[int, ...]]

#: Chain lengths of each band; 11 and 12 are longer than any that is trained on.
BANDS: Bands = {
    "2-4": (2, 3, 4),
    "5-7": (5, 6, 7),
    "8-10": (8, 9, 10),
    "11-12, unseen": (11, 12),
}
AVERAGE = "average"
GREEDY = "accuracy"


def scores(runs: Sequence[Run]) -> dict[str, str]:
    """The scores that all runs have by difficulty: name in the table, part of the key.

    Greedy pass@1 (``val/accuracy``), ``val/avg@<n>`` and ``val/pass@<k>`` of the largest n and k.

    Raises:
        ValueError: not all runs share an ``avg@`` and a ``pass@`` by difficulty.
    """
    common = set.intersection(*(set(run.history) for run in runs)) if runs else set()
    found = {"pass@1 (greedy)": GREEDY}
    for kind in ("avg", "pass"):
        prefix, middle = f"val/{kind}@", "/difficulty_"
        sizes = [
            key.removeprefix(prefix).split(middle)[0]
            for key in common
            if key.startswith(prefix) and middle in key
        ]
        numbers = [int(size) for size in sizes if size.isdigit()]  # not the standard errors
        if not numbers:
            raise ValueError(
                f"no '{prefix}<n>{middle}<d>' is common to {[run.name for run in runs]}: "
                "validate with samples (evaluation.samples, evaluation.pass_k)"
            )
        found[f"{kind}@{max(numbers)}"] = f"{kind}@{max(numbers)}"
    return found


def band_score(run: Run, score: str, lengths: Sequence[int]) -> float:
    """Last ``val/<score>/difficulty_<d>``, mean over the lengths d.

    Raises:
        ValueError: the run lacks a key.
    """
    return float(np.mean([last(run, f"val/{score}/difficulty_{length}") for length in lengths]))


def measure_table_2(runs: Sequence[Run], bands: Bands = BANDS) -> dict[str, Any]:
    """Scores of the last validation by method and band, and their differences to GRPO.

    Args:
        runs: must hold runs labelled GRPO, clip-higher, Clip-Cov and KL-Cov.
        bands: difficulties of each band.

    Returns:
        ``bands`` (names; ``average`` is the mean of the bands, as the paper averages benchmarks),
        ``scores`` (names), ``seeds`` by method, and ``rows``, one a method, score and band:
        ``method``, ``score``, ``band``, ``value`` (estimate over seeds, a fraction) and
        ``difference`` (to GRPO, paired by seed; None without a common seed).

    Raises:
        ValueError: a method without runs, or a run without a key.
    """
    groups = labelled(runs, *METHODS)
    names = scores([run for group in groups.values() for run in group])
    columns = {**bands, AVERAGE: ()}
    rows = []
    for name, score in names.items():
        for band in columns:
            values = {
                method: by_seed(group, lambda run: _score(run, score, band, bands))  # noqa: B023
                for method, group in groups.items()
            }
            rows += [
                {
                    "method": method,
                    "score": name,
                    "band": band,
                    "value": estimate(list(values[method].values())),
                    "difference": paired(values[method], values["GRPO"]),
                }
                for method in groups
            ]
    return {
        "bands": list(columns),
        "scores": list(names),
        "seeds": {method: [run.seed for run in group] for method, group in groups.items()},
        "rows": rows,
    }


def _score(run: Run, score: str, band: str, bands: Bands) -> float:
    if band == AVERAGE:
        return float(np.mean([band_score(run, score, lengths) for lengths in bands.values()]))
    return band_score(run, score, bands[band])


def cell(measured: Mapping[str, Any], method: str, score: str, band: str) -> dict[str, Any]:
    """The row of :func:`measure_table_2` for one method, score and band."""
    return next(
        row
        for row in measured["rows"]
        if (row["method"], row["score"], row["band"]) == (method, score, band)
    )


def markdown_table_2(runs: Sequence[Run], bands: Bands = BANDS) -> str:
    """Table 2 as Markdown, in percent: a table a score, then its differences to GRPO.

    Raises:
        ValueError: as :func:`measure_table_2`.
    """
    measured = measure_table_2(runs, bands)
    parts = []
    for score in measured["scores"]:
        for kind, methods in (("value", METHODS), ("difference", METHODS[1:])):
            signed = kind == "difference"
            rows = []
            for method in methods:
                found = [cell(measured, method, score, band)[kind] for band in measured["bands"]]
                rows.append([method, *(show_percent(value, signed) for value in found)])
            title = f"{score}, %" if not signed else f"{score}, difference to GRPO, points"
            parts.append(markdown([title, *measured["bands"]], rows))
    return "\n\n".join(parts)


def figure_table_2(runs: Sequence[Run], bands: Bands = BANDS) -> Figure:
    """Above, each score by band; below, its paired differences to GRPO; bars are 95 % t intervals.

    Raises:
        ValueError: as :func:`measure_table_2`.
    """
    measured = measure_table_2(runs, bands)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 4.4), layout="constrained")
        panels = figure.subplots(2, len(measured["scores"]), sharex=True, sharey="row")
        for score, (above, below) in zip(measured["scores"], panels.T, strict=True):
            _plot_score(above, measured, score, "value", METHODS)
            _plot_score(below, measured, score, "difference", METHODS[1:])
            above.set_title(score)
            below.axhline(0.0, color=GREY, linewidth=0.8, linestyle="--")
            names = [name.replace(", ", "\n") for name in measured["bands"]]
            below.set_xticks(range(len(names)), names, fontsize=6)
            below.set_xlabel("chain length")
        panels[0][0].set_ylabel("share of problems solved (%)")
        panels[1][0].set_ylabel("difference to GRPO (points)")
        handles = panels[0][0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=len(METHODS))
    return figure


def _plot_score(
    axes: Axes, measured: Mapping[str, Any], score: str, kind: str, methods: Sequence[str]
) -> None:
    for method in methods:
        found = [cell(measured, method, score, band)[kind] for band in measured["bands"]]
        drawn = [(at, value) for at, value in enumerate(found) if value is not None]
        offset = 0.17 * (METHODS.index(method) - (len(METHODS) - 1) / 2)
        seeds = len(measured["seeds"][method])
        axes.errorbar(
            [at + offset for at, _ in drawn], [100 * value["mean"] for _, value in drawn],
            yerr=100 * error_bar([value for _, value in drawn]), color=method_colour(method),
            marker=method_marker(method), markersize=3.5, linestyle="none", elinewidth=0.9,
            label=method if seeds > 1 else f"{method} (1 seed)",
        )  # fmt: skip
