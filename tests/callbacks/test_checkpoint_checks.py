"""Checkpoints lie in the run's folder, and what one rank refuses all of them refuse."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from runs import ALONE, fit

from lit_entropy.callbacks.checkpoint_checks import (
    check_ended,
    check_own_folder,
    check_whole_step,
    refuse_together,
)


def test_checkpoints_elsewhere_are_refused_at_setup(tmp_path: Path) -> None:
    elsewhere, runs = tmp_path / "elsewhere", tmp_path / "runs"
    for dirpath in (elsewhere, runs / "quickstart-seed0" / ".." / "other"):
        with pytest.raises(ValueError) as error:
            fit(runs, *ALONE, f"--checkpoint.dirpath={dirpath}")
        assert str(error.value) == (
            f"checkpoint.dirpath={dirpath.resolve()} does not lie in the run's folder "
            f"{runs}/quickstart-seed0: leave it out (null), and name the place of the run with "
            "run.folder and run.name"
        )
    assert not elsewhere.exists() and list(runs.iterdir()) == []


def test_what_lies_within_a_run(tmp_path: Path) -> None:
    run, disk = tmp_path / "run", tmp_path / "disk"
    run.mkdir(), disk.mkdir()
    (run / "checkpoints").symlink_to(disk)  # by the owner of the run, for its space
    (tmp_path / "link").symlink_to(run)
    for inside in (run / "checkpoints", run / "a" / "b", tmp_path / "link" / "c"):
        check_own_folder(inside, run)
    check_own_folder(tmp_path / "link" / "checkpoints", tmp_path / "link")
    for outside in (run, tmp_path, disk, tmp_path / "run-2" / "checkpoints", run / ".." / "x"):
        with pytest.raises(ValueError, match="does not lie in the run's folder"):
            check_own_folder(outside, run)


class TwoRanks:
    """The broadcast of two ranks that are threads."""

    def __init__(self) -> None:
        self.barrier, self.said = threading.Barrier(2, timeout=10), [None]

    def strategy(self, rank: int) -> Any:
        def broadcast(value: Any) -> Any:
            if rank == 0:
                self.said = [value]
            self.barrier.wait()
            return self.said[0]

        return SimpleNamespace(is_global_zero=rank == 0, broadcast=broadcast)


@pytest.mark.parametrize("wrong", [False, True])
def test_every_rank_refuses_what_rank_0_does(wrong: bool) -> None:
    """One that did not would wait for the others for ever."""
    ranks, asked, caught = TwoRanks(), [], {}

    def check() -> None:
        asked.append(1)
        if wrong:
            raise KeyError("the row of RL step 2")

    def run(rank: int) -> None:
        try:
            refuse_together(ranks.strategy(rank), check)
        except Exception as error:
            caught[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert asked == [1]
    assert {rank: type(error) for rank, error in caught.items()} == (
        {0: KeyError, 1: ValueError} if wrong else {}
    )
    assert all("the row of RL step 2" in str(error) for error in caught.values())


def test_a_step_that_was_cut_short_and_a_fit_that_nothing_ended() -> None:
    """What Lightning's loops make of a StopIteration."""
    check_whole_step(3, 24, 8, 24)
    with pytest.raises(RuntimeError, match="RL step 3 ended 2 of its 8 updates early"):
        check_whole_step(3, 22, 8, 22)
    with pytest.raises(RuntimeError, match="RL step 3 ended in what follows its last update"):
        check_whole_step(3, 24, 8, 23)
    for ended in ((3, 3, 24, -1, False), (2, 3, 16, 16, False), (2, 3, 16, -1, True),
                  (2, -1, 16, 16, False), (0, 0, 0, -1, False), (4, 3, 32, -1, False)):  # fmt: skip
        check_ended(*ended)
    for begun in ((2, 3, 16, -1, False), (2, 3, 16, 24, False), (2, None, 16, -1, False)):
        with pytest.raises(RuntimeError, match="the fit ended after RL step 2 of"):
            check_ended(*begun)
