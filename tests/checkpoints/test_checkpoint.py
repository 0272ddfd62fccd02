"""Checkpoints under kill -9, a full disk, NaN and damage; the rules of a resume."""

import copy
import io
import multiprocessing
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import ALONE, fit
from test_resume import assert_same_state

from lit_entropy.checkpoints.command import export
from lit_entropy.checkpoints.intact import load_intact
from lit_entropy.checkpoints.io import (
    AtomicCheckpointIO,
    check_same_experiment,
    resolve_checkpoint,
)
from lit_entropy.errors import CheckpointError, NonFiniteError
from lit_entropy.module import EntropyModule

FORK = multiprocessing.get_context("fork")  # a fresh interpreter would take seconds a trial


def save_forever(path: Path, value: int, ready: Any, elsewhere: str) -> None:
    tempfile.tempdir = elsewhere  # where Lightning's own save would begin its file
    while True:
        value += 1
        weights = torch.full((1_000_000,), float(value))
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": weights}, "epoch": value}, path)
        ready.set()


def save_on_full_disk(path: Path, message: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.ones(1_000_000)}}, path)
    except Exception as error:
        message.send(f"{type(error).__name__}: {error} {error.__notes__}")
    else:
        message.send("saved")


def checkpoint(value: float = 1.0) -> dict:
    return {"state_dict": {"w": torch.full((3,), value)}, "epoch": 4}


def test_round_trip_and_no_leftovers(tmp_path):
    path = tmp_path / "new" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(2.5), path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert torch.equal(loaded["state_dict"]["w"], torch.full((3,), 2.5))
    assert loaded["epoch"] == 4
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_kill_during_save_always_leaves_a_whole_checkpoint(tmp_path):
    """Twenty kills at random times of a process that does nothing but save.

    TMPDIR is on another filesystem, where Lightning's own save leaves a truncated file.
    """
    device = os.stat(tmp_path).st_dev
    places = [place for place in ("/dev/shm", "/var/tmp") if os.stat(place).st_dev != device]
    assert places, "no other filesystem"
    path, last, times = tmp_path / "last.ckpt", 0, random.Random(0)
    killed_while_writing = 0
    for _ in range(20):
        ready = FORK.Event()
        process = FORK.Process(target=save_forever, args=(path, last, ready, places[0]))
        process.start()
        assert ready.wait(60)
        time.sleep(times.uniform(0.0, 0.05))
        process.kill()
        process.join()
        killed_while_writing += bool(list(tmp_path.glob(f"*.tmp-{process.pid}")))
        loaded = AtomicCheckpointIO().load_checkpoint(path)
        assert loaded["epoch"] > last
        last = loaded["epoch"]
        assert torch.equal(loaded["state_dict"]["w"], torch.full((1_000_000,), float(last)))
    assert killed_while_writing > 0, "no kill hit a save: the trial proves nothing"
    AtomicCheckpointIO().save_checkpoint(checkpoint(), path)
    assert os.listdir(tmp_path) == ["last.ckpt"]  # leftovers of the dead are swept


def test_leftover_of_a_living_process_is_kept(tmp_path):
    other = tmp_path / f"other.ckpt.tmp-{os.getppid()}"
    other.write_bytes(b"being written")
    AtomicCheckpointIO().save_checkpoint(checkpoint(), tmp_path / "last.ckpt")
    assert other.exists()


def test_full_disk_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(), path)
    before = path.read_bytes()
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=save_on_full_disk, args=(path, theirs))
    process.start()
    message = ours.recv()
    process.join()
    assert "last.ckpt, which keeps its former content" in message
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_permission_error_is_not_swallowed(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "replace", refuse)  # root ignores file modes, so the call refuses
    with pytest.raises(PermissionError, match="read-only"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(), tmp_path / "last.ckpt")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_weights_are_never_saved(tmp_path, value):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(), path)
    before = path.read_bytes()
    with pytest.raises(NonFiniteError, match=r"state_dict\.w is not finite at RL step 5: 3 of 3"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(value), path)  # epoch 4 is RL step 5
    assert path.read_bytes() == before


def test_infinite_moments_of_the_optimizer_are_refused(tmp_path: Path) -> None:
    state = {"state": {0: {"exp_avg": torch.tensor([1.0, torch.inf])}}, "param_groups": [{"lr": 1}]}
    with pytest.raises(NonFiniteError, match=r"optimizer_states\.0\.state\.0\.exp_avg is not"):
        AtomicCheckpointIO().save_checkpoint(
            checkpoint() | {"optimizer_states": [state]}, tmp_path / "last.ckpt"
        )
    assert not list(tmp_path.iterdir())


class NotAllowed:
    """A class that ``weights_only`` must refuse to build."""


def damaged(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(), path)
    whole = path.read_bytes()
    if kind == "foreign":
        torch.save(torch.ones(2), path)
    elif kind == "code":
        torch.save({"state_dict": {}, "object": NotAllowed()}, path)
    else:
        path.write_bytes({"empty": b"", "truncated": whole[:-200], "text": b"hello"}[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "truncated", "text", "foreign", "code"])
def test_damaged_file_is_named_with_a_remedy(tmp_path, kind):
    path = damaged(tmp_path, kind)
    (tmp_path / "rl_step_9.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        AtomicCheckpointIO().load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "rl_step_9.ckpt" in str(caught.value)


def test_missing_file_and_unsafe_loading_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "nothing.ckpt")
    with pytest.raises(FileNotFoundError, match="remote"):
        AtomicCheckpointIO().load_checkpoint("http://127.0.0.1:9/last.ckpt")
    path = damaged(tmp_path, "foreign")
    with pytest.raises(ValueError, match="weights_only=False"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)


def test_resolve_checkpoint(tmp_path):
    assert resolve_checkpoint(None, tmp_path) is None
    with pytest.raises(FileNotFoundError, match="; name a file, or last, or leave it out"):
        resolve_checkpoint("last", tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "rl_step_1.ckpt").touch()
    with pytest.raises(FileNotFoundError, match=r"rl_step_1\.ckpt"):
        resolve_checkpoint("last", tmp_path)
    (folder / "last.ckpt").touch()
    assert resolve_checkpoint("last", tmp_path) == folder / "last.ckpt"
    assert resolve_checkpoint(str(folder / "rl_step_1.ckpt"), tmp_path).name == "rl_step_1.ckpt"
    with pytest.raises(FileNotFoundError, match=r"typo\.ckpt"):
        resolve_checkpoint(tmp_path / "typo.ckpt", tmp_path)


def test_last_is_no_choice_between_starts_of_one_name(tmp_path):
    last = {}
    for age, name in enumerate(("run-10", "run-2", "run", "run-3", "run-seed1", "other-2")):
        last[name] = tmp_path / name / "checkpoints" / "last.ckpt"
        last[name].parent.mkdir(parents=True)
        last[name].touch()
        os.utime(last[name], (0, 1000 - age))
    with pytest.raises(ValueError, match="later starts of this run") as error:
        resolve_checkpoint("last", tmp_path / "run")
    listed = ", ".join(str(last[name]) for name in ("run-10", "run-2", "run"))
    assert str(error.value).endswith(f"name the one that is meant, {listed}")
    assert resolve_checkpoint("last", tmp_path / "run-2") == last["run-2"]
    assert resolve_checkpoint(last["run"], tmp_path / "run") == last["run"]  # named
    os.utime(last["run"], (0, 2000))  # it was continued since
    assert resolve_checkpoint("last", tmp_path / "run") == last["run"]


CONFIG = {
    "seed_everything": 0,
    "model": {"loss": {"class_path": "lit_entropy.losses.PPOClip", "init_args": {"clip": 0.2}}},
    "trainer": {
        "max_epochs": 10,
        "betas": (0.9, 0.95),
        "logger": {"a": 1},
        "callbacks": [
            {"class_path": "x.RLProgressBar", "init_args": {"print_every": 5}},
            {"class_path": "x.Entropy", "init_args": {}},
            {"class_path": "x.Entropy", "init_args": {"bins": 3}},
        ],
    },
}


def changed(path: tuple, value: object) -> dict:
    config = copy.deepcopy(CONFIG)
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("trainer", "max_epochs"), 20),
        (("trainer", "logger"), False),
        (("trainer", "callbacks", 0, "init_args", "print_every"), 1),
        (("trainer", "betas"), [0.9, 0.95]),  # YAML knows no tuples
    ],
)
def test_resume_may_change_length_and_display(path, value):
    check_same_experiment(CONFIG, changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            ("model", "loss", "init_args", "clip"),
            0.28,
            "model.loss.init_args.clip: 0.2 -> 0.28",
        ),
        (("model", "loss", "class_path"), "my.Loss", "lit_entropy.losses.PPOClip' -> 'my.Loss'"),
        (("model", "extra"), 1, "model.extra: '(absent)' -> 1"),
        (
            ("trainer", "callbacks", 2, "init_args", "bins"),
            4,
            "trainer.callbacks.Entropy#2.init_args.bins: 3 -> 4",
        ),
        (("trainer", "max_epochs_typo"), 1, "trainer.max_epochs_typo"),
    ],
)
def test_resume_refuses_another_experiment(path, value, line):
    with pytest.raises(ValueError, match="another configuration") as caught:
        check_same_experiment(CONFIG, changed(path, value))
    assert line in str(caught.value)


def test_resume_lists_every_difference_and_takes_an_own_ignore_list():
    new = changed(("seed_everything",), 1)
    new["trainer"]["max_epochs"] = 99
    with pytest.raises(ValueError) as caught:
        check_same_experiment(CONFIG, new, may_change=())
    assert "seed_everything: 0 -> 1" in str(caught.value)
    assert "trainer.max_epochs: 10 -> 99" in str(caught.value)
    check_same_experiment(CONFIG, new, may_change=("seed_everything", "trainer"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a run, with weights, moments, loops and configuration."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("written")
    fit(folder, *ALONE, "--trainer.max_epochs=1")
    return folder / "quickstart-seed0" / "checkpoints" / "last.ckpt"


def flipped(whole: bytes, position: int, bit: int) -> bytes:
    return whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :]


def test_a_flipped_bit_is_refused(written: Path, tmp_path: Path) -> None:
    """Two hundred of them: what loads at all holds the same bits, the flip is in the padding."""
    whole, places = written.read_bytes(), random.Random(0)
    expected = torch.load(written, weights_only=True)
    path, loaded = tmp_path / "last.ckpt", 0
    for _ in range(200):
        path.write_bytes(flipped(whole, places.randrange(len(whole)), places.randrange(8)))
        try:
            found = AtomicCheckpointIO().load_checkpoint(path)
        except CheckpointError as error:
            assert str(error).startswith(f"{path} is damaged") and "\n" not in str(error)
        else:
            loaded += 1
            assert_same_state(found, expected)
    assert loaded < 10


def test_a_flipped_bit_of_a_weight_is_refused_by_name(written: Path, tmp_path: Path) -> None:
    """torch itself loads it, with another weight."""
    whole = written.read_bytes()
    weight = torch.load(written, weights_only=True)["state_dict"]["policy.model.lm_head.weight"]
    place = whole.index(weight.numpy().tobytes())
    path = tmp_path / "last.ckpt"
    path.write_bytes(flipped(whole, place + 6, 3))
    torch.load(path, weights_only=True)
    with pytest.raises(CheckpointError, match=r"last\.ckpt is damaged .*Bad CRC-32 for file"):
        AtomicCheckpointIO().load_checkpoint(path)
    with pytest.raises(CheckpointError, match="Bad CRC-32"):
        export(str(path), str(tmp_path / "exported"))
    with pytest.raises(CheckpointError, match="Bad CRC-32"):
        EntropyModule.load_from_checkpoint(path)
    assert not (tmp_path / "exported").exists()


def test_no_flipped_bit_of_the_archives_directory_changes_what_is_loaded() -> None:
    """All of them: checksums do not cover it, and zipfile and torch do not read it alike."""
    state = {"w": torch.arange(1.0, 6.0), "epoch": 4}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    whole = buffer.getvalue()
    refused = 0
    for position in range(whole.index(b"PK\x01\x02"), len(whole)):
        for bit in range(8):
            try:
                found = load_intact(io.BytesIO(flipped(whole, position, bit)))
            except Exception:  # of many types: load_checkpoint makes one of them
                refused += 1
            else:
                assert_same_state(found, state)
    assert refused > 500


def test_a_record_that_is_called_a_folder_is_refused(written: Path, tmp_path: Path) -> None:
    """torch returns a tensor of whatever lay in memory."""
    whole, path = bytearray(written.read_bytes()), tmp_path / "last.ckpt"
    entry = whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"archive/data/3"))
    whole[entry + 38] |= 0x10
    path.write_bytes(whole)
    torch.load(path, weights_only=True)
    with pytest.raises(CheckpointError, match=r"directory calls archive/data/3\d? a folder"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_checksums_are_written_whatever_the_process_has_set(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    AtomicCheckpointIO().save_checkpoint(checkpoint(2.5), tmp_path / "last.ckpt")
    assert AtomicCheckpointIO().load_checkpoint(tmp_path / "last.ckpt")["epoch"] == 4
