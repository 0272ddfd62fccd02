"""Every figure of the paper in the order of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lit_entropy.figures import (
    collapse,
    control,
    controls,
    dynamics,
    forecast,
    ladder,
    law,
    methods,
    tables,
)
from lit_entropy.figures.runs import Run
from lit_entropy.reproduce import claims_control, claims_dynamics, claims_law
from lit_entropy.reproduce.entries import Claim, Entry

CLAIMS: dict[str, tuple[Claim, ...]] = {
    **claims_law.CLAIMS,
    **claims_dynamics.CLAIMS,
    **claims_control.CLAIMS,
}
#: The task that stands for the paper's code runs.
CODE_TASK = "Countdown"


def one_model(runs: Sequence[Run]) -> list[Run]:
    """The runs of the model that most of them train, so that the ladder stays out of a curve.

    A run that does not say its model, an export say, stays.
    """
    models = [run.facts["model"] for run in runs if "model" in run.facts]
    common = max(models, key=models.count, default=None)
    return [run for run in runs if run.facts.get("model", common) == common]


def mathematics(runs: Sequence[Run]) -> list[Run]:
    """Runs on anything but the second task."""
    return one_model([run for run in runs if run.facts.get("task") != CODE_TASK])


def code(runs: Sequence[Run]) -> list[Run]:
    """Runs on the second task."""
    return one_model([run for run in runs if run.facts.get("task") == CODE_TASK])


def sizes(runs: Sequence[Run]) -> list[Run]:
    """Runs of every size on the first task."""
    return [run for run in runs if run.facts.get("task") != CODE_TASK]


def distributions(runs: Sequence[Run]) -> list[Run]:
    """GRPO's runs under the name that Fig. 13 has for them."""
    names = {"GRPO": law.DISTRIBUTIONS[0]}
    return [replace(run, label=names.get(run.label, run.label)) for run in mathematics(runs)]


def measured_states(runs: Sequence[Run]) -> list[Run]:
    """GRPO's and the on-policy runs that measured their states."""
    labels = ("GRPO", dynamics.LABEL)
    return [
        run
        for run in mathematics(runs)
        if run.label in labels and "dynamics/fixed/delta" in run.history
    ]


SEEDS = "Seeds thin, mean thick, 95 % t interval as a band."

ENTRIES: tuple[Entry, ...] = (
    Entry("1", "Fig. 1", "Entropy collapses, accuracy saturates", f"GRPO. {SEEDS}",
          collapse.figure_1, collapse.measure_1, mathematics),
    Entry("2", "Fig. 2", "Most is spent and won early",
          "Shares of the whole fall of entropy and of the whole gain. " + SEEDS,
          collapse.figure_2, collapse.measure_2, mathematics),
    Entry("3", "Fig. 3", "The law on mathematics",
          "Held-out accuracy against the entropy of the same policy; entropy falls to the right.",
          law.figure_3, law.measure_3, mathematics, claims_law.law_table),
    Entry("4", "Fig. 4", "The law on a second task",
          "Countdown stands for the paper's code. Entropy falls to the right.",
          law.figure_4, law.measure_4, code, claims_law.law_table),
    Entry("5", "Fig. 5", "Forecast from the first 15 %, mathematics",
          "The law and linear in H read the later entropies; last value and the sigmoid do not.",
          forecast.figure_5, forecast.measure_5, mathematics, claims_law.forecast_table),
    Entry("5b", "Fig. 5 (code)", "Forecast from the first 15 %, second task",
          "The law and linear in H read the later entropies; last value and the sigmoid do not.",
          forecast.figure_5, forecast.measure_5, code, claims_law.forecast_table),
    Entry("6", "Fig. 6", "Four algorithms, one law?", "One base, one training set.",
          law.figure_6, law.measure_6, mathematics, claims_law.law_table),
    Entry("7", "Fig. 7", "Coefficients against size", "Four bases of one recipe.",
          ladder.figure_7, ladder.measure_7, sizes, claims_law.ladder_table),
    Entry("8", "Fig. 8", "Entropy falls as the covariance says",
          "Responses as actions (eq. 8, 9), strictly on-policy policy gradient.",
          dynamics.figure_8, dynamics.measure_8, mathematics),
    Entry("dynamics", "Section 3", "Realised against predicted change of entropy",
          "At the RL steps that were measured, over the full vocabulary.",
          dynamics.figure_dynamics, dynamics.measure_dynamics, measured_states,
          claims_dynamics.dynamics_table),
    Entry("table-1", "Table 1", "A few tokens carry the covariance",
          "The base at RL step 1, top share of the tokens by covariance (eq. 10).",
          tables.figure_table_1, tables.measure_table_1, mathematics, claims_dynamics.tail_table),
    Entry("9", "Fig. 9", "Entropy bonus", f"Coefficient 0 is GRPO. {SEEDS}",
          control.figure_9, control.measure_9, mathematics, claims_control.sweep_table),
    Entry("10", "Fig. 10", "Reference KL", f"Coefficient 0 is GRPO. {SEEDS}",
          control.figure_10, control.measure_10, mathematics, claims_control.sweep_table),
    Entry("11", "Fig. 11", "Clip-Cov and KL-Cov",
          f"{SEEDS} (d) at matched compute: against generated tokens.",
          methods.figure_11, methods.measure_11, mathematics, claims_control.methods_table),
    Entry("12", "Fig. 12", "Steering the entropy",
          "The level of entropy by the fraction of Clip-Cov and the coefficient of KL-Cov.",
          control.figure_12, control.measure_12, mathematics),
    Entry("table-2", "Table 2", "Accuracy by chain length",
          "Chains of 11 and 12 operations are longer than any that is trained on.",
          tables.figure_table_2, tables.measure_table_2, mathematics,
          claims_control.difficulty_tables),
    Entry("13", "Fig. 13", "Another training distribution",
          "Trained on chains of 1 to 6 operations, validated on the same problems.",
          law.figure_13, law.measure_13, distributions, claims_law.law_table),
    Entry("controls", "Controls", "Where nothing is to be learnt, or nothing acts", SEEDS,
          controls.figure_controls, controls.measure_controls, mathematics,
          claims_dynamics.controls_table),
)  # fmt: skip
