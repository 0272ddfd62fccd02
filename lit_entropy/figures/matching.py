"""Realised against predicted change of entropy: Lemma 1, Theorems 1 and 2 (arXiv 2505.22617)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_entropy.figures.estimates import estimate
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.style import (
    FULL_WIDTH,
    GREY,
    method_colour,
    method_marker,
    paper_style,
)
from lit_entropy.functional import agreement

STATISTICS = {
    "slope": agreement.slope_through_origin,
    "r2": agreement.squared_correlation,
    "sign_agreement": agreement.sign_agreement,
}


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


def measure_dynamics(runs: Sequence[Run]) -> dict[str, Any]:
    """How well each prediction agrees with the realised change of entropy, by label.

    Args:
        runs: any labels; each with the ``dynamics/`` keys of ``EntropyDynamics``.

    Returns:
        ``{label: {match: {...}}}`` with ``points`` (measured RL steps over all seeds) and estimates
        over seeds (None if a run does not define it) of ``slope`` (realised on predicted through
        the origin), ``r2``, ``sign_agreement`` and, for Lemma 1, ``relative_error`` (||predicted -
        realised|| / ||realised||); the names of the matches are in :data:`MATCHES`.

    Raises:
        ValueError: no runs, or a run lacks a key.
    """
    if not runs:
        raise ValueError("no runs: name at least one that was trained with EntropyDynamics")
    return {
        label: {match.name: _agreement(group, match) for match in MATCHES}
        for label, group in by_label(runs).items()
    }


def _agreement(group: Sequence[Run], match: Match) -> dict[str, Any]:
    data = [tuple(torch.from_numpy(side) for side in pairs(run, match)) for run in group]
    numbers: dict[str, Any] = {"points": sum(len(realised_N) for _, realised_N in data)}
    # the size of a prediction at unit step size is no claim
    statistics = STATISTICS | ({"relative_error": agreement.relative_error} if match.exact else {})
    for name, statistic in statistics.items():
        values = [statistic(*sides) for sides in data]
        defined = [value for value in values if value is not None]
        numbers[name] = estimate(defined) if len(defined) == len(values) else None
    return numbers


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
    axes: Axes, groups: dict[str, list[Run]], match: Match, numbers: dict[str, Any]
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
        if not match.exact and fit["slope"] is not None:
            slope = 1e3 * fit["slope"]["mean"]
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


def _write_notes(axes: Axes, notes: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Slope and R^2 of each label, in room made above the points."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (0.04 + 0.1 * len(notes)) * (high - low))
    for row, (label, fit) in enumerate(notes):
        slope, r2 = fit["slope"], fit["r2"]
        parts = [f"slope {slope['mean']:.2f}"] if slope is not None else []
        parts += [f"$R^2$ {r2['mean']:.2f}"] if r2 is not None else []
        axes.text(
            0.03, 0.98 - 0.085 * row, ", ".join(parts), transform=axes.transAxes, va="top",
            fontsize=6.5, color=method_colour(label),
        )  # fmt: skip
