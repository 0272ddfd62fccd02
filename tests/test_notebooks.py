"""The notebooks are stripped, in step with their scripts, and run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("00_tour", "01_collapse", "02_law", "03_dynamics", "04_control", "05_methods")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ThisInterpreter(AsyncKernelManager):
    """Runs a notebook with the interpreter of the tests, whatever kernels are installed."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@contextmanager
def kernel(folder: Path) -> Iterator[Callable[[str], list[Any]]]:
    """A kernel on the smoke budget, runs below ``folder``: called with a name, runs a notebook.

    It starts once for many notebooks, since that takes as long as a notebook; what one of them has
    defined is gone before the next.
    """
    hidden = ("WANDB_API_KEY", "MPLBACKEND")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {
        "OMP_NUM_THREADS": "1",  # threads that wait for each other cost more than they save
        "LIT_ENTROPY_BUDGET": "smoke",
        "LIT_ENTROPY_OUTPUT": str(folder / "runs"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    client = NotebookClient(
        new_notebook(),
        timeout=None,  # pytest has its own
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    with client.setup_kernel(env=environment):

        def execute(name: str) -> list[Any]:
            client.nb = read(name)
            client.nb.cells.insert(0, new_code_cell("%reset_selective -f ^[^_]"))
            for index, cell in enumerate(client.nb.cells):
                client.execute_cell(cell, index)
            return [output for cell in client.nb.cells for output in cell.get("outputs", [])]

        yield execute


@pytest.fixture(scope="module")
def execute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[Any]]]:
    """Runs a notebook; all of them share their runs."""
    with kernel(tmp_path_factory.mktemp("notebooks")) as run:
        yield run


def texts(outputs: list[Any]) -> str:
    """What the cells printed, and the tables that they displayed."""
    displayed = [output.get("data", {}).get("text/markdown", "") for output in outputs]
    return "\n".join([*displayed, *(output.get("text", "") for output in outputs)])


def pictures(outputs: list[Any]) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_every_notebook_is_named_here() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_stripped(name: str) -> None:
    notebook = read(name)
    assert notebook.metadata == METADATA
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None, (
            f"{name}: clear all outputs before saving"
        )


@pytest.mark.parametrize("name", NAMES)
def test_in_step_with_its_script(name: str) -> None:
    script = jupytext.read(FOLDER / f"{name}.py", fmt="py:percent")
    pairs = [
        [(cell.cell_type, cell.source) for cell in cells]
        for cells in (read(name).cells, script.cells)
    ]
    assert pairs[0] == pairs[1], "run: jupytext --sync notebooks/*.ipynb"


def test_the_tour_runs(execute: Callable[[str], list[Any]]) -> None:
    outputs = execute("00_tour")
    text = texts(outputs)
    rows = re.findall(r"^\| (0\.0+3) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", text, re.MULTILINE)
    realised, lemma1, first, second = zip(*(map(float, row[1:]) for row in rows), strict=True)
    # a tenth of the step: the error of Lemma 1 is a tenth, with the second order a hundredth
    assert len(rows) == 3
    for index in (1, 2):
        assert first[index - 1] / first[index] == pytest.approx(10, rel=0.3)
        assert second[index - 1] / second[index] > 30
    assert lemma1[2] == pytest.approx(realised[2], rel=0.01) and realised[2] < 0
    assert pictures(outputs) == 2


def test_two_figure_notebooks_share_their_runs(execute: Callable[[str], list[Any]]) -> None:
    outputs = execute("01_collapse")
    assert trained(outputs) == ["grpo-seed0", "grpo-seed1"]
    check_report(outputs, ("Fig. 1", "Fig. 2", "Table 1"))
    outputs = execute("03_dynamics")
    assert trained(outputs) == ["policy_gradient-seed0", "policy_gradient-seed1"]
    check_report(outputs, ("Fig. 8",))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_share_their_runs(tmp_path: Path) -> None:
    """Every run is trained once, whichever notebook asks for it first."""
    found = []
    with kernel(tmp_path) as execute:
        for name in NAMES[1:]:
            outputs = execute(name)
            found += trained(outputs)
            check_report(outputs, ())
    folders = (tmp_path / "runs" / "runs").glob("*/done.json")
    assert sorted(found) == sorted(path.parent.name for path in folders)
    assert len(found) > 50


def trained(outputs: list[Any]) -> list[str]:
    """The runs that a notebook says it trained."""
    return sorted(re.findall(r"^\[\d+/\d+\] (\S+): finished", texts(outputs), re.MULTILINE))


def check_report(outputs: list[Any], figures: tuple[str, ...]) -> None:
    """Each figure is drawn, or says why these runs are too short; the verdicts stand below."""
    text = texts(outputs)
    shown = len(re.findall(r"^\*\*[^*]+\*\*", text, re.MULTILINE))
    refused = len(re.findall(r"^\*Not drawn: ", text, re.MULTILINE))
    assert shown > 0 and pictures(outputs) == shown - refused >= 1
    assert all(f"**{figure}. " in text for figure in figures)
    verdicts = re.findall(r"\| not judged: 2 of 3 seeds, 7 of 100 RL steps \|", text)
    assert len(verdicts) >= 1
