"""The anatomy: its rules, its numbers on made states, its table and figure, a tiny run of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lit_entropy.cli.main import main
from lit_entropy.figures.as_text import opposed
from lit_entropy.figures.cells import Cell
from lit_entropy.figures.entries import Plan
from lit_entropy.figures.estimates import Estimate, MissingRunsError
from lit_entropy.figures.runs import Run
from lit_entropy.figures.verdicts import Decision
from lit_entropy.laboratory import rules
from lit_entropy.laboratory.claims import CLAIMS, holds
from lit_entropy.laboratory.entry import ANATOMY, draw_anatomy, measure_anatomy
from lit_entropy.laboratory.figure import anatomy_figure
from lit_entropy.laboratory.measure import (
    Dissected,
    Sides,
    States,
    agree,
    measure_law,
    measure_rows,
    states_of,
    steps_of,
)
from lit_entropy.laboratory.rows import Row, Setting
from lit_entropy.laboratory.table import digits, law_table, rows_table
from lit_entropy.reproduce import budget
from lit_entropy.reproduce.command import reproduce
from lit_entropy.reproduce.jobs import plan

REFERENCE, WORSE = Row("none", "good", "theorem1"), Row("noise", "bad", "theorem1")
HELD_OUT = Row("elsewhere", "good", "theorem1", held_out=True, foretold_by_training=True)


def made(seed: int, noise: float = 0.0, scale: float = 1.0) -> States:
    """States of 10 RL steps, 4 training and 4 held-out prompts; the latter do not change."""
    random = np.random.default_rng(seed)
    predicted_N = random.normal(size=80)
    held_out_N = np.tile([0.0] * 4 + [1.0] * 4, 10)
    delta_N = scale * predicted_N + noise * random.normal(size=80)
    return {
        "step": np.repeat(np.arange(1.0, 11.0), 8),
        "held_out": held_out_N,
        "delta": np.where(held_out_N == 0, delta_N, 0.0),
        "theorem1": predicted_N,
    }


def runs() -> dict[str, dict[int, States]]:
    return {
        "good": {seed: made(seed) for seed in range(5)},
        "bad": {seed: made(seed, noise=1.0, scale=2.0) for seed in range(5)},
    }


def test_numbers_of_made_states() -> None:
    good, bad, elsewhere = measure_rows((REFERENCE, WORSE, HELD_OUT), runs())
    assert good.r2.mean == pytest.approx(1.0) and good.slope.mean == pytest.approx(1.0)
    assert good.sign.mean == good.step_sign.mean == 1.0 and good.lost is None
    assert bad.r2.mean == pytest.approx(0.8, abs=0.1)  # 4 / (4 + 1)
    assert bad.slope.mean == pytest.approx(2.0, abs=0.2)
    assert bad.lost is not None and bad.lost.seeds == [0, 1, 2, 3, 4]
    assert bad.lost.mean == pytest.approx(1 - bad.r2.mean) and bad.lost.bounds[0] > 0
    # nothing changed: nothing was foretold
    assert elsewhere.r2.mean == elsewhere.slope.mean == elsewhere.sign.mean == 0.0
    said = [holds(each, rules.HOLDS).verdict for each in (good, bad, elsewhere)]
    assert said == ["reproduced", "contradicted", "contradicted"]


def test_two_steps_have_no_r2() -> None:
    """Through two means there is always a line."""
    short = {
        seed: {name: column_N[:16] for name, column_N in made(seed).items()} for seed in range(5)
    }
    (found,) = measure_rows((REFERENCE,), {"good": short})
    assert found.r2.mean == pytest.approx(1.0) and np.isnan(found.step_r2.mean)
    assert rows_table([found]).rows[0][4] == "n/a"


def test_a_change_against_the_prediction_is_no_match() -> None:
    """Its R² is 1 all the same, so the table counts the seeds and the figure's dot is hollow."""
    states = runs() | {
        "bad": {seed: made(seed, scale=-2.0 if seed < 2 else 2.0) for seed in range(5)}
    }
    good, bad = measured = measure_rows((REFERENCE, WORSE), states)
    assert bad.r2.mean == bad.step_r2.mean == pytest.approx(1.0)
    assert (good.opposed, good.step_opposed, bad.opposed, bad.step_opposed) == (0, 0, 2, 2)
    cells = rows_table(measured).rows
    assert cells[0][1] == "1.00000 ± 0.00000"
    assert cells[1][1] == cells[1][4] == "1.00000 ± 0.00000 (2 of 5 opposed)"
    panels = anatomy_figure(measured, (REFERENCE, WORSE), states).get_axes()
    hollow = [line for line in panels[2].lines if line.get_label().startswith("opposed")]
    assert [line.get_xydata().tolist() for line in hollow] == [
        [[pytest.approx(1.0), 0.15]], [[pytest.approx(1.0), -0.15]]
    ]  # fmt: skip
    assert panels[1].texts[0].get_text().endswith("(2 of 5 opposed)")


def test_verdicts_are_those_of_the_intervals() -> None:
    (good,) = measure_rows((REFERENCE,), runs())

    def said(mean: float, half: float | None) -> Decision:
        return holds(replace(good, slope=Estimate([mean] * 5, mean, half)), rules.HOLDS)

    assert said(1.004, 0.005).verdict == "reproduced"
    # deviation 0.008 sqrt(5) / 2.776 = 0.00644; 0.00644 t / sqrt(n) < 0.006 from 7 seeds on
    assert said(1.004, 0.008) == ("undecided", "reproduced", 7)
    assert said(1.02, 0.008).verdict == "contradicted"
    assert said(1.0, None).verdict == "not testable at this scale"
    # where signs are not asked for they do not count
    wrong = replace(good, sign=Estimate([0.5] * 5, 0.5, 0.01))
    assert holds(wrong, rules.HOLDS).verdict == "contradicted"
    assert holds(wrong, rules.HOLDS_ELSEWHERE).verdict == "reproduced"


def test_rules_in_words() -> None:
    assert Setting(0.99, 0.05).rule == (
        "95 % intervals from state to state: R² above 0.99, slope within 0.05 of 1"
    )
    assert rules.HOLDS.rule.endswith(
        "R² above 0.999, slope within 0.01 of 1 and the same sign at more than 99 % of the states"
    )


def found(**changed: Estimate) -> Dissected:
    """Every row as good as can be, but for some numbers of those that cost."""
    (good, bad) = measure_rows((REFERENCE, WORSE), runs())
    rows = [
        replace(good, row=row, lost=bad.lost, **(changed if row.costs else {}))
        for row in rules.ROWS
    ]
    return Dissected(tuple(rows), None)


def test_claims_read_the_rows_that_they_name() -> None:
    low = Estimate([0.5] * 5, 0.5, 0.01)
    judged = {claim.claim: claim.judge(found(r2=low)) for claim in CLAIMS}
    verdicts = [judgement.verdict for judgement in judged.values()]
    law = ["not testable at this scale"] * 2  # without runs
    assert verdicts == ["reproduced"] * (4 + 9) + law + ["reproduced"] * 2
    lemma = next(text for claim, (_, text) in judged.items() if claim.startswith("Lemma 1 asks"))
    assert lemma.count("R² 1.00000 ± 0.00000, slope 1.00000 ± 0.00000, same sign 100.0") == 4
    # one of four settings is enough to contradict
    rows = [
        replace(row, slope=Estimate([2.0] * 5, 2.0, 0.1))
        if row.row.label == "Lemma 1, Adam"
        else row
        for row in found().rows
    ]
    assert CLAIMS[3].judge(Dissected(tuple(rows), None)).verdict == "contradicted"
    nothing = [claim.judge(Dissected((), None)) for claim in CLAIMS]
    assert {each.verdict for each in nothing} == {"not testable at this scale"}


def test_means_of_held_out_prompts_stand_beside_the_training_prompts_prediction() -> None:
    states = made(0)
    sides = steps_of(states, HELD_OUT)
    training = states["theorem1"].reshape(10, 8)[:, :4].mean(1)
    assert np.allclose(sides.predicted_N, training) and (sides.realised_N == 0).all()
    assert len(states_of(states, HELD_OUT).predicted_N) == 40
    with pytest.raises(ValueError, match=r"TheoremCheck\.sampled"):
        agree(Sides(np.full(3, np.nan), np.ones(3)))


def test_a_row_may_be_held_against_another_than_the_first() -> None:
    worst = Row("worse still", "bad", "theorem1", True, reference=WORSE.label)
    _, worse, against = measure_rows((REFERENCE, WORSE, worst), runs())
    # of held-out prompts, which do not change, R² is 0
    assert against.lost is not None and against.lost.values == pytest.approx(worse.r2.values)
    for row in rules.ROWS:
        known = [each.label for each in rules.ROWS]
        assert row.reference in ("", *known[: known.index(row.label)])


def test_rows_without_runs_are_left_out() -> None:
    only = {"bad": runs()["bad"]}
    (bad,) = measure_rows((REFERENCE, WORSE), only)
    assert bad.row == WORSE and bad.lost is None


def test_the_table_holds_every_number() -> None:
    table = rows_table(measure_rows((REFERENCE, WORSE), runs()))
    assert table.rows[0] == ["none", "1.00000 ± 0.00000", "1.00000 ± 0.00000", "1.00 ± 0.00",
                             "1.00000 ± 0.00000", "1.00000 ± 0.00000", ""]  # fmt: skip
    assert table.rows[1][0] == "noise" and table.rows[1][6].startswith("0.")
    assert {len(row) for row in table.rows} == {len(table.header)} == {7}


def test_means_of_lemma_1_know_the_held_out_states() -> None:
    states = made(0) | {"delta": made(0)["theorem1"]}
    told = steps_of(states, replace(HELD_OUT, foretold_by_training=False))
    assert np.array_equal(told.predicted_N, told.realised_N)
    assert not np.array_equal(told.predicted_N, steps_of(states, HELD_OUT).predicted_N)


def test_the_law_of_made_runs() -> None:
    entropy_N = np.linspace(2.5, 1.0, 10)
    history = {
        "theorems/entropy": entropy_N,
        "theorems/reward": 0.9 - 0.05 * np.exp(entropy_N),
        "theorems/covariance": np.array([-1.0] + [1.0] * 9),
    }
    law = measure_law([history] * 3, [made(0)] * 3)
    assert law.a.mean == pytest.approx(0.05) and law.b.mean == pytest.approx(0.9)
    (line,) = law_table(law).rows
    assert line == ["R = -a exp(H) + b", "0.0500 ± 0.0000", "0.900 ± 0.000", "1.00000 ± 0.00000",
                    "90.0 ± 0.0 %", "100.0 ± 0.0 %"]  # fmt: skip
    judged = {claim.claim[:14]: claim.judge(Dissected((), law)) for claim in CLAIMS}
    assert judged["R = -a exp(H) "] == (
        ("reproduced", None, None),
        "R² 1.0000 ± 0.0000, a 0.0500 ± 0.0000",
    )
    assert judged["The covariance"].verdict == "contradicted"  # 90 % is not above 90 %
    wide = Dissected((), replace(law, r2=Estimate([0.95] * 3, 0.95, 0.06)))
    (open_,) = (c.judge(wide).measured for c in CLAIMS if c.claim.startswith("R = "))
    assert open_.endswith("; about 4 seeds would decide")


def test_the_figure_has_a_panel_a_shown_row_and_three_of_dots() -> None:
    states = runs()
    figure = anatomy_figure(measure_rows((REFERENCE, WORSE), states), (REFERENCE, WORSE), states)
    panels = figure.get_axes()
    assert len(panels) == 5
    assert [label.get_text() for label in panels[2].get_yticklabels()] == ["none", "noise"]
    assert panels[0].collections[0].get_offsets().shape == (200, 2)
    notes = [text.get_text() for text in panels[0].texts]
    assert notes == ["$R^2$ 1.00000, slope 1"]


def test_the_rules_are_whole() -> None:
    names = [cell.name for cell in rules.CELLS]
    assert len(set(names)) == len(names) == 12
    assert {row.condition for row in rules.ROWS} | {rules.LAW} == set(names)
    assert set(rules.SHOWN) <= set(rules.ROWS)
    assert len({row.label for row in rules.ROWS}) == len(rules.ROWS) == 24
    judged = set(range(rules.PLAN.first_seed, rules.PLAN.first_seed + rules.PLAN.seeds))
    assert len(judged) == 5 and not judged & {0, 1, 2, 3, 4, 100, 101}
    sampled = {row.condition for row in rules.ROWS if row.prediction == "sampled"}
    told = {cell.name for cell in rules.CELLS if "trainer.callbacks.sampled" in cell.overrides}
    assert sampled <= told


def test_runs_that_are_no_table_are_refused() -> None:
    other = Run("grpo", "GRPO", 0, {"step": np.arange(3.0)})
    with pytest.raises(MissingRunsError, match="no run has a label of"):
        measure_anatomy([other])
    with pytest.raises(ValueError, match=r"runs \['grpo'\] have no states.*TheoremCheck"):
        measure_anatomy([replace(other, label="table")])
    with pytest.raises(MissingRunsError, match=r"\['table', 'table_adam', 'table_sampled'"):
        draw_anatomy(
            [replace(other, label="table_small", states=made(0) | {"lemma1": made(0)["delta"]})]
        )
    assert ANATOMY.select([other]) == []


@pytest.mark.parametrize("cell", rules.CELLS, ids=lambda each: each.name)
def test_fit_accepts_every_cell(
    cell: Cell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run, *_) = plan([cell], budget.BUDGETS["smoke"])
    with pytest.raises(SystemExit) as end:
        main([*run.arguments(tmp_path, None), "--print_config"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert (
        said.count("lit_entropy.callbacks.theorem_check.TheoremCheck")
        + said.count("lit_entropy.callbacks.TheoremCheck")
        == 1
    )
    natural, sampled = (
        "natural" in cell.name,
        cell.name in ("table_sampled", "table_standardised"),
    )
    assert f"natural: {str(natural).lower()}" in said.split("TheoremCheck")[1]
    assert f"sampled: {str(sampled).lower()}" in said.split("TheoremCheck")[1]


def test_the_page_has_the_numbers_of_its_data() -> None:
    pages = Path(__file__).parents[2] / "docs" / "science"
    record = json.loads((pages / "anatomy.json").read_text())
    section = record["figures"]["anatomy"]
    text = (pages / "anatomy.md").read_text()
    for row, shown in zip(section["measures"]["rows"], rules.ROWS, strict=True):
        found = {name: Estimate(**row[name]) for name in ("r2", "slope", "step_r2", "step_slope")}
        r2, step_r2 = (
            digits(found[f"{side}r2"]) + opposed(row[f"{side}opposed"], 5) for side in ("", "step_")
        )
        assert f"| {shown.label} | {r2} | {digits(found['slope'])} | " in text
        assert f"| {step_r2} | {digits(found['step_slope'])} | " in text
    assert {claim["verdict"] for claim in section["claims"]} == {"reproduced"}
    assert [claim["rule"] for claim in section["claims"]] == [claim.rule for claim in CLAIMS]
    assert record["setting"].split("Rules ")[1][:12] in text


@pytest.mark.slow
def test_it_is_built_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell for a few RL steps: report and figure; the second time nothing."""
    small = replace(budget.BUDGETS["quick"], own={"table": Plan(1, 4, 100)})
    monkeypatch.setitem(budget.BUDGETS, "quick", small)
    page = reproduce(main, figures="anatomy", jobs=2, output=str(tmp_path))
    record = json.loads(page.with_suffix(".json").read_text())
    (section,) = record["figures"].values()
    assert [row["row"]["label"] for row in section["measures"]["rows"]] == [
        row.label for row in rules.ROWS
    ]
    assert section["measures"]["rows"][0]["r2"]["mean"] > 0.999
    assert {claim["verdict"] for claim in section["claims"]} == {
        "not judged: 1 of 5 seeds, 4 of 30 RL steps"
    }
    assert (tmp_path / "figures" / "figure_anatomy.png").is_file()
    before = page.read_bytes()
    reproduce(main, figures="anatomy", jobs=2, output=str(tmp_path))
    assert page.read_bytes() == before
