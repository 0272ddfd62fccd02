"""Checkpoint folders: round trip, no code on reading, and the renames of a replacement."""

from __future__ import annotations

import errno
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from test_resume import assert_same_state

from lit_entropy.atomic import copy_path, keep_path, replace_path
from lit_entropy.checkpoints import folders
from lit_entropy.checkpoints.folders import (
    RECORDS,
    by_number,
    is_distributed,
    load_into,
)
from lit_entropy.checkpoints.intact import DIGEST, write_digest
from lit_entropy.checkpoints.io import AtomicCheckpointIO, checked_tensors, resolve_checkpoint
from lit_entropy.errors import CheckpointError, NonFiniteError

WEIGHTS = {
    "policy.a": torch.arange(6.0).view(2, 3),
    "policy.b": torch.ones(4, dtype=torch.bfloat16),
}
MOMENTS = {
    "state": {
        name: {"step": torch.tensor(3.0), "exp_avg": -value} for name, value in WEIGHTS.items()
    },
    "param_groups": [
        {"lr": 0.1, "betas": [0.9, 0.999], "fused": None, "params": ["policy.b"]},
        {"lr": 0.2, "betas": [0.8, 0.99], "fused": None, "params": ["policy.a"]},
    ],
}


def write(folder: Path) -> Path:
    """A folder as two ranks would leave it, from one process."""
    writer = dcp.FileSystemWriter(folder)
    state = {"state_dict": WEIGHTS, "optimizer_0": MOMENTS}
    dcp.save(state, storage_writer=writer, no_dist=True)
    torch.save({"epoch": 2, "rl_steps": 3}, folder / "meta.pt")
    write_digest(folder)
    return folder


def describe(folder: Path, content: bytes) -> None:
    """Another description, with the digest that whoever forges it would add."""
    (folder / ".metadata").write_bytes(content)
    write_digest(folder)


def test_a_folder_is_read_as_the_file_of_one_process(tmp_path: Path) -> None:
    path = write(tmp_path / "last.ckpt")
    assert is_distributed(path) and not is_distributed(tmp_path)
    assert resolve_checkpoint(path, tmp_path) == path
    checkpoint = AtomicCheckpointIO().load_checkpoint(path)
    assert checkpoint.keys() == {"state_dict", "optimizer_states", "epoch", "rl_steps"}
    for name, value in WEIGHTS.items():
        assert torch.equal(checkpoint["state_dict"][name], value)
        assert checkpoint["state_dict"][name].dtype == value.dtype
    (optimizer,) = checkpoint["optimizer_states"]
    # numbered in the order of the groups, whose first holds policy.b
    assert [group["params"] for group in optimizer["param_groups"]] == [[0], [1]]
    assert [group["lr"] for group in optimizer["param_groups"]] == [0.1, 0.2]
    assert torch.equal(optimizer["state"][1]["exp_avg"], -WEIGHTS["policy.a"])
    torch.optim.AdamW(
        [{"params": [torch.zeros(4)]}, {"params": [torch.zeros(2, 3)]}]
    ).load_state_dict(optimizer)


def test_an_optimizer_without_state_is_numbered_too() -> None:
    state = {"param_groups": [{"lr": 1.0, "params": ["x", "y"]}]}
    assert by_number(state) == {"state": {}, "param_groups": [{"lr": 1.0, "params": [0, 1]}]}


class Code:
    """What a checkpoint must not be able to run."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def test_a_description_that_names_code_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "last.ckpt")
    marker = tmp_path / "ran"
    describe(path, pickle.dumps(Code(str(marker))))
    with pytest.raises(CheckpointError, match=r"refers to posix\.mkdir"):
        AtomicCheckpointIO().load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["dataclass", "field", "Enum", "Any"])
def test_what_the_records_module_imports_is_no_record(tmp_path: Path, name: str) -> None:
    """``dataclass`` would compile the names of a record's fields, which a pickle may set."""
    assert hasattr(dcp.metadata, name)
    path = write(tmp_path / "last.ckpt")
    describe(path, f"c{RECORDS}\n{name}\n.".encode())
    with pytest.raises(CheckpointError, match=rf"refers to torch.*metadata\.{name}$"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_values_that_name_code_are_refused(tmp_path: Path) -> None:
    path, marker = tmp_path / "last.ckpt", tmp_path / "ran"
    state = {"state_dict": WEIGHTS | {"policy.c": Code(str(marker))}}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(path), no_dist=True)
    torch.save({"epoch": 2}, path / "meta.pt")
    with pytest.raises(
        CheckpointError, match=r"damaged or not a checkpoint of this run .*[Ww]eights.only"
    ):
        AtomicCheckpointIO().load_checkpoint(path)
    assert not marker.exists()


#: b"hello" and less are no pickle; the others are pickles of 1, and of the call of a string.
@pytest.mark.parametrize("content", [b"", b"hello", b"I1\n.", b"S'a'\n(tR."])
def test_a_damaged_description_is_named(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "last.ckpt")
    describe(path, content)
    with pytest.raises(CheckpointError, match=r"\.metadata cannot be read .* another checkpoint"):
        load_into(path, {"state_dict": dict(WEIGHTS)})


@pytest.mark.parametrize("keep", [0, 5, -50])
def test_a_damaged_rest_is_named(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "last.ckpt")
    rest = path / "meta.pt"
    rest.write_bytes(rest.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"meta\.pt cannot be read .* another checkpoint"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_folders_of_killed_saves_are_swept(tmp_path: Path) -> None:
    """Those of living processes stay."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for owner in (process.pid, os.getppid()):
        write(tmp_path / f"last.ckpt.tmp-{owner}")
    AtomicCheckpointIO().save_checkpoint({"state_dict": WEIGHTS}, tmp_path / "last.ckpt")
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", f"last.ckpt.tmp-{os.getppid()}"]


def test_a_former_folder_is_named_where_the_new_one_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "checkpoints" / "last.ckpt.old")
    with pytest.raises(FileNotFoundError, match=r"name one of .*last\.ckpt\.old"):
        resolve_checkpoint("last", tmp_path)
    AtomicCheckpointIO().load_checkpoint(tmp_path / "checkpoints" / "last.ckpt.old")


def test_a_replacement_is_whole_or_not_there(tmp_path: Path) -> None:
    target = write(tmp_path / "last.ckpt")
    new = tmp_path / "new"
    new.mkdir()
    (new / "meta.pt").write_bytes(b"new")
    replace_path(new, target)
    assert os.listdir(tmp_path) == ["last.ckpt"] and os.listdir(target) == ["meta.pt"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_under_the_temporary_name_is_not_followed(tmp_path: Path, folder: bool) -> None:
    source, last, valued = tmp_path / "source", tmp_path / "last.ckpt", tmp_path / "valued"
    source.write_bytes(b"new")
    valued.write_bytes(b"mine")
    if folder:
        write(last)
    (tmp_path / f"last.ckpt.tmp-{os.getpid()}").symlink_to(valued)
    with pytest.raises(OSError, match=f"Errno {errno.ELOOP}"):
        copy_path(source, last)
    assert valued.read_bytes() == b"mine" and last.exists() == folder


def test_a_file_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    target = write(tmp_path / "last.ckpt")
    AtomicCheckpointIO().save_checkpoint({"state_dict": WEIGHTS, "epoch": 5}, target)
    assert os.listdir(tmp_path) == ["last.ckpt"]
    assert AtomicCheckpointIO().load_checkpoint(target)["epoch"] == 5


@pytest.mark.parametrize("source_folder", [False, True])
@pytest.mark.parametrize("target", ["nothing", "file", "folder"])
def test_a_copy_takes_the_place_of_what_was_there(
    tmp_path: Path, source_folder: bool, target: str
) -> None:
    source, last = tmp_path / "rl_step_00003.ckpt", tmp_path / "last.ckpt"
    if target != "nothing":
        write(last) if target == "folder" else last.write_bytes(b"older")
    if source_folder:
        write(source)
    else:
        torch.save({"state_dict": WEIGHTS, "optimizer_states": [], "rl_steps": 3}, source)
    copy_path(source, last)
    assert is_distributed(last) == source_folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "rl_step_00003.ckpt"]
    loaded = AtomicCheckpointIO().load_checkpoint(last)
    assert_same_state(loaded, AtomicCheckpointIO().load_checkpoint(source))


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("before", ["nothing", "file", "folder"])
def test_what_is_kept_stays_when_its_first_name_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool, folder: bool, before: str
) -> None:
    last, kept = tmp_path / "last.ckpt", tmp_path / "last-resumed.ckpt"
    if before != "nothing":
        write(kept) if before == "folder" else kept.write_bytes(b"older")
    write(last) if folder else last.write_bytes(b"first")
    file = next(last.iterdir()) if folder else last
    content = file.read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    for _ in range(2):  # the second time it has both names already
        keep_path(last, kept)
    assert sorted(os.listdir(tmp_path)) == ["last-resumed.ckpt", "last.ckpt"]
    second = kept / file.name if folder else kept
    assert second.samefile(file) == links
    new = tmp_path / "new"
    new.write_bytes(b"second")
    replace_path(new, last)
    assert last.read_bytes() == b"second" and second.read_bytes() == content


def test_a_flipped_bit_of_a_folder_is_refused(tmp_path: Path) -> None:
    """In any of its files; what loads at all holds the same bits."""
    path, places = write(tmp_path / "last.ckpt"), random.Random(0)
    expected = AtomicCheckpointIO().load_checkpoint(path)
    refused = 0
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for _ in range(25):
            place = places.randrange(len(whole))
            changed = bytes([whole[place] ^ 1 << places.randrange(8)])
            file.write_bytes(whole[:place] + changed + whole[place + 1 :])
            try:
                assert_same_state(AtomicCheckpointIO().load_checkpoint(path), expected)
            except CheckpointError as error:
                assert str(path) in str(error) and "\n" not in str(error)
                refused += 1
        file.write_bytes(whole)
    assert refused > 0.6 * 25 * len(list(path.iterdir()))


@pytest.mark.parametrize("moment", ["load", "load_rest"])
def test_a_folder_that_is_replaced_while_it_is_read_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path, newer = write(tmp_path / "last.ckpt"), write(tmp_path / "newer")
    torch.save({"epoch": 3, "rl_steps": 4}, newer / "meta.pt")
    module = dcp if moment == "load" else folders
    read = getattr(module, moment)

    def late(*arguments: Any, **options: Any) -> Any:
        if newer.exists():
            replace_path(newer, path)
        return read(*arguments, **options)

    monkeypatch.setattr(module, moment, late)
    with pytest.raises(CheckpointError, match=r"last\.ckpt was replaced while it was read: read"):
        AtomicCheckpointIO().load_checkpoint(path)
    assert AtomicCheckpointIO().load_checkpoint(path)["rl_steps"] == 4  # undisturbed


def test_advantages_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    state = {"model": {"weight": torch.tensor([1.0, float("nan")])}}
    checkpoint = {"state_dict": {}, "epoch": 2, "advantage": state}
    with pytest.raises(
        NonFiniteError, match=r"advantage\.model\.weight is not finite at RL step 3"
    ):
        checked_tensors(checkpoint)


def test_a_changed_description_is_refused(tmp_path: Path) -> None:
    """It says where the tensors lie: with places swapped each part would still be whole."""
    path = write(tmp_path / "last.ckpt")
    description = (path / ".metadata").read_bytes()
    (path / ".metadata").write_bytes(description.replace(b"exp_avg", b"exp_avh"))
    with pytest.raises(CheckpointError, match=r"\.metadata is damaged .*another checkpoint"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_a_folder_of_an_earlier_version_loads_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "last.ckpt")
    (path / DIGEST).unlink()
    with pytest.warns(UserWarning, match=r"earlier version, without \.metadata\.sha256"):
        assert AtomicCheckpointIO().load_checkpoint(path)["epoch"] == 2
