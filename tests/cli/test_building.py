"""A part that refuses its arguments is named by its key, whatever other types the key takes."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from jsonargparse import ArgumentParser, Namespace

from lit_entropy.cli.building import mark, mark_trainer, marked, naming, with_key
from lit_entropy.cli.imports import import_fault
from lit_entropy.cli.refusals import refusal
from lit_entropy.cli.start import console
from lit_entropy.cli.values import NEGATIVE
from lit_entropy.losses import KLCov, PPOClip
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.policy import Policy


def refused(type_: object, value: object, config: Callable[[Namespace], Namespace]) -> str:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--loss", type=type_)
    parsed = parser.parse_object({"loss": value})
    with pytest.raises(ValueError) as caught, naming(parser, config(parsed), {}):
        parser.instantiate(parsed)
    return with_key(caught.value)


KL_COV = {"class_path": "lit_entropy.losses.KLCov", "init_args": {"fraction": 2.0}}


def test_the_part_of_a_union_and_of_a_list_is_named() -> None:
    message = "fraction=2.0 is outside [0, 1]: give a fraction (2 % is 0.02)"
    assert refused(PolicyLoss | None, KL_COV, lambda c: c) == f"loss.{message}"
    assert refused(list[PolicyLoss] | None, [KL_COV], lambda c: c) == f"loss[0].{message}"


@pytest.mark.parametrize(
    ("text", "part", "said"),
    [
        ("clip_low=-1 is bad", PPOClip, "model.loss.clip_low=-1 is bad"),
        ("loss.clip_low=-1", PPOClip, "model.loss.clip_low=-1"),
        ("model.other=3 is bad", PPOClip, "model.other=3 is bad"),
        ("model.loss.clip_low=-1", PPOClip, "model.loss.clip_low=-1"),
        ("no room", KLCov, "model.loss: KLCov: no room"),
        ("quota is 3: lower it", KLCov, "model.loss.quota is 3: lower it"),
    ],
)
def test_the_key_stands_once(text: str, part: type, said: str) -> None:
    error = ValueError(text)
    assert marked(error) is None and with_key(error) == text
    mark(error, "model.loss", part)
    assert with_key(error) == said


def test_a_setting_of_the_trainer_is_named_by_its_name_or_its_value() -> None:
    settings = {"devices": "x", "max_time": "soon", "strategy": "auto"}
    for text, key in [("`devices` should be > 0", "devices=x"), ("'soon' is no time", "max_time")]:
        error = ValueError(text)
        mark_trainer(error, settings)
        assert str(marked(error)).startswith(f"trainer.{key}")


def test_other_libraries_are_named_by_the_value_that_they_refuse() -> None:
    parser = ArgumentParser(exit_on_error=False)
    config = Namespace(optimizer=Namespace(class_path="torch.optim.SGD", init_args=Namespace()))
    with pytest.raises(ValueError) as caught, naming(parser, config, {}):
        ((builder, _, _),) = parser.instantiate.keywords["instantiators"]
        builder(torch.optim.SGD, [torch.nn.Parameter(torch.ones(1))], lr=-0.5)
    said = refusal(caught.value)
    assert said is not None and said.startswith("optimizer.lr=-0.5: SGD: Invalid learning rate")
    assert "--debug" in said


@pytest.mark.parametrize("word", ["-1", "-1e-4", "-.5", "-1.5E+3", "-.inf", "-1_000"])
def test_negative_numbers_are_values(word: str) -> None:
    assert NEGATIVE.match(word)


@pytest.mark.parametrize("word", ["-c", "--1", "-e3", "-1x", "-"])
def test_other_words_are_none(word: str) -> None:
    assert not NEGATIVE.match(word)


def test_what_an_import_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    assert import_fault("lit_entropy.losses.KLCov") is None
    assert import_fault("lit_entropy.losses.KLCovv") == (
        "the module lit_entropy.losses has no KLCovv; did you mean KLCov?"
    )
    monkeypatch.chdir(str(tmp_path))
    assert import_fault("my_part.X") == (
        "there is no module my_part; put the folder that it is in on PYTHONPATH"
    )
    with open("my_part.py", "w"):
        pass
    assert "my_part.py is here: write PYTHONPATH=." in str(import_fault("my_part.X"))


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, lines in (["fit", "--config", "quikstart"], 1), (["fti"], 2):
        for debug in (False, True):
            monkeypatch.setattr(sys, "argv", ["lit-entropy", *words, *["--debug"] * debug])
            with pytest.raises(SystemExit) as end:
                console()
            shown = capsys.readouterr().err
            assert end.value.code == 2
            assert ("Traceback" in shown) is debug
            assert debug or len(shown.splitlines()) == lines


def test_a_key_in_full_stands_once_where_an_argument_is_called_as_the_group() -> None:
    """``model`` is the group of settings, and an argument of the policy."""
    error = ValueError("model.policy.model='a/b': the hub has no such model")
    mark(error, "model.policy", Policy)
    assert with_key(error) == str(error)
