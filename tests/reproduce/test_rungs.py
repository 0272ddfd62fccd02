"""The table claim by rung: one rule on every rung, and a reason where there is no verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reproduce.claim_judging import NO, OPEN, UNDECIDED, YES
from reproduce.made_runs import STEPS, history

from lit_entropy.figures import entries
from lit_entropy.figures.discovery import DISCOVERY
from lit_entropy.figures.dynamics import FIGURE_8
from lit_entropy.figures.entries import Entry
from lit_entropy.figures.law import FIGURE_3, FIGURE_4
from lit_entropy.figures.matching import SECTION_3
from lit_entropy.figures.methods import FIGURE_11
from lit_entropy.figures.runs import Run
from lit_entropy.laboratory.read import Anatomy, read_anatomy
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.rungs import (
    COLUMNS,
    ON_THE_TABLE,
    RUNGS,
    THEOREM2,
    Cell,
    Row,
    claim_by_rung,
)

CHAIN, COUNTDOWN, DISCOVERED, LANGUAGE = 2, 3, 1, 4  # columns; 0 is the table


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


def anatomy_record(r2: float = 0.99, half: float | None = 0.01) -> dict[str, Any]:
    def number(mean: float, half_width: float | None = half) -> dict[str, object]:
        return {"values": [mean] * 3, "mean": mean, "half_width": half_width, "seeds": [0, 1, 2]}

    names = ("r2", "slope", "sign", "step_r2", "step_slope", "step_sign")
    row = {"row": {"label": THEOREM2}, **{name: number(r2) for name in names}, "lost": None}
    law = {name: number(r2) for name in ("a", "b", "r2", "positive", "foretold")}
    return {"rules": "0123456789ab", "rows": [row], "law": law}


def anatomy(folder: Path, record: dict[str, Any]) -> Anatomy:
    (folder / "anatomy.json").write_text(json.dumps(record))
    return read_anatomy(folder)


def cell(rows: list[Row], claim: str, column: int) -> Cell:
    (row,) = (row for row in rows if row.claim.startswith(claim))
    return row.cells[column]


def test_one_claim_is_judged_by_one_rule_on_every_rung(tmp_path: Path) -> None:
    runs = [
        *made("ChainArithmetic"), *made("Countdown", "grpo_countdown"),
        *made("Arithmetic", "smollm", model="HuggingFaceTB/SmolLM2-135M", seeds=2),
        *made("StrategyDiscovery", "discovery_grpo"),
    ]  # fmt: skip
    book = (FIGURE_3, FIGURE_4, FIGURE_8)
    rows = claim_by_rung(book, runs, anatomy(tmp_path, anatomy_record()))
    # Fig. 4 is Fig. 3's claim on countdown, by its rule: no row of its own
    assert [row.figure for row in rows] == ["Fig. 3", "Fig. 8", "Fig. 8", "Fig. 8"]
    assert all(len(row.cells) == len(COLUMNS) == 5 for row in rows)
    law = rows[0].cells
    assert [each.verdict for each in law] == [
        YES, "not judged: 3 of 5 seeds, 40 of 300 RL steps", YES, YES, "not judged: 2 of 3 seeds",
    ]  # fmt: skip
    assert law[0].text == "R² 0.9900 ± 0.0100, a 0.9900 ± 0.0100"
    assert law[CHAIN].text.startswith("R² = 1.00 ± 0.00, ")
    assert rows[0].rule == FIGURE_3.claims[0].rule
    empty = cell(rows, "The covariance of responses", CHAIN)
    assert empty == Cell("", "no run that it needs (policy gradient)")


def test_a_cell_without_a_verdict_says_why() -> None:
    rows = claim_by_rung((FIGURE_3, FIGURE_11, SECTION_3), made("ChainArithmetic"), None)
    law = rows[0].cells
    assert law[0] == Cell("", "no anatomy was given (--anatomy)")
    assert law[COUNTDOWN] == law[LANGUAGE] == Cell("", "no run")
    held = cell(rows, "Clip-Cov and KL-Cov keep", CHAIN)
    assert held.verdict == "" and "'clip-higher', 'Clip-Cov', 'KL-Cov'" in held.text
    assert cell(rows, "Lemma 1", 0) == Cell("", "not measured on the table")


def test_points_of_another_figures_sweep_stay_out() -> None:
    names = {"grpo": "GRPO", "kl_cov": "KL-Cov", "clip_cov": "Clip-Cov"}
    names |= {"clip_higher": "clip-higher", "kl_cov_0.05": "KL-Cov"}
    runs = [run for name, label in names.items() for run in made("ChainArithmetic", name, label)]
    rows = claim_by_rung((FIGURE_11, DISCOVERY), runs, None)
    held = cell(rows, "Clip-Cov and KL-Cov keep", CHAIN)
    assert held.verdict == YES and "KL-Cov +0.3" in held.text
    assert [row.figure for row in rows] == ["Fig. 11"] * 5 + ["Strategy discovery"] * 9


@pytest.mark.parametrize(
    "r2, half, expected",
    [(0.99, 0.01, YES), (0.95, 0.06, UNDECIDED), (0.4, 0.05, NO), (0.99, None, OPEN)],
)
def test_the_table_is_judged_by_interval(
    tmp_path: Path, r2: float, half: float | None, expected: str
) -> None:
    found = anatomy(tmp_path, anatomy_record(r2, half))
    rows = claim_by_rung((FIGURE_3, FIGURE_8), [], found)
    assert rows[0].cells[0].verdict == rows[1].cells[0].verdict == expected
    least = {YES: YES, UNDECIDED: YES, NO: NO, OPEN: OPEN}  # Theorem 2 asks for R² above 0.5
    theorem = cell(claim_by_rung((SECTION_3,), [], found), "Theorem 2", 0)
    assert theorem.verdict == least[expected]


def test_unfinished_runs_of_the_anatomy(tmp_path: Path) -> None:
    found = anatomy(tmp_path, {**anatomy_record(), "law": None, "rows": []})
    rows = claim_by_rung((FIGURE_3, SECTION_3), [], found)
    assert rows[0].cells[0] == Cell(OPEN, "the runs of the law are not finished")
    assert cell(rows, "Theorem 2", 0) == Cell(OPEN, "the natural gradient was not run")


def test_what_is_no_anatomy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"anatomy\.json is not there.*--output"):
        read_anatomy(tmp_path)
    for text in ("{", "[]", '{"rules": "x", "rows": [{}], "law": null}'):
        (tmp_path / "anatomy.json").write_text(text)
        with pytest.raises(ValueError, match="no output of this version's lit-entropy anatomy"):
            read_anatomy(tmp_path)


def test_the_table_of_the_anatomy_names_claims_that_there_are() -> None:
    claims = {(each.key, number) for each in ENTRIES for number in range(len(each.claims))}
    assert set(ON_THE_TABLE) <= claims
    said = {(each.key, claim.claim) for each in ENTRIES for claim in each.claims}
    words = {"3": "R = -a exp(H) + b", "8": "stays positive", "dynamics": "Theorem 2"}
    book: dict[str, Entry[Any]] = {each.key: each for each in ENTRIES}
    for key, number in ON_THE_TABLE:
        claim = book[key].claims[number].claim
        assert (key, claim) in said and words[key] in claim


def test_a_run_stands_on_one_rung_at_most() -> None:
    for task in ("ChainArithmetic", "Countdown", "StrategyDiscovery", "MathDataset"):
        for model in ("chain-s", "HuggingFaceTB/SmolLM2-135M-Instruct"):
            (run, *_) = made(task, model=model)
            rungs = [rung.title for rung in RUNGS if rung.holds(run)]
            known = "SmolLM2" in model or task != "MathDataset"
            assert len(rungs) == known
