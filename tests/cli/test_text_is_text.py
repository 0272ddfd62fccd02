"""A text that names an existing file is read where it names a component, and only there."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from data_files import gsm8k, write_jsonl
from jsonargparse import ArgumentParser, Namespace, capture_parser
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.strategies import Strategy

from lit_entropy.cli.arguments import ready_arguments
from lit_entropy.cli.classes import choose
from lit_entropy.cli.commands import COMMANDS
from lit_entropy.cli.component_files import names_component
from lit_entropy.cli.main import main
from lit_entropy.cli.start import light_parser
from lit_entropy.evaluation import SetSampling
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks.records import DataFile

#: What a hostile data set may hold: a component whose module leaves a trace when it is imported.
HOSTILE = {
    "class": '{"class_path": "left_a_trace.X"}',
    "path": '{"path": "/other.jsonl"}',
    "reference": '{"path": "${oc.env:SECRET_OF_MINE}"}',
    "list": '["left_a_trace.X"]',
    "lines": "left_a_trace.X\nleft_a_trace.X\n",
    "empty": "",
    "null": "null",
    "number": "7",
    "broken": "{a: [",
    "tag": "!!python/object/apply:left_a_trace.X []",
}
TASK = "data.task.init_args."
DATA = ["--data.task=DatasetTask", "--data.task.checker=NumberChecker"]


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trace of an import; the working directory is a fresh one."""
    found = tmp_path / "trace"
    (tmp_path / "left_a_trace.py").write_text(
        f"open({str(found)!r}, 'w').close()\nclass X: pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SECRET_OF_MINE", "canary-71c2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "left_a_trace", raising=False)
    return found


@cache
def parser_of(command: str) -> ArgumentParser:
    return capture_parser(lambda: main([command, "--config", "quickstart"]))


def parsed(*flags: str, command: str = "fit") -> Namespace:
    """The settings of a command that is parsed and not run."""
    words = choose(ready_arguments([command, "--config", "quickstart", *flags])).arguments
    return parser_of(command).parse_args(words)[command]


def test_a_data_set_is_its_path(trace: Path) -> None:
    sets = {name: f"{name}.jsonl" for name in HOSTILE}
    for name, file in sets.items():
        Path(file).write_text(HOSTILE[name], encoding="utf-8")
    # as one set by several flags, of which the last one counts, and as one of several sets
    flags = [
        f"--data.task.{key}={file}" for key in ("train", "validation") for file in sets.values()
    ]
    config = parsed(*DATA, *flags)
    assert config[TASK + "train"] == config[TASK + "validation"] == "tag.jsonl"
    assert parsed(*DATA, f"--data.task.validation={json.dumps(sets)}")[TASK + "validation"] == sets
    assert not trace.exists() and "left_a_trace" not in sys.modules


def test_a_data_set_is_its_path_in_files_and_evaluating_commands(trace: Path) -> None:
    Path("rows.jsonl").write_text(HOSTILE["class"], encoding="utf-8")
    arguments = {"checker": "NumberChecker", "train": "rows.jsonl", "validation": "rows.jsonl"}
    task = {"class_path": "DatasetTask", "init_args": arguments}
    Path("task.yaml").write_text(json.dumps(task), encoding="utf-8")
    Path("data.yaml").write_text(json.dumps({"task": task}), encoding="utf-8")
    Path("whole.yaml").write_text(json.dumps({"data": {"task": task}}), encoding="utf-8")
    named = json.dumps({"data": {"task": "task.yaml"}})
    Path("naming.yaml").write_text(named, encoding="utf-8")
    ways = ["--data.task=task.yaml", "--data=data.yaml", "--config=whole.yaml"]
    for way in [*ways, "--config=naming.yaml", f"--data.task={json.dumps(task)}"]:
        assert parsed(way)[TASK + "train"] == "rows.jsonl"
    for command in ("validate", "test", "predict"):
        config = parsed("--data.task=task.yaml", command=command)
        assert config[TASK + "validation"] == "rows.jsonl"
    assert not trace.exists()


def test_a_record_of_a_data_set_is_still_read(trace: Path) -> None:
    config = parsed(*DATA, "--data.task.train={path: rows.jsonl, answer_field: gold}")
    assert (config[TASK + "train"].path, config[TASK + "train"].answer_field) == (
        "rows.jsonl",
        "gold",
    )


WORDS: dict[str, tuple[str, Any]] = {
    "run.name": ("foo", "foo"),
    "run.notes": ("foo", "foo"),
    "run.folder": ("foo", "foo"),
    "run.project": ("foo", "foo"),
    "run.tags": ("[foo]", ["foo"]),
    "trainer.accelerator": ("cpu", "cpu"),
    "trainer.strategy": ("auto", "auto"),
    "trainer.logger": ("false", False),
    "trainer.profiler": ("simple", "simple"),
    "trainer.max_epochs": ("7", 7),
    "trainer.devices": ("2", "2"),
    "seed_everything": ("3", 3),
    "ckpt_path": ("last", "last"),
    "model.policy.init_args.model": ("Qwen", "Qwen"),
    "model.policy.init_args.tokenizer": ("Qwen", "Qwen"),
    "data.task.init_args.reward": ("random.random", "random.random"),
}
COMPONENTS = {
    "model.loss": "KLCov",
    "model.optimizer": "AdamW",
    "model.lr_scheduler": "ConstantLR",
    "model.regularizers": "[EntropyBonus]",
    "trainer.callbacks": "[EntropyMonitor]",
}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_value_is_not_the_file_of_that_name(kind: str, trace: Path) -> None:
    texts = {key: text for key, (text, _) in WORDS.items()} | COMPONENTS
    for name in {text.strip("[]") for text in texts.values()}:
        if kind == "file":
            Path(name).write_text(HOSTILE["class"], encoding="utf-8")
        else:
            Path(name).mkdir()
    found = parsed(*(f"--{key}={text}" for key, text in texts.items()))
    assert {key: found[key] for key in WORDS} == {key: value for key, (_, value) in WORDS.items()}
    for key, name in COMPONENTS.items():
        part = found[key][0] if isinstance(found[key], list) else found[key]
        assert part.class_path.endswith(f".{name.strip('[]')}")
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_shipped_component_is_not_the_local_one_without_suffix(kind: str, trace: Path) -> None:
    Path("loss").mkdir()
    place = Path("loss/kl_cov")
    place.mkdir() if kind == "folder" else place.write_text(HOSTILE["class"], encoding="utf-8")
    Path("quickstart").mkdir()  # nor is an experiment a folder of its name
    assert parsed("--model.loss=loss/kl_cov")["model.loss"].class_path.endswith(".KLCov")
    assert not trace.exists()


def test_files_of_components_are_read(trace: Path) -> None:
    Path("x.yaml").write_text("class_path: KLCov\ninit_args: {fraction: 0.25}\n")
    Path("x.yml").write_text("class_path: KLCov\ninit_args: {fraction: 0.25}\n")
    Path("ddp.yaml").write_text("class_path: lightning.pytorch.strategies.DDPStrategy\n")
    Path("model.yaml").write_text("loss: x.yaml\n")
    for flag in ("--model.loss=x.yaml", "--model.loss=x.yml", "--model=model.yaml"):
        assert parsed(flag)["model.loss.init_args.fraction"] == 0.25
    strategy = parsed("--trainer.strategy=ddp.yaml")["trainer.strategy"]
    assert strategy.class_path == "lightning.pytorch.strategies.DDPStrategy"


def test_a_components_file_of_another_name_is_refused_by_name(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.jsonl").write_text(HOSTILE["class"], encoding="utf-8")
    with pytest.raises(SystemExit):
        parsed("--model.loss=x.jsonl")
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("model.loss=x.jsonl: a component's file has a name that ends in .yaml or "
                         ".yml")  # fmt: skip
    with pytest.raises(SystemExit):
        main(["fit", "--config", "quickstart", "--model=x.jsonl"])
    assert "error: model=x.jsonl: " in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("plan", "sweep")])
def test_no_command_reads_its_texts_as_files(name: str, trace: Path) -> None:
    Path("rows").write_text(HOSTILE["class"], encoding="utf-8")
    words = {
        "pretrain": ["--output=rows"],
        "reproduce": ["--output=rows", "--figures=rows", "--archive=rows"],
        "figures": ["rows", "--output=rows", "--labels={rows: rows}"],
        "archive": ["rows", "--output=rows"],
        "export": ["--checkpoint=rows", "--output=rows"],
        "compare": ["rows", "rows", "--output=rows"],
    }[name]
    config = light_parser(name)[0].parse_args([name, *words])[name]
    keys = ("output", "checkpoint", "figures", "archive")
    texts = [getattr(config, key) for key in keys if key in config]
    assert texts == ["rows"] * len(texts) and len(texts) >= 1
    assert not trace.exists()


def test_types_that_name_components() -> None:
    assert names_component(PolicyLoss) and names_component(PolicyLoss | None)
    assert names_component(list[PolicyLoss] | None) and names_component(dict[str, SetSampling])
    assert names_component(str | Strategy) and names_component(str | Accelerator)
    assert not names_component(str | DataFile | None)
    assert not names_component(str | dict[str, str | DataFile] | None)
    assert not names_component(dict[str, str | DataFile]) and not names_component(list[str])


def test_other_parsers_read_what_they_did(trace: Path) -> None:
    parsed()  # installs the rule
    Path("loss").write_text("class_path: torch.nn.L1Loss\n")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--loss", type=torch.nn.Module, sub_configs=True)
    assert parser.parse_args(["--loss=loss"]).loss.class_path == "torch.nn.L1Loss"


def test_an_empty_validation_set_is_named(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", gsm8k(4))
    for text in ("", "\n \n\n"):
        (tmp_path / "empty.jsonl").write_text(text)
        sets = [str(tmp_path / "empty.jsonl"), {"a": str(tmp_path / "empty.jsonl")}]
        for validation, name in zip(sets, ("validation", "validation.a"), strict=True):
            task = DatasetTask(_checker(), train, validation)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=rf"data\.task\.{name}='.*' has no rows; give one"):
                task.validation_problems()
    with pytest.raises(ValueError, match=r"validation=\{\}: name a set, or use null to hold out"):
        DatasetTask(_checker(), train, {})


def _checker() -> Any:
    from lit_entropy.verify import NumberChecker

    return NumberChecker()
