"""Archived runs: what figures read of finished ones, and the refusal of anything else."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reproduce.made_runs import (
    config,
    exact_history,
    finish,
    history,
    make,
    write_metrics,
    write_run,
)

from lit_entropy.cli.main import main
from lit_entropy.figures import style
from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.history import load_run
from lit_entropy.reproduce import archived as archived_runs
from lit_entropy.reproduce.archive import archive, write_archive
from lit_entropy.reproduce.archived import SUFFIX, is_archived, is_kept, unpacked, unplanned
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.jobs import PlannedRun, cells_of, plan
from lit_entropy.tracking.metrics_file import read_metrics
from lit_entropy.yaml_text import read_yaml


def silent(line: str) -> None:
    """Says nothing."""


def planned_runs(*figures: str) -> list[PlannedRun]:
    return plan(cells_of(ENTRIES, figures), BUDGETS["smoke"])


def finished_runs(place: Path, *figures: str) -> tuple[list[PlannedRun], list[Path]]:
    planned = planned_runs(*figures)
    for run in planned:
        finish(run, place)
    return planned, [place / run.name for run in planned]


def shake(folder: Path, seed: int) -> None:
    """Give a made run noise of 2 %: without any, residuals are 0 but for the last digits."""
    random, columns = np.random.default_rng(seed), read_metrics(folder)
    shaken = {"step": columns.pop("step")}
    for key, column in columns.items():
        shaken[key] = column * random.normal(1, 0.02, len(column))
    write_metrics(folder, shaken)


def close(first: Any, second: Any) -> bool:
    """Whether two JSON values are one to four digits; seven are archived, differences lose some.

    A sigmoid through the first points of a run is not determined by them: its errors are left out.
    """
    if isinstance(first, dict):
        keys = [key for key in first if not key.startswith("sigmoid")]
        return first.keys() == second.keys() and all(close(first[k], second[k]) for k in keys)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(close, first, second))
    if isinstance(first, float):
        return bool(np.isclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(first == second)


def test_every_figure_measures_an_archived_run_as_the_run_itself(tmp_path: Path) -> None:
    planned, folders = finished_runs(tmp_path / "runs")
    for number, folder in enumerate(folders):
        shake(folder, number)
    write_archive(folders, tmp_path / "archive", silent)
    of_settings = {run.cell.name for run in planned}
    assert {path.name for path in (tmp_path / "archive").iterdir()} == {
        f"{name}{SUFFIX}" for name in of_settings
    }
    measured = []
    with unpacked(tmp_path / "archive") as archived:
        assert unplanned(archived, of_settings) == []
        assert all(is_archived(run, archived) for run in planned)
        for place in (tmp_path / "runs", archived):
            loaded = [load_run(place / run.name, run.cell.label) for run in planned]
            names = {run.name: run.cell.name for run in planned}
            found = {}
            for entry in ENTRIES:
                cells = {cell.name for cell in entry.cells}
                own = entry.select([run for run in loaded if names[run.name] in cells])
                found[entry.key] = as_json(entry.measure(own))
            measured.append(found)
    assert not archived.exists()
    for key, found in measured[0].items():
        assert close(found, measured[1][key]), key
    assert measured[0] != measured[1], "the archive has seven digits"


def test_columns_that_no_figure_reads_are_left_out(tmp_path: Path) -> None:
    for column in history(0) | exact_history(history(0)):
        assert is_kept(column), column
    for column in ("val/avg@8", "val/entropy", "val/avg@8_se", "strategies/reward"):
        assert is_kept(column), column
    left = ("time/step", "val/accuracy_se/difficulty_1", "policy/kl", "cov/least_0.2", "law/r2")
    for column in left:
        assert not is_kept(column), column
    columns = history(3) | {name: history(0)["step"] for name in left}
    columns["cov/mean"] = columns["cov/mean"] / 3
    folder = write_run(tmp_path / "mine-seed3", columns, config(seed=3))
    write_archive([folder], tmp_path / "archive", silent)
    with unpacked(tmp_path / "archive") as archived:
        (path,) = unplanned(archived, {"grpo"})
        run = load_run(path)
    assert (run.name, run.label, run.seed) == ("mine-seed3", "GRPO", 3)
    assert run.history.keys() == history(3).keys()
    own, kept = columns["cov/mean"], run.history["cov/mean"]
    assert np.isnan(kept[0]) and np.isnan(own[0])
    assert 0 < np.abs(kept[1:] / own[1:] - 1).max() < 1e-6


def test_an_archive_does_not_say_where_a_run_was_kept(tmp_path: Path) -> None:
    values = config() | {"run": {"folder": str(tmp_path), "name": "off"}}
    folder = write_run(tmp_path / "mine-seed0", history(0), values)
    (path,) = write_archive([folder], tmp_path / "archive", silent)
    assert str(tmp_path).encode() not in lzma.decompress(path.read_bytes())
    with unpacked(tmp_path / "archive") as archived:
        kept = read_yaml(archived / "mine-seed0" / "config.yaml")
    assert kept == values | {"run": {"folder": "runs", "name": "off"}}
    (folder / "config.yaml").write_text("a: 1")
    with pytest.raises(ValueError, match=r"config.yaml is not the configuration of a run: no 'tra"):
        write_archive([folder], tmp_path / "archive", silent)


def test_the_same_runs_are_the_same_bytes_and_others_stay(tmp_path: Path) -> None:
    _, folders = finished_runs(tmp_path / "runs", "11")
    lines: list[str] = []
    first = write_archive(folders[:1], tmp_path / "a", lines.append)
    assert lines[0].startswith(f"{first[0]}: 1 runs, ")
    once = write_archive(folders, tmp_path / "b", silent)
    both = write_archive(folders[1:], tmp_path / "a", silent)
    assert [path.name for path in both] == [path.name for path in once]
    assert [path.read_bytes() for path in both] == [path.read_bytes() for path in once]
    shake(folders[0], 0)
    lines = []
    (path,) = write_archive(folders[:1], tmp_path / "a", lines.append)
    assert lines[0] == f"{path}: {folders[0].name} takes the place of another run of its name"


def test_an_archived_run_counts_with_its_own_settings_alone(tmp_path: Path) -> None:
    (run, *_), (folder, *_) = finished_runs(tmp_path / "runs", "11")
    write_archive([folder], tmp_path / "archive", silent)
    with unpacked(tmp_path / "archive") as archived:
        assert is_archived(run, archived)
        assert not is_archived(replace(run, seed=run.seed + 1), archived)
        other = replace(run, settings=(*run.settings[:-1], "17"))
        assert other.name == run.name and not is_archived(other, archived)
        done = archived / run.name / "done.json"
        done.write_text(json.dumps(json.loads(done.read_text()) | {"digest": "0"}))
        assert not is_archived(run, archived), "a configuration file has changed since"


def test_unfinished_runs_are_left_out_and_said(tmp_path: Path) -> None:
    half = {key: column[:21] for key, column in history(0).items()}
    folder = write_run(tmp_path / "half-seed0", half, config())
    with pytest.raises(ValueError, match="none of 1 runs is finished: there is nothing to archive"):
        write_archive([folder], tmp_path / "archive", silent)
    lines: list[str] = []
    whole = write_run(tmp_path / "whole", history(0), config())
    (path,) = write_archive([folder, whole], tmp_path / "archive", lines.append)
    assert path.name == "whole.tar.xz"
    assert lines[0] == f"{folder} is left out: it has 20 of 40 RL steps"
    with pytest.raises(FileNotFoundError, match=r"has no config.yaml: name the folder of a run"):
        write_archive([tmp_path], tmp_path / "archive", silent)


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / group / "seed0", history(seed), config(seed=seed))
        for seed, group in enumerate(("grpo", "kl_cov"))
    ]
    with pytest.raises(ValueError) as error:
        write_archive(folders, tmp_path / "archive", silent)
    assert str(error.value).startswith(f"two runs are named seed0, one of them {folders[1]}: an ")
    assert not (tmp_path / "archive").exists()
    write_archive([folders[0], folders[0]], tmp_path / "archive", silent)  # the same one twice


def test_a_run_is_named_by_its_folder_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "own-seed0", history(0), config())
    archive([str(folder)], str(tmp_path / "by-path"))
    monkeypatch.chdir(folder)
    archive(["."], str(tmp_path / "here"))
    (checkpoints := folder / "checkpoints").mkdir()
    monkeypatch.chdir(checkpoints)
    archive([".."], str(tmp_path / "above"))
    packs = [(tmp_path / name / "own.tar.xz").read_bytes() for name in ("by-path", "here", "above")]
    assert packs[0] == packs[1] == packs[2]


def packed(path: Path, member: tarfile.TarInfo, content: bytes = b"x") -> Path:
    member.size = len(content) if member.isfile() else 0
    with tarfile.open(path, "w:xz") as tar:
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    "name",
    ["../config.yaml", "/config.yaml", "a/../../config.yaml", "a/b/config.yaml", "a/last.ckpt",
     "config.yaml", "./config.yaml"],
)  # fmt: skip
def test_other_files_in_an_archive_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    path = packed(folder / "x.tar.xz", tarfile.TarInfo(name))
    with pytest.raises(ValueError) as error, unpacked(folder):
        pass
    assert str(error.value) == f"{path} holds {name!r}, which is no file of a run"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_an_archive_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("a/config.yaml")
    member.type, member.linkname = kind, "/etc/hostname"
    packed(tmp_path / "x.tar.xz", member)
    with pytest.raises(ValueError, match=r"holds 'a/config\.yaml'"), unpacked(tmp_path):
        pass


def test_damaged_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archived_runs, "MOST", 2**20)
    run = make(planned_runs("11")[0], tmp_path / "runs")
    (path,) = write_archive([run], tmp_path / "archive", silent)
    whole = path.read_bytes()
    bomb = lzma.compress(bytes(archived_runs.MOST + 1), preset=0)
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:-20], whole * 2, bomb):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or no archive"), unpacked(path.parent):
            pass
    path.write_bytes(whole)
    (path.parent / f"again{SUFFIX}").write_bytes(whole)
    with pytest.raises(ValueError, match=f"both hold {run.name}"), unpacked(path.parent):
        pass


def test_the_command_line_draws_an_archive_without_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(style.RC, "savefig.dpi", 30)
    planned, _ = finished_runs(tmp_path / "runs", "1")
    write_run(tmp_path / "runs" / "smollm-seed1", history(1), config(model="SmolLM2-135M", seed=1))
    main(["archive", str(tmp_path / "runs" / "*"), "--output", str(tmp_path / "archive")])
    said = capsys.readouterr().out
    assert f"{tmp_path / 'archive' / 'grpo_long.tar.xz'}: 2 runs, " in said
    command = ["reproduce", "--budget", "smoke", "--figures", "1", "--jobs", "0"]
    place = ["--archive", str(tmp_path / "archive"), "--output", str(tmp_path / "out")]
    main([*command, *place])
    said = capsys.readouterr().out
    assert f"{len(planned)} of {len(planned)} runs are in {tmp_path / 'archive'}\n" in said
    assert "Fig. 1: drawn\n" in said
    record = json.loads((tmp_path / "out" / "report-1.json").read_text())
    assert record["missing"] == []
    column = record["rungs"]["columns"].index("rung 2: SmolLM2-135M")
    (cell,) = {row["cells"][column]["verdict"] for row in record["rungs"]["rows"]}
    assert cell == "not judged: 1 of 4 seeds"
    assert not (tmp_path / "out" / "runs").exists()
