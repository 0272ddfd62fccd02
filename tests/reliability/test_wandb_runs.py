"""Whole runs beside bad servers of W&B, and flipped bits: two and a few; the long form has all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "tracking"))
from attacked_runs import NAME
from flipped_bits import flip_bits
from wandb_runs import beside, whole_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    folder = tmp_path_factory.mktemp("beside") / "whole"
    return folder, whole_run(folder)


LATER = "broken, once it has rows"


# beside other tests the library may not have sent its first rows when the run is over
@pytest.mark.slow  # half a minute; tracking/test_wandb_servers.py has servers without whole runs
@pytest.mark.parametrize("server", ["drips", LATER])
def test_a_server_costs_ten_seconds_at_most_and_changes_nothing(
    tmp_path: Path, whole: tuple[Path, float], server: str
) -> None:
    """The exit counts: the library waited there for half a minute to report on itself."""
    found = beside(server, tmp_path / "run", *whole)
    assert found.wrong == [], found
    assert found.rows == (1 if server == LATER else 0)


def test_flipped_bits_are_refused_or_change_nothing(
    tmp_path: Path, whole: tuple[Path, float]
) -> None:
    checkpoint = whole[0] / "0" / "runs" / NAME / "checkpoints" / "last.ckpt"
    found = flip_bits(checkpoint, 100, tmp_path / "copy.ckpt")
    assert found.wrong == [] and found.flips >= 99
    assert found.refused + found.identical == found.flips and found.refused > 80
