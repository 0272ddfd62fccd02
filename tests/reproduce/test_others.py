"""Further runs in the table of claims by rung: each once, and none that vanishes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reproduce.made_runs import config, finish, history, write_run

from lit_entropy.cli.main import main
from lit_entropy.figures import style
from lit_entropy.figures.history import load_run
from lit_entropy.figures.runs import Run
from lit_entropy.reproduce.archive import write_archive
from lit_entropy.reproduce.archived import distinct, in_short, unpacked
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.command import reproduce
from lit_entropy.reproduce.jobs import PlannedRun, cells_of, plan

RUNG = "rung 2: SmolLM2-135M"


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)


def silent(line: str) -> None:
    """Says nothing."""


def planned(*figures: str) -> list[PlannedRun]:
    return plan(cells_of(ENTRIES, figures), BUDGETS["smoke"])


def some_run(folder: Path, seed: int = 1) -> Run:
    return load_run(write_run(folder / f"own-seed{seed}", history(seed), config(seed=seed)))


def test_planned_runs_that_are_named_as_well_count_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = planned("13")
    for run in runs:
        finish(run, tmp_path / "runs")
    tables = []
    for others in (None, [str(tmp_path / "runs" / "*")]):
        page = reproduce(
            main, budget="smoke", figures="13", jobs=0, output=str(tmp_path), others=others
        )
        tables.append(json.loads(page.with_suffix(".json").read_text())["rungs"])
    assert tables[0] == tables[1]
    said = capsys.readouterr().out
    assert said.count(" is there twice: it counts once in the table of claims by") == len(runs)


def test_the_first_of_two_equal_runs_stays(tmp_path: Path) -> None:
    run, lines = some_run(tmp_path), list[str]()
    again = replace(run, label="other", history=dict(run.history) | {"time/step": np.ones(41)})
    assert [each.label for each in distinct([run, again], lines.append)] == ["GRPO"]
    assert lines == ["own-seed1 is there twice: it counts once in the table of claims by rung"]
    seeds = [run, replace(run, seed=2), replace(run, name="own")]
    assert distinct(seeds, silent) == seeds
    write_archive([tmp_path / run.name], tmp_path / "archive", silent)
    with unpacked(tmp_path / "archive") as folder:
        rounded = load_run(folder / run.name)
    assert not np.array_equal(rounded.history["cov/mean"], run.history["cov/mean"], equal_nan=True)
    (kept,) = distinct([run, rounded], silent)
    assert kept is run


def test_two_different_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    run = some_run(tmp_path)
    for other in (
        replace(run, history=dict(run.history) | {"cov/mean": run.history["cov/mean"] * 1.001}),
        replace(run, history={key: column[:-1] for key, column in run.history.items()}),
        replace(run, history={"step": run.history["step"]}),
        replace(run, facts=dict(run.facts) | {"model": "chain-xs"}),
    ):
        with pytest.raises(ValueError) as error:
            distinct([run, other], silent)
        assert str(error.value) == (
            "two runs are named own-seed1 and differ: a run is known by its name, so leave one of "
            "them out of --others and --archive, or rename its folder"
        )


def test_archived_runs_of_a_sweep_count_and_unused_ones_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {run.name: run for run in planned("1", "8")}
    for run in runs.values():
        finish(run, tmp_path / "runs")
    outdated = tmp_path / "runs" / "grpo_long-seed1" / "done.json"
    outdated.write_text(json.dumps(json.loads(outdated.read_text()) | {"digest": "0"}))
    for seed in (1, 2):
        folder = tmp_path / "runs" / f"swept-seed{seed}"
        write_run(folder, history(seed), config(seed=seed, model="SmolLM2-135M"))
        (folder / "done.json").write_text('{"settings": ["--config", "x.yaml"], "digest": "a"}')
    write_archive(sorted((tmp_path / "runs").iterdir()), tmp_path / "archive", silent)
    page = reproduce(
        main, budget="smoke", figures="1", jobs=0,
        output=str(tmp_path / "out"), archive=str(tmp_path / "archive"),
    )  # fmt: skip
    said = capsys.readouterr().out
    assert f"1 of 2 runs are in {tmp_path / 'archive'}\n" in said
    assert (
        f"{tmp_path / 'archive'}: used nowhere, since not planned as they are: grpo_long-seed1, "
        "policy_gradient-seed{0,1}\n"
    ) in said
    table = json.loads(page.with_suffix(".json").read_text())["rungs"]
    column = table["columns"].index(RUNG)
    assert {row["cells"][column]["verdict"] for row in table["rows"]} == {
        "not judged: 2 of 4 seeds"
    }


def test_names_of_runs_in_short() -> None:
    names = ["b-seed0", "a-seed1", "a-seed10", "plain", "a-seed2"]
    assert in_short(names) == "a-seed{1,2,10}, b-seed0, plain"
