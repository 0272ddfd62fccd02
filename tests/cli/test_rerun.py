"""A run's own config.yaml starts another run, which leaves the first one alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lightning as L
import pytest
import yaml
from runs import ALONE, fit, metrics

from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.cli.main import main
from lit_entropy.tracking.csv_logger import RunLogger, SafeWandbLogger
from lit_entropy.tracking.run_folder import (
    check_no_other_checkpoints,
    check_no_other_run,
    claim_run_folder,
)
from lit_entropy.tracking.wandb_session import run_id

NAME = "quickstart-seed0"


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with samples and pages."""
    folder = tmp_path_factory.mktemp("runs")
    files = ["Samples", "TokenPage"]
    fit(folder, *ALONE[:1], *(f"--trainer.callbacks+=lit_entropy.callbacks.{c}" for c in files))
    return folder / NAME


def test_a_run_from_a_saved_configuration_writes_nothing_into_the_first(run: Path) -> None:
    before = content(run)
    assert {path.split("/")[0] for path in before} == {
        "checkpoints", "config.yaml", "metrics.csv", "samples", "tokens",
    }  # fmt: skip
    config = yaml.safe_load(before["config.yaml"])
    assert config["checkpoint"]["dirpath"] is None and config["ckpt_path"] is None
    assert str(run) not in before["config.yaml"].decode()
    cli = main(["fit", "--config", str(run / "config.yaml"), "--trainer.max_epochs", "3"])
    second = run.with_name(f"{NAME}-2")
    assert Path(cli.trainer.log_dir) == second
    assert content(run) == before
    assert {path.name for path in (second / "checkpoints").iterdir()} == {
        "last.ckpt", "rl_step_00003.ckpt",
    }  # fmt: skip
    assert metrics(run.parent, second.name)["step"].tolist() == [1, 2, 3]


def test_a_resume_leaves_no_derived_values(
    run: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """config-2.yaml of a resume starts a run of its own as well, and names no absolute folder."""
    shutil.copytree(run, tmp_path / "runs" / NAME)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        config = ["--config", f"runs/{NAME}/config.yaml", "--run.folder=runs"]
        main(["fit", *config, "--ckpt_path=last", "--trainer.max_epochs=3"])
    finally:
        os.chdir(before)
    folder = tmp_path / "runs" / NAME
    assert metrics(tmp_path / "runs")["step"].tolist() == [1, 2, 3]
    assert not [each for each in recwarn if "not empty" in str(each.message)]  # it is its own
    second = yaml.safe_load((folder / "config-2.yaml").read_text())
    assert second["run"]["folder"] == "runs" and second["run"]["name"] == NAME
    assert second["ckpt_path"] is None and second["checkpoint"]["dirpath"] is None


def test_checkpoints_of_another_run_are_refused(run: Path, tmp_path: Path) -> None:
    before, folder = content(run), run / "checkpoints"
    with pytest.raises(ValueError, match=rf"^checkpoint.dirpath={folder} does not lie in the run"):
        fit(tmp_path, *ALONE, f"--checkpoint.dirpath={folder}")
    assert content(run) == before and not list(tmp_path.iterdir())


def test_what_counts_as_a_runs_own_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "checkpoints"
    check_no_other_checkpoints(folder, None, tmp_path / "a")  # nothing there
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    check_no_other_checkpoints(folder, folder / "last.ckpt", tmp_path / "a")
    check_no_other_checkpoints(folder, tmp_path / "a" / "kept" / "x.ckpt", tmp_path / "a")
    for resumed in (None, tmp_path / "b" / "checkpoints" / "last.ckpt"):
        for run_folder in (tmp_path / "a", tmp_path / "b", None):
            with pytest.raises(ValueError, match=r"another run \(last.ckpt\)"):
                check_no_other_checkpoints(folder, resumed, run_folder)


def test_loggers_built_by_hand_do_not_add_to_an_earlier_run(run: Path, tmp_path: Path) -> None:
    logger = RunLogger(str(run.parent), NAME)
    with pytest.raises(ValueError, match=rf"^{run}/metrics.csv belongs to an earlier run.*claim_"):
        check_no_other_run([logger])
    own = RunLogger(str(tmp_path), "own")
    own.log_metrics({"x": 1.0}, 1)
    check_no_other_run([own, L.pytorch.loggers.CSVLogger(tmp_path)])
    (tmp_path / "own" / "wandb_id.txt").write_text("12345678\n")
    with pytest.raises(ValueError, match=r"wandb_id\.txt belongs to an earlier run"):
        check_no_other_run([own, SafeWandbLogger(str(tmp_path), "own")])


def test_the_default_checkpoint_folder_is_absolute_once_it_is_used(tmp_path: Path) -> None:
    callback = RunCheckpoint()
    trainer = L.Trainer(
        logger=RunLogger(str(tmp_path), "x"), callbacks=[callback], enable_progress_bar=False
    )
    callback.setup(trainer, L.LightningModule(), "validate")
    assert callback.dirpath == str(tmp_path / "x" / "checkpoints")


def test_no_run_lies_within_another(run: Path) -> None:
    before = content(run)
    for folder, name in ((run.parent, f"{NAME}/x"), (run, "x"), (run.parent, f"{NAME}/a/x")):
        with pytest.raises(ValueError, match=f"{NAME} is the folder of another run"):
            claim_run_folder(folder, name, resume=False)
    assert content(run) == before


def test_one_wandb_id_for_each_experiment(tmp_path: Path) -> None:
    """The same on a resume and after a move; a copy of the folder is another experiment."""
    first, copy, moved = (tmp_path / name for name in ("a", "a copy", "moved"))
    first.mkdir()
    identity = run_id(first)
    assert len(identity) == 8 and run_id(first) == identity
    shutil.copytree(first, copy)
    with pytest.warns(UserWarning, match=r"a copy is a copy of .*/a: it gets a W&B run of its own"):
        other = run_id(copy)
    assert other != identity and run_id(copy) == other and run_id(first) == identity
    first.rename(moved)
    assert run_id(moved) == identity and run_id(copy) == other
    assert run_id(moved, new=True) != identity
    old = tmp_path / "old"
    old.mkdir()
    (old / "wandb_id.txt").write_text("1234abcd\n")  # the folder was not noted
    assert run_id(old) == "1234abcd"


def test_the_configuration_of_a_run_with_an_awkward_name_is_read_again(tmp_path: Path) -> None:
    short = [*ALONE, "--trainer.max_epochs=0"]
    fit(tmp_path, *short, "--run.name=1e-6", r"--run.project=\${x}$")
    saved = tmp_path / "1e-6" / "config.yaml"
    assert yaml.safe_load(saved.read_text())["run"]["name"] == "1e-6"
    cli = main(["fit", "--config", str(saved)])
    assert cli.config.fit.run.project == "${x}$"
    assert (tmp_path / "1e-6-2" / "config.yaml").read_text() == saved.read_text().replace(
        "'1e-6'", "'1e-6-2'"
    )
