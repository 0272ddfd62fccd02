"""Realised against predicted change of entropy: Lemma 1, Theorems 1 and 2 (arXiv 2505.22617)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.as_text import percent, show
from lit_entropy.figures.cells import GRPO, POLICY_GRADIENT
from lit_entropy.figures.entries import Claim, Entry, Judgement, Table
from lit_entropy.figures.estimates import Estimate, estimate
from lit_entropy.figures.runs import Run, by_label, mathematics
from lit_entropy.figures.style import (
    FULL_WIDTH,
    GREY,
    method_colour,
    method_marker,
    paper_style,
)
from lit_entropy.functional import agreement


class Match(NamedTuple):
    """One panel: a prediction and the change it is for.

    ``exact`` predictions know the step that was made, so that the diagonal is the claim; the others
    are for a unit step size.
    """

    name: str
    title: str
    predicted: str
    realised: str
    exact: bool


LEMMA1 = "dynamics/own/lemma1"
THEOREM1, THEOREM2 = "dynamics/own/theorem1_state", "dynamics/own/theorem2_state"
FIXED, OWN, ON_POLICY = (f"dynamics/{states}/delta" for states in ("fixed", "own", "on_policy"))
MATCHES = (
    Match("lemma1_fixed", "Lemma 1, fixed states", "dynamics/fixed/lemma1", FIXED, True),
    Match("lemma1_own", "Lemma 1, own states", LEMMA1, OWN, True),
    Match("lemma1_on_policy", "Lemma 1, on-policy", LEMMA1, ON_POLICY, True),
    Match("theorem1_own", "Theorem 1, own states", THEOREM1, OWN, False),
    Match("theorem2_own", "Theorem 2, own states", THEOREM2, OWN, False),
    Match("theorem2_on_policy", "Theorem 2, on-policy", THEOREM2, ON_POLICY, False),
)


def pairs(run: Run, match: Match) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and realised change at the RL steps that measured both, nats.

    Raises:
        ValueError: the run has no RL step with both.
    """
    missing = [key for key in (match.predicted, match.realised) if key not in run.history]
    if not missing:
        predicted_N, realised_N = run.history[match.predicted], run.history[match.realised]
        both_N = np.isfinite(predicted_N) & np.isfinite(realised_N)
        if both_N.any():
            return predicted_N[both_N], realised_N[both_N]
        missing = [match.predicted, match.realised]
    raise ValueError(
        f"run {run.name!r} (label {run.label!r}) has no RL step with {missing}: "
        "train it with the callback EntropyDynamics"
    )


@dataclass(frozen=True)
class Agreement:
    """How well a prediction agrees; an estimate over seeds is None if a run does not define it.

    Attributes:
        points: measured RL steps over all seeds.
        slope: realised on predicted, through the origin.
        r2: squared correlation.
        sign_agreement: share of the RL steps.
    """

    points: int
    slope: Estimate | None
    r2: Estimate | None
    sign_agreement: Estimate | None


@dataclass(frozen=True)
class ExactAgreement(Agreement):
    """That of an exact prediction: ``relative_error`` is ||predicted - realised|| / ||realised||."""

    relative_error: Estimate | None


#: By label and name of the match.
Agreements = dict[str, dict[str, Agreement]]


def measure_dynamics(runs: Sequence[Run]) -> Agreements:
    """How well each prediction agrees with the realised change of entropy, by label.

    Args:
        runs: any labels; each with the ``dynamics/`` keys of ``EntropyDynamics``.

    Raises:
        ValueError: no runs, or a run lacks a key.
    """
    if not runs:
        raise ValueError("no runs: name at least one that was trained with EntropyDynamics")
    return {
        label: {match.name: _agreement(group, match) for match in MATCHES}
        for label, group in by_label(runs).items()
    }


def _agreement(group: Sequence[Run], match: Match) -> Agreement:
    data = [tuple(map(torch.from_numpy, pairs(run, match))) for run in group]

    def over(statistic: Callable[[torch.Tensor, torch.Tensor], float | None]) -> Estimate | None:
        values = [statistic(*sides) for sides in data]
        defined = [value for value in values if value is not None]
        return estimate(defined) if len(defined) == len(values) else None

    count = sum(len(realised_N) for _, realised_N in data)
    slope, r2 = over(agreement.slope_through_origin), over(agreement.squared_correlation)
    signs = over(agreement.sign_agreement)
    if match.exact:
        return ExactAgreement(count, slope, r2, signs, over(agreement.relative_error))
    return Agreement(count, slope, r2, signs)  # the size at unit step size is no claim


def figure_dynamics(runs: Sequence[Run]) -> Figure:
    """Realised against predicted change, one point a measured RL step, one colour a label.

    Lemma 1 against the diagonal; the theorems, at unit step size, each with its least-squares line
    through the origin. In every panel slope and R^2, means over seeds.

    Raises:
        ValueError: as :func:`measure_dynamics`.
    """
    numbers = measure_dynamics(runs)
    groups = by_label(runs)
    with paper_style():
        figure = Figure(figsize=(FULL_WIDTH, 4.6), layout="constrained")
        for axes, match in zip(figure.subplots(2, 3).flat, MATCHES, strict=True):
            _plot_match(axes, groups, match, numbers)
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=len(groups), markerscale=2)
    return figure


def _plot_match(
    axes: Axes, groups: dict[str, list[Run]], match: Match, numbers: Agreements
) -> None:
    scale, unit = (1e3, r"$10^{-3}$ nats") if match.exact else (1.0, "nats, unit step")
    notes = []
    for label, group in groups.items():
        sides = [pairs(run, match) for run in group]
        predicted_N, realised_N = (np.concatenate(side) for side in zip(*sides, strict=True))
        axes.scatter(
            scale * predicted_N, 1e3 * realised_N, s=7, color=method_colour(label), alpha=0.6,
            marker=method_marker(label), linewidths=0, label=label,
        )  # fmt: skip
        fit = numbers[label][match.name]
        if not match.exact and fit.slope is not None:
            slope = 1e3 * fit.slope.mean
            axes.axline((0, 0), slope=slope, color=method_colour(label), linewidth=0.8)
        notes.append((label, fit))
    if match.exact:
        axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_title(match.title)
    axes.set(
        xlabel=f"predicted $\\Delta H$ ({unit})", ylabel=r"realised $\Delta H$ ($10^{-3}$ nats)"
    )
    axes.locator_params(nbins=5)
    _write_notes(axes, notes)


def _write_notes(axes: Axes, notes: Sequence[tuple[str, Agreement]]) -> None:
    """Slope and R^2 of each label, in room made above the points."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (0.04 + 0.1 * len(notes)) * (high - low))
    for row, (label, fit) in enumerate(notes):
        parts = [f"slope {fit.slope.mean:.2f}"] if fit.slope is not None else []
        parts += [f"$R^2$ {fit.r2.mean:.2f}"] if fit.r2 is not None else []
        axes.text(
            0.03, 0.98 - 0.085 * row, ", ".join(parts), transform=axes.transAxes, va="top",
            fontsize=6.5, color=method_colour(label),
        )  # fmt: skip


def judge_lemma(m: Agreements) -> Judgement:
    """Lemma 1 at fixed states."""
    found = {label: matches["lemma1_fixed"] for label, matches in m.items()}
    text = "; ".join(
        f"{label}: R² {show(match.r2, 2)}, slope {show(match.slope, 2)}"
        for label, match in found.items()
    )
    return _judge_r2(found, 0.9, text)


def judge_theorem(m: Agreements) -> Judgement:
    """Theorem 2 with sampled advantages against what happened."""
    found = {label: matches["theorem2_on_policy"] for label, matches in m.items()}
    text = "; ".join(
        f"{label}: R² {show(match.r2, 2)}, sign {percent(match.sign_agreement)}"
        for label, match in found.items()
    )
    return _judge_r2(found, 0.5, text)


def _judge_r2(found: dict[str, Agreement], least: float, text: str) -> Judgement:
    known = [match.r2.mean for match in found.values() if match.r2 is not None]
    return Judgement(all(r2 >= least for r2 in known) if len(known) == len(found) else None, text)


def dynamics_table(m: Agreements) -> list[Table]:
    """Agreement of every prediction."""
    header = ["prediction", "method", "points", "slope", "R²", "same sign", "relative error"]
    rows = []
    for match in MATCHES:
        for label, matches in m.items():
            found = matches[match.name]
            error = found.relative_error if isinstance(found, ExactAgreement) else None
            rows.append([match.title, label, str(found.points), show(found.slope, 2),
                         show(found.r2, 2), percent(found.sign_agreement), show(error, 2)])  # fmt: skip
    return [Table(header, rows)]


def measured_states(runs: Sequence[Run]) -> list[Run]:
    """GRPO's and the on-policy runs that measured their states."""
    labels = (GRPO.label, POLICY_GRADIENT.label)
    return [run for run in mathematics(runs) if run.label in labels and FIXED in run.history]


SECTION_3 = Entry(
    "dynamics", "Section 3", "Realised against predicted change of entropy",
    "At the RL steps that were measured, over the full vocabulary.",
    measure_dynamics, figure_dynamics,
    (
        Claim("Lemma 1: the covariance of log π and the change of the logits is the change of "
              "entropy to first order.", "proved, not measured",
              "R² of at least 0.9 at fixed states", judge_lemma),
        Claim("Theorem 2: the covariance of log π and the advantage foretells it.",
              "shapes compared by eye", "R² of at least 0.5 on-policy, step by step",
              judge_theorem),
    ),
    (GRPO, POLICY_GRADIENT), measured_states, dynamics_table,
)  # fmt: skip
