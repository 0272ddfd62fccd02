"""Every figure of the paper in the order of the report."""

from __future__ import annotations

from collections.abc import Sequence

from lit_entropy.figures import (
    collapse,
    comparison,
    control,
    controls,
    dynamics,
    forecast,
    ladder,
    law,
    methods,
    spending,
    tables,
)
from lit_entropy.figures.entries import SEEDS, AnyEntry, Claim, Entry
from lit_entropy.figures.runs import Run, mathematics
from lit_entropy.reproduce import claims_control, claims_dynamics
from lit_entropy.reproduce.suite import tiny_suite

CLAIMS: dict[str, tuple[Claim, ...]] = {
    **claims_dynamics.CLAIMS,
    **claims_control.CLAIMS,
}


def measured_states(runs: Sequence[Run]) -> list[Run]:
    """GRPO's and the on-policy runs that measured their states."""
    labels = ("GRPO", dynamics.LABEL)
    return [
        run
        for run in mathematics(runs)
        if run.label in labels and "dynamics/fixed/delta" in run.history
    ]


CELLS = {}
for _cell in tiny_suite():
    for _key in _cell.figures:
        CELLS[_key] = (*CELLS.get(_key, ()), _cell)

ENTRIES: tuple[AnyEntry, ...] = (
    collapse.FIGURE_1,
    spending.FIGURE_2,
    law.FIGURE_3,
    law.FIGURE_4,
    forecast.FIGURE_5,
    forecast.FIGURE_5B,
    comparison.FIGURE_6,
    ladder.FIGURE_7,
    Entry("8", "Fig. 8", "Entropy falls as the covariance says",
          "Responses as actions (eq. 8, 9), strictly on-policy policy gradient.",
          dynamics.measure_8, dynamics.figure_8, CLAIMS["8"], CELLS["8"], mathematics),
    Entry("dynamics", "Section 3", "Realised against predicted change of entropy",
          "At the RL steps that were measured, over the full vocabulary.",
          dynamics.measure_dynamics, dynamics.figure_dynamics, CLAIMS["dynamics"], CELLS["dynamics"], measured_states, claims_dynamics.dynamics_table),
    Entry("table-1", "Table 1", "A few tokens carry the covariance",
          "The base at RL step 1, top share of the tokens by covariance (eq. 10).",
          tables.measure_table_1, tables.figure_table_1, CLAIMS["table-1"], CELLS["table-1"], mathematics, claims_dynamics.tail_table),
    Entry("9", "Fig. 9", "Entropy bonus", f"Coefficient 0 is GRPO. {SEEDS}",
          control.measure_9, control.figure_9, CLAIMS["9"], CELLS["9"], mathematics, claims_control.sweep_table),
    Entry("10", "Fig. 10", "Reference KL", f"Coefficient 0 is GRPO. {SEEDS}",
          control.measure_10, control.figure_10, CLAIMS["10"], CELLS["10"], mathematics, claims_control.sweep_table),
    Entry("11", "Fig. 11", "Clip-Cov and KL-Cov",
          f"{SEEDS} (d) at matched compute: against generated tokens.",
          methods.measure_11, methods.figure_11, CLAIMS["11"], CELLS["11"], mathematics, claims_control.methods_table),
    Entry("12", "Fig. 12", "Steering the entropy",
          "The level of entropy by the fraction of Clip-Cov and the coefficient of KL-Cov.",
          control.measure_12, control.figure_12, CLAIMS["12"], CELLS["12"], mathematics),
    Entry("table-2", "Table 2", "Accuracy by chain length",
          "Chains of 11 and 12 operations are longer than any that is trained on.",
          tables.measure_table_2, tables.figure_table_2, CLAIMS["table-2"], CELLS["table-2"], mathematics, claims_control.difficulty_tables),
    comparison.FIGURE_13,
    Entry("controls", "Controls", "Where nothing is to be learnt, or nothing acts", SEEDS,
          controls.measure_controls, controls.figure_controls, CLAIMS["controls"], CELLS["controls"], mathematics, claims_dynamics.controls_table),
)  # fmt: skip
