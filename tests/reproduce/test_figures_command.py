"""``lit-entropy figures`` on run folders and exports, and what ``reproduce`` refuses at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reproduce.made_runs import STEPS, config, history, write_run, write_table

from lit_entropy.cli.main import main
from lit_entropy.figures import entries, style
from lit_entropy.figures.comparison import DISTRIBUTIONS
from lit_entropy.figures.history import load_run
from lit_entropy.reproduce.command import figures, report_of, reproduce
from lit_entropy.reproduce.selection import load_others


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few pixels, which is where the time goes."""
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)


@pytest.fixture(autouse=True)
def planned_as_long_as_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PLANNED", entries.Plan(seeds=3, steps=STEPS))


def folders(place: Path, seeds: int = 2, name: str = "run", **changes: Any) -> list[str]:
    """Runs that obey the law with a = 0.5."""
    return [
        str(write_run(place / f"{name}-{seed}", history(seed), config(seed=seed, **changes)))
        for seed in range(seeds)
    ]


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def test_the_command_line_draws_run_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, output = folders(tmp_path), tmp_path / "deep" / "figures"
    main(["figures", *runs, "--output", str(output), "--only", "3, 1"])
    report = record(output)
    assert list(report["figures"]) == ["1", "3"]
    law = report["figures"]["3"]["measures"]
    assert law["seeds"] == [0, 1] and law["a"]["mean"] == pytest.approx(0.5, rel=1e-6)
    assert report["setting"] == "2 runs. GRPO: run-0, run-1."
    assert report["figures"]["3"]["claims"][0]["verdict"] == "not judged: 2 of 3 seeds"
    assert report["figures"]["3"]["commands"] == []
    assert {path.name for path in output.iterdir()} == {
        *(f"figure_{key}.{kind}" for key in "13" for kind in ("png", "pdf")),
        "report.html",
        "report.json",
    }
    said = capsys.readouterr().out.splitlines()
    assert said == ["Fig. 1: drawn", "Fig. 3: drawn", f"report: {output / 'report.html'}"]


def test_labels_on_the_command_line(tmp_path: Path) -> None:
    runs = folders(tmp_path, advantage="RLOO")
    output = tmp_path / "figures"
    labels = '{"run-0": "GRPO", "run-1": "GRPO"}'
    main(["figures", *runs, "--output", str(output), "--only", "3", "--labels", labels])
    assert record(output)["figures"]["3"]["measures"]["seeds"] == [0, 1]


def test_exports_by_label_give_the_numbers_of_the_folders(tmp_path: Path) -> None:
    runs = folders(tmp_path)
    exports = []
    for seed in range(2):
        columns = {"_step" if key == "step" else key: v for key, v in history(seed).items()}
        exports.append(str(write_table(tmp_path / f"wandb-seed{seed}.csv", columns)))
    labels = {"wandb-seed0": "GRPO", "wandb-seed1": "GRPO"}
    figures(exports, str(tmp_path / "from exports"), labels, only="3")
    figures(runs, str(tmp_path / "from folders"), only="3")
    measures = [
        record(tmp_path / f"from {kind}")["figures"]["3"]["measures"]
        for kind in ("exports", "folders")
    ]
    assert measures[0] == measures[1]
    # a folder and an export together: neither is left out
    figures([runs[0], exports[1]], str(tmp_path / "mixed"), {"wandb-seed1": "GRPO"}, only="3")
    assert record(tmp_path / "mixed")["figures"]["3"]["measures"] == measures[0]


def test_the_export_of_a_chart_goes_by_the_metrics_alone(tmp_path: Path) -> None:
    columns: dict[str, np.ndarray] = {}
    for key, values in history(0).items():
        if key in ("step", "val/accuracy", "entropy/token_mean"):
            columns["Step" if key == "step" else f"my run - {key}"] = values
            if key != "step":
                columns |= {f"my run - {key}__{end}": 0 * values for end in ("MIN", "MAX")}
    file = write_table(tmp_path / "chart.csv", columns)
    figures([str(file)], str(tmp_path / "out"), {"chart": "GRPO"}, only="3")
    law = record(tmp_path / "out")["figures"]["3"]["measures"]
    assert law["b"]["mean"] == pytest.approx(1.25, rel=1e-6)


def test_without_only_the_figures_that_lack_runs_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = folders(tmp_path, seeds=1, advantage="RLOO")
    assert figures([run]) == Path("figures/report.html")
    drawn = ["1", "2", "3", "5", "8", "dynamics", "table-1", "11"]
    assert list(record(tmp_path / "figures")["figures"]) == drawn
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == "report: figures/report.html"
    assert len(lines) == 22 and sum("Not drawn: " in line for line in lines) == 14
    assert "no run has label ['entropy bonus'] (labels: ['RLOO'])" in "".join(lines)


def test_a_figure_that_was_asked_for_says_what_is_lacking(tmp_path: Path) -> None:
    figures(folders(tmp_path, seeds=1), str(tmp_path / "out"), only="table-2")
    problem = record(tmp_path / "out")["figures"]["table-2"]["problem"]
    assert problem.startswith("Not drawn: no run has label ['clip-higher', 'Clip-Cov', 'KL-Cov']")
    assert "clip-higher" in (tmp_path / "out" / "report.html").read_text()


def test_a_figure_says_which_experiment_makes_its_runs(tmp_path: Path) -> None:
    """Also where it is about another task, or has another name for the runs that are there."""
    figures(folders(tmp_path, seeds=1), str(tmp_path / "out"), only="4,13")
    found = record(tmp_path / "out")["figures"]
    assert found["4"]["problem"] == (
        "Not drawn: all runs are of another task or model; for such runs see "
        "configs/experiment/grpo_countdown.yaml"
    )
    ten, six = DISTRIBUTIONS
    assert found["13"]["problem"] == (
        f"Not drawn: no run has label ['{six}'] (labels: ['{ten}']); for such runs see "
        f"configs/experiment/grpo_short.yaml; here '{ten}' is GRPO"
    )


def test_what_is_unknown_is_named_before_anything_is_written(tmp_path: Path) -> None:
    runs, output = folders(tmp_path), tmp_path / "out"
    with pytest.raises(ValueError, match=r"labels=\['run-7'\]: the runs are \['run-0', 'run-1'\]"):
        figures(runs, str(output), {"run-7": "GRPO", "run-1": "GRPO"})
    with pytest.raises(ValueError, match=r"only=\['14'\]: choose of 1, 2, .*controls"):
        figures(runs, str(output), only="3,14")
    with pytest.raises(ValueError, match="runs is empty"):
        figures([], str(output))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        figures([str(tmp_path / "nowhere")], str(output))
    assert not output.exists()


def test_any_labels_are_laid_over_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grpo = folders(tmp_path, seeds=3)
    mine = folders(tmp_path, seeds=2, name="mine", loss="MyLoss", lr=1.0)
    flat = history(0) | {"entropy/token_mean": np.full(STEPS + 1, 0.5)}
    folder = write_run(tmp_path / "flat-0", flat, config(loss="Flat", lr=1.0))
    figures([*grpo, *mine, str(folder)], str(tmp_path / "out"), only="1,2,6")
    found = record(tmp_path / "out")["figures"]
    assert list(found["1"]["by_label"]) == ["GRPO", "MyLoss", "Flat"]
    assert found["1"]["by_label"]["MyLoss"]["entropy_lost"]["mean"] == pytest.approx(
        0.904, abs=1e-3
    )
    # the paper's claim is judged on its own label, three seeds of which are there
    assert [claim["verdict"] for claim in found["1"]["claims"]] == ["reproduced"]
    assert found["1"]["measures"]["label"] == "GRPO"
    # what a label cannot show is left out and said
    assert list(found["2"]["by_label"]) == ["GRPO", "MyLoss"]
    why = "run 'flat-0': 'entropy/token_mean' does not fall from its first to its last value"
    assert found["2"]["left_out"]["Flat"].startswith(why)
    assert f"  without Flat: {why}" in capsys.readouterr().out
    assert "Flat is left out: run" in (tmp_path / "out" / "report.html").read_text()
    # a comparison of four algorithms is not judged on one of them
    verdicts = [claim["verdict"] for claim in found["6"]["claims"]]
    assert len(verdicts) == 1 and verdicts[0].startswith("not judged: Fig. 6 compares at least two")
    law = found["6"]["by_label"]["MyLoss"]
    assert law["seeds"] == [0, 1] and law["a"]["half_width"] is None


def test_own_labels_alone_have_no_claims_of_the_paper(tmp_path: Path) -> None:
    mine = folders(tmp_path, seeds=3, loss="MyLoss", lr=1.0)
    figures(mine, str(tmp_path / "out"), only="1,3")
    for figure in record(tmp_path / "out")["figures"].values():
        assert figure["claims"] == [] and list(figure["by_label"]) == ["MyLoss"]


def test_patterns_and_a_label_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders(tmp_path, name="a")
    folders(tmp_path, name="b")
    (tmp_path / "b-notes").mkdir()
    patterns, output = [str(tmp_path / "a-*"), str(tmp_path / "b-*")], str(tmp_path / "out")
    main(["figures", *patterns, "--labels", '["old", "new"]', "--output", output, "--only", "1"])
    old, new = record(tmp_path / "out")["figures"]["1"]["by_label"].values()
    assert (old["label"], old["seeds"], new["label"], new["seeds"]) == ("old", 2, "new", 2)
    assert f"{patterns[1]}: without metrics.csv, so no runs: b-notes" in capsys.readouterr().out
    # the same by patterns of names
    figures(patterns, str(tmp_path / "again"), {"a-*": "old", "*": "new"}, only="1")
    pages = [(tmp_path / name / "report.json").read_text() for name in ("out", "again")]
    assert pages[0] == pages[1]
    with pytest.raises(FileNotFoundError, match=r"c-\* matches no run folder with metrics.csv"):
        figures([str(tmp_path / "c-*")], output)
    with pytest.raises(ValueError, match=r"labels=\['old'\] are 1 for 2 arguments: give one for"):
        figures(patterns, output, ["old"])


@pytest.mark.parametrize("key", ["checkpoints", "verbose", "return_predictions"])
def test_an_evaluation_is_no_training_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """The folders of validate, test and predict lie beside the run and begin with its name."""
    folders(tmp_path, name="a")
    evaluation = write_run(tmp_path / "a-0-validate-last", history(0), config(seed=0) | {key: None})
    pattern, output = str(tmp_path / "a-*"), str(tmp_path / "out")
    figures([pattern], output, only="3")
    assert record(tmp_path / "out")["setting"] == "2 runs. GRPO: a-0, a-1."
    said = capsys.readouterr().out
    assert f"{pattern}: evaluations, so no runs: a-0-validate-last\n" in said
    for named in (evaluation, evaluation / "metrics.csv"):
        with pytest.raises(ValueError, match="holds the evaluation of a run, not its training"):
            figures([str(named)], output)


def test_two_runs_of_one_label_and_seed_are_refused(tmp_path: Path) -> None:
    runs = [*folders(tmp_path, seeds=1, name="a"), *folders(tmp_path, seeds=1, name="b")]
    with pytest.raises(ValueError) as error:
        figures(runs, str(tmp_path / "out"))
    assert str(error.value) == (
        "runs 'a-0' and 'b-0' both are seed 0 of 'GRPO': give them labels, "
        """--labels '{"b-0": "another name"}' say, or leave one out"""
    )
    figures([*runs, *runs], str(tmp_path / "out"), {"b-0": "another"}, only="1")  # named twice


def test_runs_of_one_label_that_differ_in_more_than_the_seed_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [*folders(tmp_path, name="a"), *folders(tmp_path, seeds=1, advantage="RLOO")]
    other = config(seed=2) | {"run": {"name": "b"}, "trainer": {"max_epochs": 20, "logger": None}}
    runs.append(str(write_run(tmp_path / "b", history(2), other)))
    figures(runs, str(tmp_path / "out"), only="1")
    remark = (
        "'GRPO' has runs of other settings, averaged as one: trainer.max_epochs (40, 20); if they "
        "are not one, give each its label, --labels"
    )
    assert capsys.readouterr().out.splitlines()[0] == remark
    groups = "GRPO: a-0, a-1, b; RLOO: run-0"
    assert record(tmp_path / "out")["setting"] == f"4 runs. {groups}. {remark}."
    figures(runs, str(tmp_path / "own"), {"b": "half"}, only="1")
    assert "other settings" not in capsys.readouterr().out
    assert record(tmp_path / "own")["setting"].endswith("GRPO: a-0, a-1; RLOO: run-0; half: b.")


def test_a_metrics_file_goes_by_the_name_of_its_folder(tmp_path: Path) -> None:
    files = [f"{run}/metrics.csv" for run in folders(tmp_path, advantage="RLOO")]
    figures(files, str(tmp_path / "out"), {"run-0": "GRPO", "run-1": "GRPO"}, only="3")
    assert record(tmp_path / "out")["figures"]["3"]["measures"]["seeds"] == [0, 1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"figures": "8, 99"}, r"figures='99': choose of 1, 2"),
        ({"jobs": -1}, r"jobs=-1: give 1 or more runs at a time, or 0 to train none"),
        ({"archive": "none/here"}, r"archive=none/here holds no \*.tar.xz: name a folder that"),
    ],
)
def test_reproduce_refuses_before_it_makes_anything(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    output = tmp_path / "out"
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        reproduce(main, budget="smoke", output=str(output), **arguments)
    assert not output.exists()


def test_a_run_counts_once_in_the_table_of_claims_by_rung(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs that are named and archived as well, or planned, and others of one label and seed."""
    beside = [load_run(Path(path)) for path in folders(tmp_path, seeds=3, name="own-seed")]
    reports = []
    for name, runs in (("once", beside), ("twice", [*beside, *map(replace, beside)])):
        (tmp_path / name).mkdir()
        report_of([], tmp_path / name, ["3"], "tiny", "smoke", beside=runs)
        reports.append((tmp_path / name / "report-3.json").read_text())
    assert reports[0] == reports[1] and "reproduced" in reports[0]
    said = capsys.readouterr().out
    assert said.count("is there twice: it counts once in the table of claims by rung") == 3
    # the same label and seed, of another name
    other = [replace(run, name=f"other-seed{run.seed}") for run in beside]
    report_of([], tmp_path / "twice", ["3"], "tiny", "smoke", beside=[*beside, *other])
    assert "others of several settings" in (tmp_path / "twice" / "report-3.json").read_text()


def test_others_that_no_rung_has_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [*folders(tmp_path), *folders(tmp_path, name="sums-seed", task="Sums")]
    reproduce(main, "tiny", "smoke", "3", jobs=0, output=str(tmp_path / "out"), others=runs)
    said = capsys.readouterr().out
    assert "no rung has sums-seed{-0,-1}: of another task, so not in the table of claims\n" in said


def test_others_may_be_of_any_settings(tmp_path: Path) -> None:
    runs = [*folders(tmp_path, name="a"), *folders(tmp_path, name="b")]
    assert [run.name for run in load_others([*runs, runs[0]], print)] == [
        "a-0",
        "a-1",
        "b-0",
        "b-1",
    ]


def test_other_coefficients_are_no_further_seeds(tmp_path: Path) -> None:
    runs = [
        str(write_run(tmp_path / f"kl-{coef:g}-{seed}", history(seed),
                      config(loss="KLCov", seed=seed, kl_coef=coef)))
        for coef, seed in ((1.0, 0), (1.0, 1), (2.0, 2), (2.0, 3))
    ]  # fmt: skip
    figures([*folders(tmp_path), *runs], str(tmp_path / "out"), only="1")
    found = record(tmp_path / "out")["figures"]["1"]
    assert list(found["by_label"]) == ["GRPO"]
    why = "label 'KL-Cov' has runs of 1, 2: give each of these settings its label, --labels"
    assert found["left_out"] == {"KL-Cov": why}
    labels = {"kl-1-*": "one", "kl-2-*": "two"}
    figures([*folders(tmp_path), *runs], str(tmp_path / "own"), labels, only="1")
    assert list(record(tmp_path / "own")["figures"]["1"]["by_label"]) == ["GRPO", "one", "two"]
