"""The anatomy: its rules, its numbers on made states, its table and figure, a tiny run of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lit_entropy.cli.main import main
from lit_entropy.figures.estimates import Estimate
from lit_entropy.laboratory import rules
from lit_entropy.laboratory.command import anatomy
from lit_entropy.laboratory.conditions import Row, planned_run
from lit_entropy.laboratory.figure import anatomy_figure
from lit_entropy.laboratory.measure import (
    Sides,
    States,
    agree,
    measure_law,
    measure_rows,
    states_of,
    steps_of,
)
from lit_entropy.laboratory.table import as_csv, as_markdown, law_lines, verdicts

REFERENCE, WORSE = Row("none", "good", "theorem1"), Row("noise", "bad", "theorem1")
HELD_OUT = Row("elsewhere", "good", "theorem1", held_out=True)


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
    said = verdicts([good, bad, elsewhere], rules.HOLDS)
    assert said == {"none": "holds", "noise": "costs R²", "elsewhere": "costs R²"}


def test_verdicts_are_those_of_the_intervals() -> None:
    (good,) = measure_rows((REFERENCE,), runs())

    def said(mean: float, half: float | None) -> str:
        slope = Estimate([mean] * 5, mean, half)
        return verdicts([replace(good, slope=slope)], rules.HOLDS)["none"]

    assert said(1.004, 0.005) == "holds"
    # deviation 0.008 sqrt(5) / 2.776 = 0.00644; 0.00644 t / sqrt(n) < 0.006 from 7 seeds on
    assert said(1.004, 0.008) == "undecided (about 7 seeds would decide)"
    assert said(1.02, 0.008) == "does not hold, no loss of R² told"
    assert said(1.0, None) == "not testable at this scale"


def test_means_of_held_out_prompts_stand_beside_the_training_prompts_prediction() -> None:
    states = made(0)
    sides = steps_of(states, HELD_OUT)
    training = states["theorem1"].reshape(10, 8)[:, :4].mean(1)
    assert np.allclose(sides.predicted_N, training) and (sides.realised_N == 0).all()
    assert len(states_of(states, HELD_OUT).predicted_N) == 40
    with pytest.raises(ValueError, match=r"TheoremCheck\.sampled"):
        agree(Sides(np.full(3, np.nan), np.ones(3)))


def test_rows_without_runs_are_left_out() -> None:
    only = {"bad": runs()["bad"]}
    (bad,) = measure_rows((REFERENCE, WORSE), only)
    assert bad.row == WORSE and bad.lost is None


def test_table_and_csv_hold_every_number() -> None:
    measured = measure_rows((REFERENCE, WORSE), runs())
    text = as_markdown(measured)
    assert "| none | 1.00000 ± 0.00000 | 1.00000 ± 0.00000 | 1.00 ± 0.00 |" in text
    lines = as_csv(measured).splitlines()
    assert lines[0] == "row,condition,prediction,held_out,number,seed,value"
    assert len(lines) == 1 + (6 + 7) * 7  # 6 numbers, and what is lost; 5 seeds, mean, half-width
    assert any(line.startswith("noise,bad,theorem1,False,lost,half_width,0.") for line in lines)


def test_the_law_of_made_runs() -> None:
    entropy_N = np.linspace(2.5, 1.0, 10)
    history = {
        "theorems/entropy": entropy_N,
        "theorems/reward": 0.9 - 0.05 * np.exp(entropy_N),
        "theorems/covariance": np.array([-1.0] + [1.0] * 9),
    }
    law = measure_law([history] * 3, [made(0)] * 3)
    assert law.a.mean == pytest.approx(0.05) and law.b.mean == pytest.approx(0.9)
    fitted, sign = law_lines(law, rules.LAW_R2, 0.95)
    assert "a 0.0500 ± 0.0000, b 0.900 ± 0.000" in fitted and fitted.endswith("holds.")
    assert "above 0 at 90.0 ± 0.0 %" in sign and "does not hold" in sign
    assert sign.endswith("foretells at 100.0 ± 0.0 %.")
    wide = replace(law, r2=Estimate([0.95] * 3, 0.95, 0.06))
    assert law_lines(wide, rules.LAW_R2, 0.95)[0].endswith(
        ": undecided (about 4 seeds would decide)."
    )


def test_the_figure_has_a_panel_a_shown_row_and_three_of_dots() -> None:
    found = runs()
    figure = anatomy_figure(measure_rows((REFERENCE, WORSE), found), (REFERENCE, WORSE), found)
    panels = figure.get_axes()
    assert len(panels) == 5
    assert [label.get_text() for label in panels[2].get_yticklabels()] == ["none", "noise"]
    assert panels[0].collections[0].get_offsets().shape == (200, 2)
    notes = [text.get_text() for text in panels[0].texts]
    assert notes == ["$R^2$ 1.00000, slope 1"]


def test_the_rules_are_whole() -> None:
    names = [each.name for each in rules.CONDITIONS]
    assert len(set(names)) == len(names)
    assert {row.condition for row in rules.ROWS} | {"law"} == set(names)
    assert set(rules.SHOWN) <= set(rules.ROWS) and len({r.label for r in rules.ROWS}) == 15
    assert not set(rules.SEEDS) & set(rules.TUNING_SEEDS) and len(rules.SEEDS) >= 5
    sampled = {row.condition for row in rules.ROWS if row.prediction == "sampled"}
    assert all(each.sampled for each in rules.CONDITIONS if each.name in sampled)


@pytest.mark.parametrize("condition", rules.CONDITIONS, ids=lambda each: each.name)
def test_fit_accepts_every_condition(
    condition: rules.Condition, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned_run(condition, 0, 1)
    with pytest.raises(SystemExit) as end:
        main([*run.arguments(tmp_path, None), "--print_config"])
    assert end.value.code == 0
    assert "TheoremCheck" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given, message",
    [
        ({"steps": 0}, "steps=0: give 1 or more"),
        ({"law_steps": 2}, "law_steps=2: the law needs 3 RL steps"),
        ({"jobs": 0}, "jobs=0: give 1 or more"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\]: give whole numbers, each once"),
    ],
)
def test_numbers_out_of_range(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anatomy(main, **given)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """Every condition for a few RL steps: table, CSV, JSON, figure; the second time nothing."""
    table = anatomy(main, seeds=[100], steps=3, law_steps=4, jobs=2, output=str(tmp_path))
    record = json.loads((tmp_path / "anatomy.json").read_text())
    assert [row["row"]["label"] for row in record["rows"]] == [row.label for row in rules.ROWS]
    assert record["rows"][0]["r2"]["mean"] > 0.999
    assert (tmp_path / "figures" / "anatomy.png").is_file()
    before = table.read_text()
    anatomy(main, seeds=[100], steps=3, law_steps=4, jobs=2, output=str(tmp_path))
    assert table.read_text() == before
