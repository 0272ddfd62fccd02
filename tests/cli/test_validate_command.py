"""``lit-entropy validate`` and ``compare`` through the real command line."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from runs import CONFIGS, NAMED, SMALL, metrics
from shared_launch import SAMPLED, Launched, last

from lit_entropy.cli.main import main
from lit_entropy.cli.names import evaluation_name
from lit_entropy.cli.options import RunOptions
from lit_entropy.cli.validate import Target, targets
from lit_entropy.reproduce.selection import load_runs

NAME = "quickstart-seed0"
OPTIONS = [
    "--config", str(CONFIGS / "quickstart.yaml"),
    *(option for option in SMALL if not option.startswith("--checkpoint")), *SAMPLED,
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two RL steps with a checkpoint after each; its parent is where runs lie."""
    folder = tmp_path_factory.mktemp("validate")
    options = ["--checkpoint.every_n_epochs=1", "--checkpoint.save_top_k=-1"]
    main(["fit", *OPTIONS, *options, "--trainer.callbacks=null", f"--run.folder={folder}"])
    assert (folder / NAME / "checkpoints" / "rl_step_00001.ckpt").exists()
    return folder / NAME


def validate(run: Path, *arguments: str, name: str = "validate") -> Path:
    """The folder of a call."""
    cli = main(["validate", *OPTIONS, f"--run.folder={run.parent}", *arguments])
    folder = Path(cli.trainer.log_dir)
    assert folder.name.startswith(f"{NAME}-{name}")
    for suffix in ("json", "md", "png", "pdf"):
        assert (folder / f"validation.{suffix}").stat().st_size > 0
    return folder


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "validation.json").read_text())


def checkpoint(run: Path, step: int) -> str:
    return str(run / "checkpoints" / f"rl_step_{step:05d}.ckpt")


@pytest.fixture(scope="module")
def singles(run: Path) -> list[Path]:
    """Validations of RL step 2, of the base, and of RL step 1."""
    chosen = [["--ckpt_path", checkpoint(run, 2)], [], ["--ckpt_path", checkpoint(run, 1)]]
    return [validate(run, *arguments) for arguments in chosen]


def test_several_checkpoints_equal_single_calls(
    run: Path, singles: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = checkpoint(run, 1), checkpoint(run, 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(dirpath has changed|something else).*")
        folder = validate(run, "--checkpoints", f"[{two}, base, {one}]")
    found = report(folder)
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "validate-base.jsonl", *(f"validate-{NAME}-rl_step_0000{n}.jsonl" for n in (1, 2)),
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "## Paired differences" in printed and "validation.md" in printed
    assert [(p["name"], p["rl_step"]) for p in found["policies"]] == [
        (f"{NAME}/rl_step_00002", 2), ("base", 0), (f"{NAME}/rl_step_00001", 1),
    ]  # fmt: skip
    alone = [report(folder) for folder in singles]
    for several, single in zip(found["policies"], alone, strict=True):
        assert several == single["policies"][0]
        assert single["prompts"] == found["prompts"] and single["differences"] == []
    assert found["policies"][0]["problems"] != found["policies"][1]["problems"]  # it has learned
    assert [row["policy"] for row in found["checking"]] == [p["name"] for p in found["policies"]]
    for row in [*found["checking"], *(single["checking"][0] for single in alone)]:
        assert row["responses"] == 10 * (1 + 4) and row["seconds"] > 0
    assert "## Checking of answers" in printed and "| base | 50 | " in printed
    assert {row["against"] for row in found["differences"]} == {f"{NAME}/rl_step_00002"}
    # and a comparison of the separate reports says what one call says
    main(["compare", *map(str, singles), "--output", str(tmp_path / "out")])
    compared = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert compared["differences"] == found["differences"] != []


def test_a_single_validation_is_logged_as_it_is_reported(run: Path, singles: list[Path]) -> None:
    found = report(singles[0])
    values = metrics(run.parent, singles[0].name)
    reported = found["policies"][0]["metrics"]
    logged = {key.removeprefix("val/"): column[-1] for key, column in values.items()}
    assert {key: logged[key] for key in reported} == pytest.approx(reported, abs=1e-12)
    # and as the fit logged it, after the same RL step
    fitted = metrics(run.parent, NAME)
    assert fitted["val/avg@4"][-1] == pytest.approx(reported["avg@4"], abs=1e-12)
    n = len(found["policies"][0]["problems"])
    assert n == found["prompts"]["count"] == 10


def test_it_is_named_after_the_run_that_it_validates(run: Path) -> None:
    """Not after the configuration, here of another loss."""
    unnamed = [option for option in OPTIONS if option != NAMED]
    options = [*unnamed, f"--run.folder={run.parent}", "--model.loss=PolicyGradient"]
    cli = main(["validate", *options, "--ckpt_path", checkpoint(run, 1)])
    assert Path(cli.trainer.log_dir).name == f"{NAME}-validate-rl_step_00001"
    with pytest.raises(ValueError, match="holds the evaluation of a run"):
        load_runs([cli.trainer.log_dir], None, print)


def test_names_of_evaluations(tmp_path: Path) -> None:
    for name in ("group/a", "b"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "config.yaml").touch()
    a, last, b, stray = (
        str(tmp_path / path)
        for path in ("group/a/checkpoints/x.ckpt", "group/a/checkpoints/last.ckpt",
                     "b/checkpoints/x.ckpt", "stray/checkpoints/x.ckpt")
    )  # fmt: skip
    options = RunOptions(str(tmp_path), "mine")

    def named(*checkpoints: str, explicit: bool = False) -> str:
        return evaluation_name(options, "test", checkpoints, explicit)

    assert named(a) == "group/a-test-x"
    assert named(a, last) == "group/a-test"  # which ones stands in the report
    assert named() == named(a, b) == named(stray) == named(b, explicit=True) == "mine-test"
    assert evaluation_name(RunOptions("elsewhere", "mine"), "test", [a], False) == "a-test-x"


def test_an_earlier_validation_is_kept(
    run: Path, singles: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.parent.glob(f"{NAME}-validate*/validation.*")}
    newest = validate(run)
    printed = capsys.readouterr().out
    assert (newest / "validation.md").read_text() in printed  # one policy's table, as of several
    assert f"report: {newest / 'validation.md'}" in printed and "Validate metric" not in printed
    after = list(run.parent.glob(f"{NAME}-validate*/validation.*"))
    assert len(after) == len(before) + 4 >= 4 * len(singles)
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--checkpoints=[base, nowhere.ckpt]"], FileNotFoundError, "nowhere.ckpt"),
        (["--checkpoints=[base, base]"], ValueError, "names a policy twice"),
        (["--checkpoints=[]"], ValueError, "names no policy"),
        (["--checkpoints=[base]", "--ckpt_path=x.ckpt"], ValueError, "give one of them"),
    ],
)
def test_mistakes_end_before_anything_is_built(
    tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        main(["validate", *OPTIONS, f"--run.folder={tmp_path}", *arguments])
    assert list(tmp_path.iterdir()) == []


def test_targets_and_their_names(tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two", "other/one"):
        path = tmp_path / folder / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True)
        path.touch()
        files.append(str(path))
    found = targets([files[1], "base", "last"], None, tmp_path / "one")
    assert found == [
        Target("two/last", files[1]), Target("base", None), Target("one/last", files[0]),
    ]  # fmt: skip
    # equal short names are told apart by the path
    found = targets([files[0], files[2]], None, tmp_path)
    assert [target.name for target in found] == [files[0], files[2]]
    assert targets(None, None, tmp_path) == [Target("base", None)]
    assert targets(None, files[0], tmp_path) == [Target("one/last", files[0])]


def test_two_ranks_report_as_one(tmp_path: Path, on_two_ranks: Launched) -> None:
    trained = last(on_two_ranks.folder("three"))
    one = report(validate(tmp_path / "no-run", "--checkpoints", f"[base, {trained}]"))
    (folder,) = on_two_ranks.folder("validated").iterdir()
    two = report(folder)
    assert two["prompts"] == one["prompts"]
    assert [row["responses"] for row in two["checking"]] == [50, 50]  # of both ranks
    for first, second in zip(one["policies"], two["policies"], strict=True):
        assert first["name"] == second["name"]
        for own, other in zip(first["problems"], second["problems"], strict=True):
            assert other == own | {
                "entropy_total": pytest.approx(own["entropy_total"], rel=1e-4),
            }
