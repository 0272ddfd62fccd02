"""What cannot be archived, or is no archive: one line that names the file and the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reproduce.made_runs import config, finish, history, write_run

from lit_entropy.cli.main import main
from lit_entropy.jobs.record import record_of
from lit_entropy.reproduce.archive import _packed, archive, write_archive
from lit_entropy.reproduce.archived import is_archived, read_archive, unpacked
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.command import figures, reproduce
from lit_entropy.reproduce.jobs import PlannedRun, cells_of, plan

WHOLE = {"config.yaml": b"a: 1", "metrics.csv": b"step\n1\n"}


def silent(line: str) -> None:
    """Says nothing."""


def planned_run() -> PlannedRun:
    return plan(cells_of(ENTRIES, ["8"]), BUDGETS["smoke"])[0]


def test_a_last_line_that_was_cut_short_is_not_archived(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "mine-seed0", history(0), config())
    (whole,) = write_archive([folder], tmp_path / "whole", silent)
    with (folder / "metrics.csv").open("a") as file:
        file.write("41,0.1")
    (cut,) = write_archive([folder], tmp_path / "cut", silent)
    assert cut.read_bytes() == whole.read_bytes()
    lines = read_archive(cut)["mine-seed0"]["metrics.csv"].decode().splitlines()
    assert len(lines) == 42 and lines[-1].startswith("40,")


@pytest.mark.parametrize(
    "part, value, reason",
    [
        ("trainer", {"max_epochs": None}, ": trainer.max_epochs=None does not say when the run is"),
        ("trainer", {"max_epochs": -1}, ": trainer.max_epochs=-1 does not say when the run is"),
        ("trainer", {"max_epochs": "x"}, ": trainer.max_epochs=x does not say when the run is"),
        ("trainer", {"max_epochs": True}, ": trainer.max_epochs=True does not say when the run"),
        ("trainer", {}, " is not the configuration of a run: no 'max_epochs'; name a folder of"),
        ("trainer", None, " is not the configuration of a run: no 'max_epochs'; name a folder of"),
        ("run", None, " is not the configuration of a run: run=None; write keys there, or remove"),
    ],
)
def test_a_configuration_of_no_finished_run_is_refused(
    tmp_path: Path, part: str, value: Any, reason: str
) -> None:
    folder = write_run(tmp_path / "mine-seed0", history(0), config() | {part: value})
    with pytest.raises(ValueError) as error:
        write_archive([folder], tmp_path / "archive", silent)
    assert str(error.value).startswith(f"{folder / 'config.yaml'}{reason}")


@pytest.mark.parametrize(
    "name, content, reason",
    [
        (
            "done.json",
            "{}",
            "is damaged (settings=None, no words): leave the run out, or train it again",
        ),
        (
            "metrics.csv",
            "step,cov/mean\n40,abc\n",
            "is no table of numbers (could not convert string to float: 'abc'): leave it out",
        ),
    ],
)
def test_damaged_files_of_a_run_are_named(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    folder = write_run(tmp_path / "mine-seed0", history(0), config())
    (folder / name).write_text(content)
    with pytest.raises(ValueError) as error:
        write_archive([folder], tmp_path / "archive", silent)
    assert str(error.value) == f"{folder / name} {reason}"


@pytest.mark.parametrize("below", ["", "a/b"])
def test_an_output_that_is_a_file_is_refused_first(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    output = str(file / below)
    commands = (
        lambda: archive(["no/run"], output),
        lambda: figures(["no/run"], output),
        lambda: reproduce(main, budget="smoke", jobs=0, output=output, others=["no/run"]),
    )
    for command in commands:
        with pytest.raises(ValueError) as error:
            command()
        assert str(error.value) == (
            f"--output {output}: {file} is no folder; name another one, or move it away"
        )


def test_a_folder_named_as_an_archive_is_none(tmp_path: Path) -> None:
    (tmp_path / "mine.tar.xz").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.tar\.xz"), unpacked(tmp_path):
        pass
    (tmp_path / "other.tar.xz").write_bytes(_packed({"other-seed1": WHOLE}))
    with unpacked(tmp_path) as folder:
        assert [path.name for path in folder.iterdir()] == ["other-seed1"]
    run = write_run(tmp_path / "mine-seed0", history(0), config())
    with pytest.raises(ValueError) as error:
        write_archive([run], tmp_path, silent)
    assert str(error.value) == (
        f"{tmp_path / 'mine.tar.xz'} is a folder: move it away, or name another --output"
    )


@pytest.mark.parametrize(
    "files, reason",
    [
        ({"config.yaml": b"a: 1"}, "the run own-seed0 has no metrics.csv"),
        ({"metrics.csv": b"step\n1\n"}, "the run own-seed0 has no config.yaml"),
        ({**WHOLE, "done.json": b"{}"},
         "done.json of own-seed0 is damaged (settings=None, no words)"),
    ],
)  # fmt: skip
def test_an_archived_run_without_its_files_is_refused(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    path = tmp_path / "x.tar.xz"
    path.write_bytes(_packed({"own-seed0": files}))
    with pytest.raises(ValueError) as error, unpacked(tmp_path):
        pass
    assert str(error.value) == (
        f"{path}: {reason}: write it again with `lit-entropy archive`, or move it away"
    )


def test_an_archived_run_is_known_whatever_the_environment_hides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned_run()
    older, newer = (tmp_path / name / run.name for name in ("older", "newer"))
    for folder in (older, newer):
        finish(run, folder.parent)
    monkeypatch.setenv("METHOD", "policy_gradient")  # its experiment
    (newer / "done.json").write_bytes(record_of(run).as_json())
    assert "<redacted>" in json.loads((newer / "done.json").read_text())["settings"]
    with unpacked_of(older, tmp_path / "a") as folder:
        assert is_archived(run, folder)
    with unpacked_of(newer, tmp_path / "b") as folder:
        assert is_archived(run, folder)
    record = json.loads((newer / "done.json").read_text())
    del record["settings_sha256"]  # an older record that hides a setting: not known to be the same
    (newer / "done.json").write_text(json.dumps(record))
    with unpacked_of(newer, tmp_path / "c") as folder:
        assert not is_archived(run, folder)


def unpacked_of(run: Path, output: Path) -> Any:
    write_archive([run], output, silent)
    return unpacked(output)
