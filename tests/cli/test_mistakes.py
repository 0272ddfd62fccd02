"""A mistake ends in a usage hint and one line that names key, value and remedy; keys have help."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser, capture_parser
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from lit_entropy.checkpoints.io import resolve_checkpoint
from lit_entropy.cli import start as command_line
from lit_entropy.cli.commands import COMMANDS, add_command_arguments, load
from lit_entropy.cli.main import ExperimentParser, main
from lit_entropy.cli.refusals import refuse
from lit_entropy.cli.start import console
from lit_entropy.errors import ensure_finite
from lit_entropy.losses import KLCov
from lit_entropy.tracking.run_folder import claim_run_folder

NAN = torch.tensor(float("nan"))
QUICKSTART = ["fit", "--config", "quickstart"]
CHECKER = ["--data.task.checker=NumberChecker"]
MISTAKES = [
    ([*QUICKSTART, "--data.group_size=many"], "data.group_size=many: expected a whole number"),
    (
        [*QUICKSTART, "--model.loss=KLCovv"],
        "model.loss=KLCovv: neither a known component nor a file nor a class_path (module.Class); "
        "did you mean KLCov?; known are ClipCov, KLCov, PPOClip, PolicyGradient, ",
    ),
    ([*QUICKSTART, "--trainer.callbacks+=EntropyLawz"], "did you mean EntropyLaw?; known are "),
    ([*QUICKSTART, "--data.task=Chain"], "known are ChainArithmetic, Countdown, DatasetTask, "),
    (
        [*QUICKSTART, "--data.task=DatasetTask", "--data.task.checker=NumberCheck"],
        "data.task.checker=NumberCheck: neither a known component",
    ),
    ([*QUICKSTART, "--trainer.max_epoch=3"], "did you mean --trainer.max_epochs"),
    ([*QUICKSTART, "--run.wandb=maybe"], "run.wandb=maybe: expected one of 'auto', 'on', "),
    (
        [*QUICKSTART, "--model.loss=KLCov", "--model.loss.fractoin=0.1"],
        "model.loss: KLCov has no argument fractoin; did you mean fraction?; it has fraction, ",
    ),
    (
        [*QUICKSTART, "--model.engine.max_rows=8"],
        "model.engine.max_rows: model.engine is null and has no settings: name its class first, by "
        "--model.engine; known are ",
    ),
    ([*QUICKSTART, "--model.optimizer.lr=x"], "model.optimizer.lr=x: expected a number"),
    ([*QUICKSTART, "--run.name=${nope}"], "run.name: Interpolation key 'fit.nope' not found"),
    (
        ["fit", "--config", "experiment/kl_cov"],
        "required and not given: model.policy, model.advantage, data.task; an experiment's file is "
        "laid over base.yaml: --config base --config experiment/kl_cov, or --config quickstart",
    ),
    (
        [*QUICKSTART, "--seed_everything", "0,1", "--model.loss=KLCov"],
        "seed_everything=0,1: a run has one seed; a run for each: lit-entropy sweep --config ",
    ),
    ([*QUICKSTART, "--seed_everything=[0, 1]"], '--seeds "[0, 1]"'),
    (["validate", *QUICKSTART[1:], "--seed_everything=0,1"], "0,1: expected a whole n"),
    (
        [*QUICKSTART, "--model.optimizer.lr=[1e-4, 2e-4]"],
        "; for a run with each value: lit-entropy sweep --over.model.optimizer.lr",
    ),
    (
        [*QUICKSTART, "--model.loss=[PPOClip, KLCov]"],
        "model.loss=['PPOClip', 'KLCov']: expected one component; for a run with each value: lit-e",
    ),
    (["figures"], "lit-entropy figures: error: required and not given: runs"),
    (["fit"], "lit-entropy fit: error: required and not given: model.policy, model.loss, "),
    (["fti"], "there is no subcommand fti; did you mean fit?; there are fit, validate, test, "),
    (["valdate"], "there is no subcommand valdate; did you mean validate?; "),
    ([*QUICKSTART, "--run.wandb=of"], "'on', 'offline', 'off'; did you mean off?"),
    ([*QUICKSTART, "--trainer.precision=b16"], "b16: expected 64 or 32 or 16 or 'transformer-en"),
    (
        [*QUICKSTART, "--model.optimizer.lrr=1"],
        "model.optimizer: AdamW has no argument lrr; did you mean lr?; it has lr, betas, eps, ",
    ),
    (
        [*QUICKSTART, "--model.optimizer=AdmW"],
        "did you mean AdamW or Adam?; known are ASGD, AcceleratedOptimizer, Adadelta, ",
    ),
    (
        [*QUICKSTART, "--data.task=DatasetTask", *CHECKER, "--data.task.checker.x=1"],
        "data.task.checker: NumberChecker has no argument x",
    ),
    (
        ["validate", *QUICKSTART[1:], "--checkpoints=[bse]"],
        "checkpoints='bse': there is no file bse; did you mean base?",
    ),
    (["validate", *QUICKSTART[1:], "--checkpoints=[lst]"], "did you mean last?"),
    ([*QUICKSTART, "--ckpt_path=lsat"], "ckpt_path='lsat': there is no file lsat; did you mean la"),
    (
        ["sweep", *QUICKSTART[1:], "--over.model.los", "PPOClip,KLCov"],
        "over.model.los: unrecognized arguments: --model.los PPOClip,KLCov; did you mean --model",
    ),
    (["sweep", *QUICKSTART[1:], "--over.model.loss", "KLCov"], "over.model.loss=KLCov: give a li"),
    (["sweep", *QUICKSTART[1:], "--jobss", "2"], "--jobss 2; did you mean --jobs?"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[m[:40] for _, m in MISTAKES])
def test_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["lit-entropy", *arguments])
    with pytest.raises(SystemExit) as end:
        console()
    assert end.value.code == 2
    *usage, line = capsys.readouterr().err.splitlines()
    assert message in line and ": error: " in line
    assert len(usage) <= 1 and all("--help explains every key" in text for text in usage)
    called = line.partition(": error: ")[0]
    assert all(text.startswith(f"usage: {called} [options]; {called} --he") for text in usage)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {los: KLCov}", "model.los: there is no such key; did you mean model.loss or "),
        ("trainer: {max_epoch: 3}", "trainer.max_epoch: there is no such key; did you mean tr"),
        ("zzz: {qqq: 3}", "zzz.qqq: there is no such key; fit --help lists the keys (in my.y"),
    ],
)
def test_a_key_of_a_file_that_there_is_none_of(
    text: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(text)
    with pytest.raises(SystemExit):
        main([*QUICKSTART, "--config", "my.yaml"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"lit-entropy fit: error: {message}") and line.endswith("(in my.yaml)")


def test_what_a_message_quotes_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """An escape sequence, a line end of Unicode, a lone surrogate, which no encoding has."""
    with pytest.raises(SystemExit, match="2"):
        command_line.run_light(["figures", "--labels=a\x1b[2J\u2028b"])
    said = capsys.readouterr().err.splitlines()
    begin = "lit-entropy figures: error: labels=a\\x1b[2J b "
    assert len(said) == 2 and said[1].startswith(begin)
    with pytest.raises(SystemExit):
        refuse("run.name=a\x1c\ud83dé: taken,\ntake another one")
    assert capsys.readouterr().err == (
        "lit-entropy: error: run.name=a\\x1c\\ud83dé: taken,\ntake another one\n"
    )


@pytest.mark.parametrize("word", ["--output=\udcff${", "\ud83d", "--run.name=a\udc80"])
def test_a_word_that_is_not_utf8_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Python has a surrogate in place of each byte that it cannot decode; no file could hold it."""
    for start in (command_line.run_light, main):
        with pytest.raises(SystemExit, match="2"):
            start(["figures" if start is command_line.run_light else "fit", word])
        said = capsys.readouterr().err.splitlines()[-1]
        assert said == f"lit-entropy: error: {word!a} is not UTF-8: type or encode it as UTF-8"


@pytest.mark.parametrize("text", ["run: {name: 1e-6}", "run: {name: true}"])
def test_a_number_for_a_name_in_a_file(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit):
        main([*QUICKSTART, "--config", str(file)])
    assert capsys.readouterr().err.endswith(": expected text (in a file: in quotes)\n")


def misconfigured() -> None:
    raise MisconfigurationException("two progress bars")


REFUSED: list[Callable[[], object]] = [
    lambda: claim_run_folder("runs", "..", resume=False),
    lambda: resolve_checkpoint("nowhere.ckpt", "runs"),
    misconfigured,
    lambda: ensure_finite("x", NAN, 1),
]
FAULTS: list[Callable[[], object]] = [lambda: int("x")]


@pytest.mark.parametrize("call", REFUSED)
def test_a_refusal_is_one_line(
    call: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command_line, "start", lambda _: call())
    with pytest.raises(SystemExit) as end:
        console()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("lit-entropy: error: ")
    monkeypatch.setenv("LIT_ENTROPY_DEBUG", "1")
    with pytest.raises(SystemExit) as end:
        console()
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.startswith("Traceback (most recent call last):\n")
    kinds = ("ValueError", "FileNotFoundError", "MisconfigurationException", "NonFiniteError")
    assert said.splitlines()[-1].partition(":")[0].rpartition(".")[2] in kinds


@pytest.mark.parametrize("call", FAULTS)
def test_a_fault_is_a_traceback(
    call: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command_line, "start", lambda _: call())
    with pytest.raises(SystemExit) as end:
        console()
    lines = capsys.readouterr().err.splitlines()
    assert end.value.code == 1 and lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("ValueError: invalid literal")


PACKAGES = ("losses", "advantages", "regularizers", "rollouts", "tasks", "verify", "callbacks")
PACKAGES += ("distributed", "evaluation", "policy", "cli.options", "step.collector")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_argument_of_a_component_has_help(package: str) -> None:
    module = import_module(f"lit_entropy.{package}")
    names = getattr(module, "__all__", None) or vars(module)
    classes = [part for part in (getattr(module, name) for name in names) if inspect.isclass(part)]
    missing = []
    for part in classes:
        if issubclass(part, Exception) or not part.__module__.startswith("lit_entropy."):
            continue
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(part, "x", fail_untyped=False)
        actions = [action for action in parser._actions if action.dest.startswith("x.")]
        missing += [f"{part.__name__}: {action.dest}" for action in actions if not action.help]
    assert not missing


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_of_a_command_has_help(name: str) -> None:
    parser = ExperimentParser()
    add_command_arguments(parser, load(name))
    assert [action.dest for action in parser._actions if not action.help] == []


@pytest.mark.parametrize("name", ["fit", "validate", "test", "predict"])
def test_every_key_of_an_experiment_has_help(name: str) -> None:
    parser = capture_parser(lambda: main([name, "--config", "quickstart"]))
    actions = parser._subcommands_action._name_parser_map[name]._actions
    assert [action.dest for action in actions if not (action.help or "").strip()] == []
    assert {"data.group_size", "model.loss", "run.name", "trainer.max_epochs"} <= {
        action.dest for action in actions
    }


def test_help_of_a_component(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", f"--model.loss.help={KLCov.__module__}.KLCov"])
    assert "fraction" in capsys.readouterr().out
