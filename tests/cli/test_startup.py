"""What a command imports; the light start says and does what the whole command line does."""

from __future__ import annotations

import gc
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lit_entropy.cli.commands import COMMANDS, SUMMARIES, load, summaries, takes_experiment
from lit_entropy.cli.imports import without_collections
from lit_entropy.cli.main import main
from lit_entropy.cli.start import needs_experiment, start

#: Packages that take long to import.
HEAVY = {"torch", "lightning", "torchmetrics", "transformers", "tokenizers", "scipy.stats"}
HEAVY |= {"scipy.signal", "wandb", "pyarrow", "matplotlib", "matplotlib.pyplot", "fsspec"}
LOADED = """
import json, sys
from lit_entropy.cli.start import start
end = None
try:
    start(sys.argv[1:])
except SystemExit as error:
    end = error.code
print(json.dumps([end, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(*arguments: str) -> tuple[object, set[str]]:
    """Exit code of a command in a process of its own, and the heavy packages that it imported."""
    command = [sys.executable, "-c", LOADED, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    end, modules = json.loads(result.stderr.splitlines()[-1])
    return end, set(modules) & HEAVY


@pytest.mark.parametrize(
    ("arguments", "end", "allowed"),
    [
        (["--help"], 0, set()),
        (["--version"], 0, set()),
        (["fti"], 2, set()),
        (["export", "--dtype", "float33"], 2, set()),
        (["compare"], 2, set()),
        (["pretrain", "--size", "xxl", "--output", "x"], 2, set()),
        (["reproduce", "--budget", "smok"], 2, {"matplotlib"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_imports(arguments: list[str], end: int, allowed: set[str]) -> None:
    assert loaded(*arguments) == (end, allowed)


@pytest.mark.parametrize("name", [name for name in COMMANDS if not takes_experiment(name)])
def test_help_of_a_command_without_an_experiment_imports_no_torch(name: str) -> None:
    draws = name in ("figures", "reproduce", "sweep")
    assert loaded(name, "--help") == (0, {"matplotlib"} if draws else set())


def test_the_package_itself_imports_nothing() -> None:
    code = "import sys, lit_entropy; print('torch' in sys.modules, 'numpy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


def test_summaries_are_those_of_the_functions() -> None:
    """They are read from the source; so is whether a function takes an experiment."""
    for name in COMMANDS:
        function = load(name)
        assert summaries()[name] == (inspect.getdoc(function) or "").splitlines()[0]
        assert takes_experiment(name) == ("experiment" in inspect.signature(function).parameters)
    assert list(summaries()) == [*SUMMARIES, *COMMANDS]


LIGHT = [name for name in COMMANDS if not takes_experiment(name)]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], [], ["fti"], *([name, "--help"] for name in LIGHT)],
    ids="-".join,
)
def test_both_starts_say_the_same(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert not needs_experiment(arguments)
    shown = []
    for run in (start, main):
        with pytest.raises(SystemExit) as end:
            run(list(arguments))
        shown.append((end.value.code, *capsys.readouterr()))
    assert shown[0] == shown[1] and "".join(shown[0][1:]).strip()


@pytest.mark.parametrize(
    "arguments",
    [["fit"], ["validate"], ["plan"], ["--config", "a", "fit"], ["--print_config"]],
)
def test_an_experiment_gets_the_whole_command_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr("lit_entropy.cli.main.main", given.append)
    start(arguments)
    assert given == [arguments]


def test_reproduce_trains_with_the_whole_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module whose import loads what the runs need: their processes are forked from it."""
    given: list[object] = []

    def keep(main: object, budget: str = "quick") -> None:
        """Keep what is given."""
        given.extend((main, budget))

    monkeypatch.setattr("lit_entropy.reproduce.command.reproduce", keep)
    start(["reproduce", "--budget", "smoke"])
    assert given == [main, "smoke"]


def test_a_file_for_a_light_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def keep(runs: list[str], labels: dict[str, str] | None = None) -> None:
        """Keep what is given."""
        given.extend((runs, labels))

    monkeypatch.setattr("lit_entropy.reproduce.command.figures", keep)
    file = tmp_path / "my.yaml"
    file.write_text("labels: {a: off}\n")  # text here, a boolean in YAML 1.1
    start(["figures", "a", "b", "--config", str(file)])
    assert given == [["a", "b"], {"a": "off"}]


def test_a_sigterm_ends_with_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    def stopped() -> None:
        """Stop."""
        raise SIGTERMException

    monkeypatch.setattr("lit_entropy.checkpoints.command.export", stopped)
    with pytest.raises(SystemExit) as end:
        start(["export"])
    assert end.value.code == 143


def test_nothing_is_collected_while_modules_are_imported() -> None:
    """The collector is as it was afterwards, and does not visit what was there."""
    gc.unfreeze()
    try:
        for enabled in (True, False):
            (gc.enable if enabled else gc.disable)()
            with pytest.raises(ImportError), without_collections():
                kept = [[] for _ in range(10)]
                assert not gc.isenabled()
                raise ImportError
            assert gc.isenabled() == enabled
            assert gc.get_freeze_count() > len(kept)
            assert not any(each is kept for each in gc.get_objects())
    finally:
        gc.enable()
