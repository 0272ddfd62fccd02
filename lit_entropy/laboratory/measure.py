"""How well predictions agree with realised changes of entropy, run by run, and what rows cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lit_entropy.figures.estimates import Estimate, Paired, estimate, paired
from lit_entropy.functional import agreement
from lit_entropy.functional.law import fit
from lit_entropy.laboratory.rows import Row

#: Columns of a run's states by name, float64 [lines].
States = Mapping[str, np.ndarray]


class Sides(NamedTuple):
    """Predicted and realised changes of entropy, nats [N] each."""

    predicted_N: np.ndarray
    realised_N: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Over one seed; a change that is 0 everywhere has R² 0 and slope 0: nothing was foretold.

    Fewer than three pairs have no R² (NaN).

    R² is the squared correlation: it is high as well where the change is ``opposed``, that is runs
    against the prediction.
    """

    r2: float
    slope: float
    sign: float
    opposed: bool


@dataclass(frozen=True)
class Measured:
    """A row over seeds.

    Attributes:
        row: what is compared.
        r2, slope, sign: agreement from state to state at all RL steps.
        step_r2, step_slope, step_sign: agreement of the means over states from RL step to RL step.
        opposed, step_opposed: seeds that are opposed, of both agreements.
        lost: R² of the reference less that of the row, from state to state, paired by seed.
    """

    row: Row
    r2: Estimate
    slope: Estimate
    sign: Estimate
    step_r2: Estimate
    step_slope: Estimate
    step_sign: Estimate
    opposed: int
    step_opposed: int
    lost: Paired | None


@dataclass(frozen=True)
class Law:
    """The law of the table, over seeds: R = -a exp(H) + b, R the expected reward."""

    a: Estimate
    b: Estimate
    r2: Estimate
    positive: Estimate  # share of the RL steps with Cov(log pi, A) > 0
    foretold: Estimate  # share of the RL steps whose mean change has Theorem 1's sign


@dataclass(frozen=True)
class Dissected:
    """What the anatomy measured: every row that has runs, and the law where it has some."""

    rows: tuple[Measured, ...]
    law: Law | None

    def row(self, wanted: Row) -> Measured | None:
        """What came of a row; None without runs."""
        return next((each for each in self.rows if each.row == wanted), None)


def states_of(states: States, row: Row) -> Sides:
    """Each state at each RL step."""
    chosen_N = states["held_out"] == float(row.held_out)
    return Sides(states[row.prediction][chosen_N], states["delta"][chosen_N])


def steps_of(states: States, row: Row) -> Sides:
    """Means over states, RL step by RL step."""
    foretold = _means(states, row.prediction, row.held_out and not row.foretold_by_training)
    return Sides(foretold, _means(states, "delta", row.held_out))


def _means(states: States, name: str, held_out: bool) -> np.ndarray:
    part_N = states["held_out"] == float(held_out)
    steps = np.unique(states["step"])
    return np.array([states[name][part_N & (states["step"] == step)].mean() for step in steps])


def agree(sides: Sides) -> Agreement:
    """R², slope through the origin, share of equal signs, whether it runs against it.

    Raises:
        ValueError: a prediction is missing.
    """
    if not np.isfinite(sides.predicted_N).all():
        raise ValueError("a state has no prediction: train the cell with TheoremCheck.sampled")
    r2 = agreement.squared_correlation(*sides)
    slope = agreement.slope_through_origin(*sides)
    sign = agreement.sign_agreement(*sides)
    if len(sides.predicted_N) < 3:  # through two points there is always a line
        r2 = np.nan
    return Agreement(r2 or 0.0, slope or 0.0, sign or 0.0, agreement.opposed(*sides))


def measure_rows(rows: Sequence[Row], runs: Mapping[str, Mapping[int, States]]) -> list[Measured]:
    """Every row whose cell has runs.

    Args:
        rows: what is compared; the first is the reference of those that name none.
        runs: states by name of the cell and seed.
    """
    by_row = {row.label: _agreements(row, runs) for row in rows if runs.get(row.condition)}
    r2 = {
        label: {seed: pair[0].r2 for seed, pair in found.items()} for label, found in by_row.items()
    }
    measured = []
    for row in rows:
        if row.label in by_row:
            found = by_row[row.label]
            reference = r2.get(row.reference or rows[0].label, {})
            lost = paired(reference, r2[row.label]) if row != rows[0] else None
            by_state, by_step = zip(*found.values(), strict=True)
            measured.append(Measured(
                row=row, lost=lost, opposed=sum(each.opposed for each in by_state),
                step_opposed=sum(each.opposed for each in by_step), **_estimates(found),
            ))  # fmt: skip
    return measured


def _agreements(
    row: Row, runs: Mapping[str, Mapping[int, States]]
) -> dict[int, tuple[Agreement, Agreement]]:
    return {
        seed: (agree(states_of(states, row)), agree(steps_of(states, row)))
        for seed, states in sorted(runs[row.condition].items())
    }


def _estimates(found: Mapping[int, tuple[Agreement, Agreement]]) -> dict[str, Estimate]:
    return {
        f"{prefix}{name}": estimate([getattr(pair[side], name) for pair in found.values()])
        for side, prefix in enumerate(("", "step_"))
        for name in ("r2", "slope", "sign")
    }


def measure_law(histories: Sequence[Mapping[str, np.ndarray]], runs: Sequence[States]) -> Law:
    """Fit the law to the exact entropy and reward of each seed.

    Args:
        histories: columns of metrics.csv, with ``theorems/entropy``, ``/reward``, ``/covariance``.
        runs: states of the same runs.
    """
    columns = [_measured_rows(history) for history in histories]
    fits = [fit(entropy_N, reward_N) for entropy_N, reward_N, _ in columns]
    row = Row("", "", "theorem1")
    return Law(
        a=estimate([each.a for each in fits]),
        b=estimate([each.b for each in fits]),
        r2=estimate([each.r2 for each in fits]),
        positive=estimate([float((covariance_N > 0).mean()) for _, _, covariance_N in columns]),
        foretold=estimate([agree(steps_of(states, row)).sign for states in runs]),
    )


def _measured_rows(history: Mapping[str, np.ndarray]) -> np.ndarray:
    """Entropy, reward and covariance [3, N] of the rows that have them."""
    names = ("entropy", "reward", "covariance")
    columns_3N = np.stack([history[f"theorems/{name}"] for name in names])
    return columns_3N[:, np.isfinite(columns_3N).all(0)]
