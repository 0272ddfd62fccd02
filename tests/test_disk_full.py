"""A disk that is full is said as that, in one line, whatever was being written."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest
import torch
from safetensors.torch import save_file

from lit_entropy.atomic import write_once
from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.cli import start
from lit_entropy.errors import disk_full
from lit_entropy.figures.style import save
from lit_entropy.tracking.metrics_file import MetricsFile

FORK = multiprocessing.get_context("fork")
LONG = b"x" * 5000
FULL = r"disk full \(File too large\)"


def metrics(path: Path) -> None:
    table = MetricsFile(path)
    for step in range(100):
        table.write(step, {f"metric_{number}": step / 7 for number in range(10)})


#: What a run writes, larger than the limit.
WRITERS: dict[str, Callable[[Path], object]] = {
    "last.ckpt": lambda path: AtomicCheckpointIO().save_checkpoint(
        {"state_dict": {"w": torch.ones(100_000)}}, path
    ),
    "model.safetensors": lambda path: save_file({"w": torch.ones(100_000)}, path),
    "metrics.csv": metrics,
    "step_00001.jsonl": lambda path: write_once(path.parent, path.stem, ".jsonl", LONG),
    "step_00001.html": lambda path: write_once(path.parent, path.stem, ".html", LONG),
    "summary.png": lambda path: save(matplotlib.figure.Figure(), path.with_suffix("")),
}


def say(folder: Path, pipe: Any) -> None:
    """What is said of each writer where no file may have more than 2,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    said = {}
    for name, write in WRITERS.items():
        try:
            write(folder / name)
        except Exception as error:
            said[name] = disk_full(error)
        else:
            said[name] = "written"
    pipe.send(said)


def test_every_writer_says_it(tmp_path: Path) -> None:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=say, args=(tmp_path, theirs))
    process.start()
    said = ours.recv() if ours.poll(60) else {}
    process.join()
    assert said.keys() == WRITERS.keys()
    for name, text in said.items():
        assert text and re.match(FULL, text), (name, text)
        assert "\n" not in text and "--ckpt_path RUN/checkpoints/last.ckpt" in text
        assert name == "model.safetensors" or f"{tmp_path}/{name}" in text
    assert not list(tmp_path.glob("*.tmp-*"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "No space left on device"),
        (errno.EDQUOT, "Disk quota exceeded"),
        (errno.EFBIG, "File too large"),
    ],
)
def test_the_command_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: int, words: str
) -> None:
    def run(arguments: list[str]) -> None:
        try:
            raise OSError(code, os.strerror(code), "runs/a/metrics.csv")
        except OSError as error:
            raise RuntimeError("the archive was not closed") from error  # as torch's writer does

    monkeypatch.setattr(start, "start", run)
    with pytest.raises(SystemExit) as ended:
        start.console()
    assert ended.value.code == 1
    assert capfd.readouterr().err == (
        f"lit-entropy: disk full ({words}) while writing runs/a/metrics.csv: free some space or "
        "raise the limit; a run goes on with --ckpt_path RUN/checkpoints/last.ckpt, RUN its "
        "folder\n"
    )


def test_other_errors_are_none() -> None:
    assert disk_full(OSError(errno.EACCES, "Permission denied")) is None
    assert disk_full(RuntimeError("disk full")) is None
