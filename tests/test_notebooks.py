"""The notebooks are stripped, in step with their scripts, and run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

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


def execute(name: str, folder: Path) -> list[Any]:
    """Outputs of a notebook that is run on the smoke budget, runs below ``folder``."""
    notebook = read(name)
    hidden = ("WANDB_API_KEY", "MPLBACKEND")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {
        "OMP_NUM_THREADS": "1",  # threads that wait for each other cost more than they save
        "LIT_ENTROPY_BUDGET": "smoke",
        "LIT_ENTROPY_OUTPUT": str(folder / "runs"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    client = NotebookClient(
        notebook,
        timeout=None,  # pytest has its own
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute(env=environment)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


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


def test_the_tour_runs(tmp_path: Path) -> None:
    outputs = execute("00_tour", tmp_path)
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
    assert (tmp_path / "runs" / "tour" / "metrics.csv").exists()


@pytest.mark.parametrize(
    ("name", "figures", "runs"),
    [("01_collapse", ("Fig. 1", "Fig. 2", "Table 1"), 2), ("03_dynamics", ("Fig. 8",), 4)],
)
def test_a_figure_notebook_runs(
    name: str, figures: tuple[str, ...], runs: int, tmp_path: Path
) -> None:
    outputs = execute(name, tmp_path)
    assert len(list((tmp_path / "runs" / "runs").glob("*/done.json"))) == runs
    check_report(outputs, figures)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_share_their_runs(tmp_path: Path) -> None:
    """Every run is trained once, whichever notebook asks for it first."""
    trained = []
    for name in NAMES[1:]:
        outputs = execute(name, tmp_path)
        trained += re.findall(r"^\[\d+/\d+\] (\S+): finished", texts(outputs), re.MULTILINE)
        check_report(outputs, ())
    folders = (tmp_path / "runs" / "runs").glob("*/done.json")
    assert sorted(trained) == sorted(path.parent.name for path in folders)
    assert len(trained) > 50


def check_report(outputs: list[Any], figures: tuple[str, ...]) -> None:
    """Each figure is drawn, or says why these runs are too short; the verdicts stand below."""
    text = texts(outputs)
    shown = len(re.findall(r"^\*\*[^*]+\*\*", text, re.MULTILINE))
    refused = len(re.findall(r"^\*Not drawn: ", text, re.MULTILINE))
    assert shown > 0 and pictures(outputs) == shown - refused >= 1
    assert all(f"**{figure}. " in text for figure in figures)
    verdicts = re.findall(r"\| (reproduced|not reproduced|not testable at this scale) \|", text)
    assert len(verdicts) >= 1
