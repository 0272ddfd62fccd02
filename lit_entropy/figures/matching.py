"""Realised against predicted change of entropy: Lemma 1, Theorems 1 and 2 (arXiv 2505.22617)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import opposed, percent, show
from lit_entropy.figures.cells import LAW, POLICY_GRADIENT
from lit_entropy.figures.entries import Claim, Entry, Judgement, Overlay, Table
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.matches import (
    FIXED,
    MATCHES,
    Agreement,
    Agreements,
    ExactAgreement,
    Match,
    measure_dynamics,
    pairs,
)
from lit_entropy.figures.panels import legend_of_labels
from lit_entropy.figures.runs import Run, by_label, mathematics
from lit_entropy.figures.style import FULL_WIDTH, GREY, looks, paper_figure
from lit_entropy.figures.verdicts import Decision, above, every


def figure_dynamics(runs: Sequence[Run]) -> Figure:
    """Realised against predicted change, one point per measured RL step, one colour per label.

    Lemma 1 against the diagonal; the theorems, at unit step size, each with its least-squares line
    through the origin. In every panel slope and R^2, means over seeds, and how
    many seeds run against the prediction.
    """
    numbers = measure_dynamics(runs)
    groups = by_label(runs)
    with paper_figure(FULL_WIDTH, 4.8) as figure:
        for axes, match in zip(figure.subplots(2, 3).flat, MATCHES, strict=True):
            plot_match(axes, groups, match, numbers)
        legend_of_labels(figure, figure.axes[0], figure.axes[-1], markerscale=2)
    return figure


def plot_match(axes: Axes, groups: dict[str, list[Run]], match: Match, numbers: Agreements) -> None:
    """One prediction: points by label, the diagonal or fitted slopes, slope and R^2 as text."""
    scale, unit = (1e3, r"$10^{-3}$ nats") if match.exact else (1.0, "nats, unit step")
    notes = []
    look = looks(groups)
    for label, group in groups.items():
        colour, marker = look[label]
        sides = [pairs(run, match) for run in group]
        predicted_N, realised_N = (np.concatenate(side) for side in zip(*sides, strict=True))
        axes.scatter(
            scale * predicted_N, 1e3 * realised_N, s=7, color=colour, alpha=0.6,
            marker=marker, linewidths=0, label=label,
        )  # fmt: skip
        fit = numbers[label][match.name]
        if not match.exact and fit.slope is not None:
            slope = 1e3 * fit.slope.mean
            axes.axline(
                (0, 0), slope=slope, color=colour, linewidth=0.8, label=f"{label}, fitted slope"
            )
        notes.append((colour, fit))
    if match.exact:
        axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--", label="equal")
    axes.set_title(match.title)
    axes.set(
        xlabel=f"predicted $\\Delta H$ ({unit})", ylabel=r"realised $\Delta H$ ($10^{-3}$ nats)"
    )
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=5)
    _write_notes(axes, notes)


def _write_notes(axes: Axes, notes: Sequence[tuple[str, Agreement]]) -> None:
    """Slope and R^2 of each label, in room made above the points."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (0.04 + 0.1 * len(notes)) * (high - low))
    for row, (colour, fit) in enumerate(notes):
        parts = [f"slope {fit.slope.mean:.2f}"] if fit.slope is not None else []
        parts += [f"$R^2$ {fit.r2.mean:.2f}"] if fit.r2 is not None else []
        note = ", ".join(parts) + opposed(fit.opposed, fit.seeds)
        axes.text(
            0.03, 0.98 - 0.085 * row, note, transform=axes.transAxes, va="top",
            fontsize=6.5, color=colour,
        )  # fmt: skip


def _judge_lemma(m: Agreements) -> Judgement:
    found = {label: matches["lemma1_fixed"] for label, matches in m.items()}
    text = "; ".join(
        f"{label}: R² {match.r2_text}, slope {show(match.slope, 2)}"
        for label, match in found.items()
    )
    decisions = (holds_to_first_order(match.r2, match.slope) for match in found.values())
    return Judgement(every(*decisions), text)


def holds_to_first_order(r2: Estimate | None, slope: Estimate | None) -> Decision:
    """That a prediction of the change itself holds: R² above 0.9, and the slope above 0."""
    return every(above(r2, 0.9), above(slope, 0))


def foretells(r2: Estimate | None, slope: Estimate | None) -> Decision:
    """That a prediction of sign and shape, not of the size, holds: R² above 0.5, slope above 0."""
    return every(above(r2, 0.5), above(slope, 0))


def _judge_theorem(m: Agreements) -> Judgement:
    found = {label: matches["theorem2_on_policy"] for label, matches in m.items()}
    text = "; ".join(
        f"{label}: R² {match.r2_text}, slope {show(match.slope, 2)}, "
        f"sign {percent(match.sign_agreement)}"
        for label, match in found.items()
    )
    decisions = (foretells(match.r2, match.slope) for match in found.values())
    return Judgement(every(*decisions), text)


def dynamics_table(m: Agreements) -> list[Table]:
    """Agreement of every prediction."""
    header = ["prediction", "method", "points", "slope", "R²", "same sign", "relative error"]
    rows = []
    for match in MATCHES:
        for label, matches in m.items():
            found = matches[match.name]
            error = found.relative_error if isinstance(found, ExactAgreement) else None
            numbers = show(found.slope, 2), found.r2_text, percent(found.sign_agreement)
            rows.append([match.title, label, str(found.points), *numbers, show(error, 2)])
    return [Table(header, rows)]


def measured_states(runs: Sequence[Run]) -> list[Run]:
    """The runs that measured their states."""
    return [run for run in mathematics(runs) if FIXED in run.history]


SECTION_3 = Entry(
    "dynamics", "Section 3", "Realised against predicted change of entropy",
    "At the RL steps that were measured, over the full vocabulary. R² is the squared correlation, "
    "which knows neither sign nor size, so the slope stands beside it; of a seed that is opposed, "
    "correlation or slope is below 0, and whatever its R², the prediction does not match.",
    measure_dynamics, figure_dynamics,
    (
        Claim("Lemma 1: the covariance of log π and the change of the logits is the change of "
              "entropy to first order.", "proved, not measured",
              "at fixed states, for each method that has runs: 95 % intervals of R² above 0.9, "
              "of the slope above 0", _judge_lemma),
        Claim("Theorem 2: the covariance of log π and the advantage foretells it.",
              "shapes compared by eye",
              "on-policy, step by step, for each method that has runs: 95 % intervals of R² above "
              "0.5, of the slope above 0",
              _judge_theorem),
    ),
    (LAW, POLICY_GRADIENT), measured_states, dynamics_table,
    Overlay(
        measure_dynamics, figure_dynamics,
        tables=lambda runs: dynamics_table(measure_dynamics(runs)),
    ),
)  # fmt: skip
