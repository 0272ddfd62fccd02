"""The error census: wrong inputs of every kind end in a few lines, the last of which names it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet
from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
from lightning.pytorch.loops.fit_loop import _FitLoop

from lit_entropy.cli.start import console

sys.path.insert(0, str(Path(__file__).parent))
from wrong_inputs import STARTS, Wrong, write_files, wrong_inputs

INPUTS = wrong_inputs()


class Accepted(BaseException):
    """A command has reached the first batch of its work."""


def accepted(*_: object) -> None:
    raise Accepted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("census")
    write_files(made)
    torch.save({"state_dict": {}}, made / "weights.ckpt")
    yield made
    sys.modules.pop("my_part", None)  # of this folder alone


@pytest.fixture(autouse=True)
def _in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(_FitLoop, "run", accepted)
    monkeypatch.setattr(_EvaluationLoop, "run", accepted)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_census_is_large() -> None:
    assert len({tuple(wrong.words) for wrong in INPUTS}) == len(INPUTS) >= 150


def cases() -> list[ParameterSet]:
    """Every input; three fifths of those that need an experiment's parser in the long form."""
    made = []
    for number, wrong in enumerate(INPUTS):
        later = number % 5 in (1, 2, 4) and wrong.words[0] in ("fit", "validate")
        name = " ".join(wrong.words[-4:])[-60:]
        made.append(pytest.param(wrong, id=name, marks=[pytest.mark.slow] if later else []))
    return made


@pytest.mark.parametrize("wrong", cases())
def test_a_wrong_input_ends_in_a_few_lines(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lit-entropy", *wrong.words])
    with pytest.raises(SystemExit) as end:
        console()
    assert end.value.code not in (0, None)
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 5, lines
    assert wrong.held in lines[-1], lines


def test_the_right_input_reaches_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lit-entropy", *STARTS["Q"]])
    with pytest.raises(Accepted):
        console()
