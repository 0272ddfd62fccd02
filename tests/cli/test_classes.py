"""A subclass of the module or of the data module from the command line and from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from runs import ALONE, fit, metrics

from lit_entropy.cli.classes import choose, flat, load_class, with_paths
from lit_entropy.cli.main import main
from lit_entropy.errors import CheckpointError
from lit_entropy.module import EntropyModule

CODE = '''
from lit_entropy import EntropyModule, PromptDataModule

class SubModule(EntropyModule):
    """A module of one's own."""

    def __init__(self, *args, extra: float = 1.0, **kwargs):
        """Make it.

        Args:
            extra: an argument of its own.
        """
        super().__init__(*args, **kwargs)
        self.extra = extra

class DataModule(PromptDataModule):
    """Data of one's own."""
'''
MODEL, DATA = "own_classes.SubModule", "own_classes.DataModule"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_classes.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_subclass_by_flag_then_from_the_runs_configuration(tmp_path: Path) -> None:
    flags = ["--model", MODEL, f"--data={DATA}", "--model.init_args.extra=2.5"]
    cli = fit(tmp_path / "runs", *ALONE, *flags, "--trainer.max_epochs=1")
    first = tmp_path / "runs" / "quickstart-seed0"
    saved = yaml.safe_load((first / "config.yaml").read_text())
    assert saved["model"]["class_path"] == MODEL and saved["model"]["extra"] == 2.5
    assert saved["data"]["class_path"] == DATA
    again = main(["fit", "--config", str(first / "config.yaml"), "--trainer.max_epochs=0"])
    for run in (cli, again):
        assert type(run.model).__name__ == "SubModule" and run.model.extra == 2.5
        assert type(run.datamodule).__name__ == "DataModule"
    assert metrics(tmp_path / "runs")["step"].tolist() == [1]
    checkpoint = first / "checkpoints" / "last.ckpt"
    loaded = type(cli.model).load_from_checkpoint(checkpoint)
    assert loaded.extra == 2.5 and type(loaded.loss) is type(cli.model.loss)
    with pytest.raises(CheckpointError, match=rf"is of a {MODEL}, not of a lit_entropy"):
        EntropyModule.load_from_checkpoint(checkpoint)
    with pytest.raises(ValueError, match=rf"model\.class_path: '{MODEL}' -> '\(absent\)'"):
        fit(tmp_path / "runs", *ALONE, "--ckpt_path=last", "--data", DATA)


def test_a_subclass_in_a_file_and_in_print_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, printed = tmp_path / "my.yaml", []
    file.write_text(f"model:\n  class_path: {MODEL}\n  init_args:\n    extra: 3.0\n")
    for config in (["--config", "quickstart", "--config", str(file)], ["--config", str(file)]):
        with pytest.raises(SystemExit) as end:
            main(["fit", *config, "--print_config"])
        assert end.value.code == 0
        printed.append(capsys.readouterr().out)
        file.write_text(printed[0])
    assert printed[0] == printed[1]
    model = yaml.safe_load(printed[0])["model"]
    assert next(iter(model)) == "class_path" and model["extra"] == 3.0 and "policy" in model


FILES = {
    "m.yaml": f"class_path: {MODEL}\ninit_args: {{extra: 3.0, loss: loss.yaml}}\n",
    "loss.yaml": "class_path: lit_entropy.losses.PolicyGradient\n",
    "d.yaml": f"class_path: {DATA}\ngroup_size: 6\n",
    "both.yaml": "model: m.yaml\ndata: d.yaml\n",
}


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "parts/m.yaml", "--data=parts/d.yaml"],
        ["--model=own_classes.Unused", "--model=parts/m.yaml", "--data", "parts/d.yaml"],
        ["--config", "parts/both.yaml"],
    ],
)
def test_a_subclass_in_a_file_of_its_own(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Files that such a file names lie beside it."""
    (tmp_path / "parts").mkdir()
    for name, text in FILES.items():
        (tmp_path / "parts" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", "quickstart", *flags, "--print_config"])
    printed = capsys.readouterr()
    assert end.value.code == 0, printed.err
    config = yaml.safe_load(printed.out)
    model, data = config["model"], config["data"]
    assert model["class_path"] == MODEL and model["extra"] == 3.0
    assert model["loss"]["class_path"] == "lit_entropy.losses.PolicyGradient"
    assert data["class_path"] == DATA and data["group_size"] == 6


def test_what_is_chosen() -> None:
    words = ["fit", "--model=a.B", "--model", "a.C", "--data.class_path", "d.E", "--model.x", "1"]
    paths, rest, named = choose([*words, "--data.init_args.y=2", "--model.loss", "KLCov"])
    assert paths == {"model": "a.C", "data": "d.E"} and named == {"a.B", "a.C", "d.E"}
    assert rest == ["fit", "--model.x", "1", "--data.y=2", "--model.loss", "KLCov"]
    part = {"class_path": "a.B", "init_args": {"x": 1}, "loss": {"class_path": "L"}}
    expected = {"model": {"x": 1, "loss": {"class_path": "L"}}, "run": 1}
    assert flat({"model": part, "run": 1}) == expected
    assert flat({"fit": {"model": part, "run": 1}}) == {"fit": expected}
    assert flat(part) == part and flat(part, ["a.B"]) == {"x": 1, "loss": {"class_path": "L"}}
    assert flat("text") == "text" and flat(part) == part
    assert with_paths("a: 1\nmodel:\n  x: 1\n", {"model": "a.B"}) == (
        "a: 1\nmodel:\n  class_path: a.B\n  x: 1\n"
    )
    assert load_class("model", "lit_entropy.EntropyModule") is EntropyModule


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--model=own_classes.Nope", "model=own_classes.Nope: the module own_classes has no Nope"),
        ("--model=nowhere.Nope", "model=nowhere.Nope: there is no module nowhere; put the fol"),
        (f"--model={DATA}", f"model={DATA}: no subclass of lit_entropy.EntropyModule"),
        (
            "--model=no.yaml",
            "model=no.yaml: no such file; give an existing path (or name a module.Class)",
        ),
        ("--data=DataModule", "data=DataModule: no subclass of lit_entropy.PromptDataModule"),
    ],
)
def test_what_cannot_be_chosen(flag: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", "quickstart", flag])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lit-entropy: error: {message}")
