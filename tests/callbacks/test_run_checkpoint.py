"""Checkpoints of real runs: the last RL step, cadence, copies, paths, damage, whole steps."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler, Timer
from runs import ALONE, fit, metrics, weights

from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.errors import CheckpointError, PartError
from lit_entropy.step.plan import StepPlan
from lit_entropy.tracking.metrics_file import read_rows
from lit_entropy.tracking.run_lock import RunLock

NAME = "quickstart-seed0"
EVERY_TWO = "--checkpoint.every_n_epochs=2"


def train(folder: Path, steps: int, *arguments: str) -> Any:
    return fit(folder, *ALONE, f"--trainer.max_epochs={steps}", *arguments)


def load(folder: Path, name: str = NAME, file: str = "last.ckpt") -> dict[str, Any]:
    return torch.load(folder / name / "checkpoints" / file, weights_only=True)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_same_weights(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven uninterrupted RL steps."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("seven")
    train(folder, 7, EVERY_TWO)
    return folder


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five RL steps with a checkpoint every two; tests work on copies."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("five")
    train(folder, 5, EVERY_TWO)
    return folder


@pytest.fixture
def copy(five: Path, tmp_path: Path) -> Path:
    shutil.copytree(five / NAME, tmp_path / NAME)
    return tmp_path


def test_the_last_rl_step_is_always_saved(five: Path) -> None:
    assert files(five / NAME) == ["last.ckpt", "rl_step_00004.ckpt"]
    assert load(five)["rl_steps"] == 5
    assert load(five)["global_step"] == 10  # 2 updates per RL step
    assert load(five, file="rl_step_00004.ckpt")["rl_steps"] == 4


def test_a_row_is_complete_before_its_checkpoint_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a kill at any time leaves no RL step that is finished and has no numbers."""
    seen: list[dict[str, str]] = []
    save = AtomicCheckpointIO.save_checkpoint

    def look(self: Any, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        row = read_rows(tmp_path / NAME / "metrics.csv")[-1]
        assert int(row["step"]) == checkpoint["rl_steps"]
        seen.append(row)
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", look)
    train(tmp_path, 2, "--checkpoint.every_n_epochs=1", "--trainer.limit_val_batches=1")
    rows = read_rows(tmp_path / NAME / "metrics.csv")
    assert [row for row in rows if row["step"] != "0"] == [seen[0], seen[-1]]
    assert {"rollout/reward", "policy/grad_norm", "time/step"} <= rows[-1].keys()


def test_a_resume_from_the_last_step_is_the_uninterrupted_run(tmp_path: Path, seven: Path) -> None:
    """In place, where the cadence (2, 4, 6) does not fall on the step of the interruption."""
    train(tmp_path, 5, EVERY_TWO)
    cli = train(tmp_path, 7, EVERY_TWO, "--ckpt_path=last")
    assert_same_weights(weights(cli), load(seven)["state_dict"])
    assert_same_weights(load(tmp_path)["state_dict"], load(seven)["state_dict"])
    moments, expected = load(tmp_path)["optimizer_states"], load(seven)["optimizer_states"]
    for index, state in expected[0]["state"].items():
        assert_same_weights(moments[0]["state"][index], state)
    assert load(tmp_path)["rl_steps"] == load(seven)["rl_steps"] == 7
    rows, expected_rows = metrics(tmp_path), metrics(seven)
    assert rows["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    for key in (key for key in expected_rows if not key.startswith("time/")):
        np.testing.assert_array_equal(rows[key], expected_rows[key], err_msg=key)
    assert files(tmp_path / NAME) == files(seven / NAME) == ["last.ckpt", "rl_step_00006.ckpt"]


@pytest.mark.parametrize("filename", ["rl_step_{step:05d}", "best"])
def test_a_checkpoint_that_was_named_is_kept(tmp_path: Path, filename: str) -> None:
    """Of two names that a later checkpoint takes; of two resumes that of the second."""
    train(tmp_path, 1, f"--checkpoint.filename={filename}")
    named = "last" if "{" in filename else "best"
    path = tmp_path / NAME / "checkpoints" / f"{named}.ckpt"
    kept = path.with_name(f"{named}-resumed.ckpt")
    for steps in (2, 3):
        before = path.read_bytes()
        train(tmp_path, steps, f"--checkpoint.filename={filename}", f"--ckpt_path={path}")
        assert kept.read_bytes() == before and load(tmp_path)["rl_steps"] == steps
    assert load(tmp_path, file=kept.name)["rl_steps"] == 2


def test_a_run_that_ends_on_the_cadence_is_saved_once(tmp_path: Path) -> None:
    train(tmp_path, 2, EVERY_TWO)
    assert files(tmp_path / NAME) == ["last.ckpt", "rl_step_00002.ckpt"]
    numbered, last = load(tmp_path, file="rl_step_00002.ckpt"), load(tmp_path)
    assert numbered["rl_steps"] == last["rl_steps"] == 2
    assert_same_weights(numbered["state_dict"], last["state_dict"])


def test_another_cadence_on_a_resume_keeps_one_last_checkpoint(copy: Path, seven: Path) -> None:
    train(copy, 7, "--checkpoint.every_n_epochs=3", "--ckpt_path=last")
    present = files(copy / NAME)
    assert [name for name in present if name.startswith("last")] == ["last.ckpt"]
    assert "rl_step_00006.ckpt" in present
    assert load(copy)["rl_steps"] == 7
    newest = max((copy / NAME / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name == "last.ckpt"
    assert_same_weights(load(copy)["state_dict"], load(seven)["state_dict"])


def test_a_copied_run_continues_in_the_copy(five: Path, tmp_path: Path, seven: Path) -> None:
    """The checkpoint names the folder in which it was written: nothing may happen there."""
    before = content(five)
    copied = tmp_path / "archive" / "again"
    shutil.copytree(five / NAME, copied)
    last = f"--ckpt_path={copied}/checkpoints/last.ckpt"
    cli = train(tmp_path / "archive", 7, EVERY_TWO, "--run.name=again", last)
    assert Path(cli.trainer.log_dir) == copied
    assert content(five) == before
    assert load(tmp_path / "archive", "again")["rl_steps"] == 7
    assert metrics(tmp_path / "archive", "again")["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert_same_weights(weights(cli), load(seven)["state_dict"])


def test_a_relative_path_from_inside_the_run(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy / NAME)
    cli = train(Path("../"), 6, EVERY_TWO, "--ckpt_path", "checkpoints/last.ckpt")
    assert Path(cli.trainer.log_dir).resolve() == (copy / NAME).resolve()
    assert load(copy)["rl_steps"] == 6
    assert metrics(copy)["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert not (copy / NAME / NAME).exists()


def test_a_checkpoint_outside_of_a_run_is_refused(copy: Path, tmp_path: Path) -> None:
    stray = tmp_path / "stray" / "last.ckpt"
    stray.parent.mkdir()
    shutil.copy(copy / NAME / "checkpoints" / "last.ckpt", stray)
    with pytest.raises(ValueError, match=r"ckpt_path=.*stray/last\.ckpt does not lie in") as error:
        train(tmp_path / "runs", 6, f"--ckpt_path={stray}")
    assert "config.yaml" in str(error.value)
    assert not (tmp_path / "runs").exists() and list(stray.parent.iterdir()) == [stray]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_names_the_file_and_a_remedy(copy: Path, share: float) -> None:
    path = copy / NAME / "checkpoints" / "last.ckpt"
    os.truncate(path, int(share * path.stat().st_size))
    before = content(copy)
    with pytest.raises(CheckpointError, match=r"last\.ckpt is damaged") as error:
        train(copy, 6, "--ckpt_path=last")
    assert "rl_step_00004.ckpt" in str(error.value)
    assert content(copy) == before
    if share == 0.5:  # the remedy works
        remedy = path.with_name("rl_step_00004.ckpt")
        train(copy, 5, EVERY_TWO, f"--ckpt_path={remedy}")
        assert load(copy)["rl_steps"] == 5


def test_a_failed_start_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such shipped base"):
        train(tmp_path, 1, "--model.policy.model=/no/such/base")
    assert not list(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="max_steps=3"):  # refused later, at setup
        train(tmp_path, 1, "--trainer.max_steps=3")
    assert not list(tmp_path.rglob("*"))
    train(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]  # the name was left free


def test_a_run_that_is_under_way_is_not_resumed(copy: Path) -> None:
    lock = RunLock(copy / NAME)
    before = content(copy / NAME)
    try:
        with pytest.raises(ValueError, match=f"in use by process {os.getpid()} on"):
            train(copy, 7, EVERY_TWO, "--ckpt_path=last")
        assert content(copy / NAME) == before
    finally:
        lock.release()


def test_a_failed_resume_leaves_the_run_as_it_was(copy: Path) -> None:
    before = content(copy)
    with pytest.raises(ValueError, match="another configuration"):
        train(copy, 6, "--ckpt_path=last", "--model.policy.model=/no/such/base")
    assert content(copy) == before


def set_up(**arguments: Any) -> None:
    """The checkpoint's setup in a trainer of these arguments, with RL steps of 4 updates."""
    quiet = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    quiet |= {"enable_progress_bar": False, "enable_model_summary": False}
    trainer: Any = L.Trainer(**(quiet | arguments))
    trainer.datamodule = SimpleNamespace(plan=StepPlan(2, 8, minibatch_size=4))
    RunCheckpoint().setup(trainer, L.LightningModule(), "fit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_steps": 7}, "trainer.max_steps=7 ends within an RL step of 4 updates"),
        ({"val_check_interval": 1}, "trainer.val_check_interval=1 validates within"),
        ({"val_check_interval": 0.5}, "trainer.val_check_interval=0.5 validates within"),
        ({"fast_dev_run": True}, "trainer.fast_dev_run cuts RL steps"),
        ({"limit_train_batches": 4}, "limit_train_batches or overfit_batches"),
        ({"limit_train_batches": 1}, "limit_train_batches or overfit_batches"),
        ({"limit_train_batches": 0.5}, "limit_train_batches or overfit_batches"),
        ({"overfit_batches": 2}, "limit_train_batches or overfit_batches"),
        ({"max_time": "00:01:30:00"}, r"trainer.max_time=1:30:00 may end within an RL step"),
        (
            {"callbacks": [GradientAccumulationScheduler(scheduling={0: 1, 3: 2})]},
            "GradientAccumulationScheduler.*trainer.accumulate_grad_batches",
        ),
    ],
)
def test_settings_that_cut_an_rl_step(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        set_up(**arguments)


def test_settings_that_do_not_cut_an_rl_step() -> None:
    for arguments in (
        {},
        {"max_steps": 8},
        {"limit_train_batches": 1.0},
        {"accumulate_grad_batches": 4},
        {"callbacks": [Timer("00:01:30:00", interval="epoch")]},
    ):
        set_up(max_epochs=2, **arguments)


class StopAtFirst(L.Callback):
    """Asks to stop after the first update of the second RL step."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 3:
            trainer.should_stop = True


def test_a_wish_to_stop_waits_for_the_end_of_the_rl_step(tmp_path: Path, seven: Path) -> None:
    """2 updates per RL step: the checkpoint is that of a run of two, and goes on as one."""
    stops = "--trainer.callbacks=test_run_checkpoint.StopAtFirst"
    cli = train(tmp_path, 7, EVERY_TWO, stops)
    assert cli.trainer.global_step == 4 and cli.trainer.should_stop
    assert load(tmp_path)["epoch"] == 1 and load(tmp_path)["rl_steps"] == 2
    assert metrics(tmp_path)["step"].tolist() == [1, 2]
    train(tmp_path, 7, EVERY_TWO, "--ckpt_path=last", stops)
    assert_same_weights(load(tmp_path)["state_dict"], load(seven)["state_dict"])


class StopAtStart(L.Callback):
    """Asks to stop before the second RL step has begun to sample."""

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.current_epoch == 1


def test_an_rl_step_that_is_to_stop_as_it_begins_is_made_whole(tmp_path: Path) -> None:
    """Lightning would end it without a batch; its row would be a division by zero seconds."""
    cli = train(tmp_path, 7, "--trainer.callbacks=test_run_checkpoint.StopAtStart")
    assert cli.trainer.global_step == 4 and cli.trainer.should_stop
    assert load(tmp_path)["rl_steps"] == 2 and metrics(tmp_path)["step"].tolist() == [1, 2]


class RaiseStopIteration(L.Callback):
    """At a hook, in the second RL step."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, self._raise)

    def _raise(self, trainer: L.Trainer, *arguments: Any) -> None:
        if trainer.global_step == 4 and trainer.current_epoch == 1:
            raise StopIteration


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("on_train_batch_end", "RL step 2 ended in what follows its last update"),
        ("on_validation_start", "RL step 2 ended in what follows its last update"),
        ("on_validation_batch_end", "an evaluation ended after 0 of its 1 batches"),
    ],
)
def test_stop_iteration_after_the_last_update_is_an_error(
    tmp_path: Path, hook: str, said: str
) -> None:
    """The run ended well, on fewer problems, and no checkpoint of it could be continued."""
    raises = "--trainer.callbacks=test_run_checkpoint.RaiseStopIteration"
    with pytest.raises(PartError, match=said):
        fit(tmp_path, raises, f"--trainer.callbacks.hook={hook}", "--model.evaluation.samples=1",
            "--model.evaluation.pass_k=[1]", "--trainer.max_epochs=3")  # fmt: skip
    assert load(tmp_path)["rl_steps"] == 1 and metrics(tmp_path)["step"].tolist() == [1]


class InterruptAt(L.Callback):
    """Ctrl-C at the first update of an RL step, 2 updates each."""

    def __init__(self, update: int = 7) -> None:
        self.update = update

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.update:
            raise KeyboardInterrupt


def test_an_interrupted_run_says_how_it_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("lit_entropy.callbacks.run_checkpoint.rank_zero_info", said.append)
    stops = "--trainer.callbacks=test_run_checkpoint.InterruptAt"
    last = tmp_path / NAME / "checkpoints" / "last.ckpt"
    with pytest.raises(SystemExit):
        train(tmp_path, 7, EVERY_TWO, stops)
    with pytest.raises(SystemExit):  # before the resume's own first checkpoint
        train(tmp_path, 7, "--checkpoint.every_n_epochs=4", stops, "--ckpt_path=last")
    again = f"Continue with the same command and --ckpt_path {last}: RL steps 3 to 4 are made again"
    assert said == [again, again] and last.exists()


@pytest.mark.parametrize(
    ("saved", "began", "updates", "resumed", "said"),
    [
        (0, 0, 3, None, "ended before its first checkpoint, 10 RL steps from the start"),
        (0, 8, 9, "a b.ckpt", "--ckpt_path 'a b.ckpt': RL step 3 is made again"),
        (8, 0, 8, None, "--ckpt_path runs/last.ckpt: it goes on after RL step 2"),
        (12, 8, 21, "old.ckpt", "--ckpt_path runs/last.ckpt: RL steps 4 to 6 are made again"),
    ],
)
def test_the_way_on(saved: int, began: int, updates: int, resumed: str | None, said: str) -> None:
    """4 updates per RL step."""
    callback = RunCheckpoint(dirpath="runs")
    callback.dirpath = "runs"
    callback._last_global_step_saved, callback._began_at = saved, began
    assert said in callback.way_on(updates, 4, resumed)


VALIDATED = ["--trainer.callbacks=null", "--trainer.check_val_every_n_epoch=2"]


@pytest.mark.parametrize(
    ("last", "kept"), [(3, 3), (2, 2), (1, 2), (None, 2), ("damaged", "damaged")]
)
def test_the_newest_checkpoint_is_never_replaced_by_an_older_one(
    tmp_path: Path, last: int | str | None, kept: int | str
) -> None:
    """Whatever the times of the files say, which a copied run has of the copy."""

    def save(name: str, steps: int) -> Path:
        state = {"state_dict": {}, "rl_steps": steps}
        AtomicCheckpointIO().save_checkpoint(state, tmp_path / name)
        return tmp_path / name

    resumed, newest = save("rl_step_00002.ckpt", 2), tmp_path / "last.ckpt"
    if isinstance(last, int):
        os.utime(save("last.ckpt", last), (1, 1))
    elif last:
        newest.write_text(last)
        os.utime(newest, (1, 1))
    callback = RunCheckpoint()
    callback.dirpath = str(tmp_path)
    trainer: Any = SimpleNamespace(ckpt_path=str(resumed), is_global_zero=True)
    with pytest.warns(match="left as it is") if kept == "damaged" else nullcontext():
        callback.on_fit_end(trainer, L.LightningModule())
    if kept == "damaged":
        assert newest.read_text() == kept
    else:
        assert AtomicCheckpointIO().load_checkpoint(newest)["rl_steps"] == kept


def test_the_best_and_the_newest_are_two_files(tmp_path: Path) -> None:
    """A monitored value that gets worse: the first is kept, the last one is the newest."""
    monitor = ["--checkpoint.monitor=rollout/length", "--checkpoint.mode=max"]
    train(tmp_path, 4, "--checkpoint.every_n_epochs=1", *monitor)
    lengths = metrics(tmp_path)["rollout/length"]
    best = int(lengths.argmax()) + 1
    assert best < 4 and files(tmp_path / NAME) == ["last.ckpt", f"rl_step_{best:05d}.ckpt"]
    assert load(tmp_path)["rl_steps"] == 4
    assert load(tmp_path, file=f"rl_step_{best:05d}.ckpt")["rl_steps"] == best


def test_a_validation_chooses_where_it_was_made(tmp_path: Path) -> None:
    """Of four RL steps two are validated: the others are no candidates, by a stale score."""
    monitor = ["--checkpoint.monitor=val/length", "--checkpoint.mode=min"]
    fit(tmp_path, *VALIDATED, *monitor, "--trainer.max_epochs=4", "--checkpoint.save_top_k=-1")
    assert files(tmp_path / NAME) == ["last.ckpt", "rl_step_00002.ckpt", "rl_step_00004.ckpt"]
    assert load(tmp_path)["rl_steps"] == 4


@pytest.mark.parametrize(
    ("key", "message", "arguments"),
    [
        ("val/acuracy", r"monitor=val/acuracy is not logged.*val/accuracy", VALIDATED),
        ("val/accuracy", "val/accuracy needs validations", ALONE),
    ],
)
def test_a_metric_that_nothing_logs(
    tmp_path: Path, key: str, message: str, arguments: list[str]
) -> None:
    monitor = [f"--checkpoint.monitor={key}", "--checkpoint.mode=max", "--trainer.max_epochs=2"]
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, *arguments, *monitor)


def test_a_metric_that_is_not_logged_yet(tmp_path: Path) -> None:
    """It may come later, of a callback with a cadence: the newest is kept, and that is said."""
    monitor = ["--checkpoint.monitor=rollout/lenght", "--checkpoint.mode=max"]
    with pytest.warns(UserWarning, match=r"rollout/lenght is not logged.*rollout/length.*alone is"):
        train(tmp_path, 2, *monitor)
    assert files(tmp_path / NAME) == ["last.ckpt"] and load(tmp_path)["rl_steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"monitor": "val/accuracy"}, "monitor=val/accuracy needs checkpoint.mode"),
        ({"every_n_epochs": 0}, "every_n_epochs=0 must be at least 1"),
        ({"filename": "../../other/{step}"}, "a name without folders"),
        ({"filename": "below/{step}"}, "a name without folders"),
        ({"filename": ""}, "a name without folders"),
        ({"filename": "step\n{step}"}, r"filename='step\\n\{step\}' must be a name without"),
        ({"filename": "last"}, "filename='last' is the name of the newest checkpoint, last.ckpt"),
        ({"filename": "a{step"}, r"filename='a\{step': .*; write \{step\} for the RL step"),
        ({"save_weights_only": True}, "leaves nothing to resume from"),
    ],
)
def test_settings_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunCheckpoint(**arguments)


def test_one_state_key_whatever_the_cadence() -> None:
    keys = {RunCheckpoint(every_n_epochs=n).state_key for n in (1, 2, 10)}
    assert len(keys) == 1
    assert RunCheckpoint(monitor="val/accuracy", mode="max").state_key not in keys


def test_a_changed_row_is_refused_by_a_resume(copy: Path) -> None:
    """Before a row is written; an option takes the table as it is."""
    path = copy / NAME / "metrics.csv"
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*whole[:3], *whole[4:]]))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"metrics\.csv: the row of RL step 3 is missing since"):
        train(copy, 6, EVERY_TWO, "--ckpt_path=last")
    assert path.read_bytes() == before
    train(copy, 6, EVERY_TWO, "--ckpt_path=last", "--checkpoint.accept_edited_metrics=true")
    assert metrics(copy)["step"].tolist() == [1, 2, 4, 5, 6]
    assert load(copy)["metrics_rows"]["steps"].tolist() == [1, 2, 4, 5, 6]


def test_a_checkpoint_of_an_earlier_version_is_taken_with_a_warning(copy: Path) -> None:
    path = copy / NAME / "checkpoints" / "last.ckpt"
    checkpoint = load(copy)
    del checkpoint["metrics_rows"]
    torch.save(checkpoint, path)
    with pytest.warns(UserWarning, match="earlier version, which did not note the rows"):
        train(copy, 6, EVERY_TWO, "--ckpt_path=last")
