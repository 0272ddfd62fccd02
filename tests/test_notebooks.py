"""The notebooks show what their source gives, are in step with their scripts, and run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("00_tour", "01_collapse", "02_law", "03_dynamics", "04_control", "05_methods")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


sys.path.insert(0, str(FOLDER))
import outputs as shipped  # noqa: E402 (a script beside the notebooks)

sys.path.remove(str(FOLDER))


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@contextmanager
def kernel(folder: Path) -> Iterator[Callable[[str], list[Any]]]:
    """A kernel with its runs below ``folder``: called with a name, it returns the outputs."""
    with shipped.kernel(folder / "runs", folder) as run:

        def execute(name: str) -> list[Any]:
            return shown(run(name))

        yield execute


def shown(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


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
def test_outputs_belong_to_the_source(name: str) -> None:
    notebook = read(name)
    own = {"lit_entropy": {"outputs_of": shipped.source_hash(notebook)}}
    assert notebook.metadata == METADATA | own, f"run: python notebooks/outputs.py {name}"
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.metadata == {} for cell in notebook.cells)
    if name == "00_tour":
        assert pictures(shown(notebook)) == 2
    else:
        check_report(shown(notebook), ())


@pytest.mark.parametrize("name", NAMES)
def test_outputs_hold_nothing_of_the_machine_or_the_moment(name: str) -> None:
    outputs = shown(read(name))
    assert {output.output_type for output in outputs} <= {
        "stream", "display_data", "execute_result",
    }  # fmt: skip
    text = texts(outputs) + "".join(
        output.data.get("text/plain", "") for output in outputs if "data" in output
    )
    for volatile in (r"/(root|home|tmp|Users|work)/", r"\d s\b", r" at 0x", r"Traceback"):
        assert not re.search(volatile, text), volatile
    assert not any(output.get("name") == "stderr" for output in outputs)


def test_the_notebooks_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.ipynb")) < 1.5e6


def test_what_is_kept_of_outputs(tmp_path: Path) -> None:
    """Durations, folders and warnings go; a changed cell makes the outputs stale."""
    runs = tmp_path / "elsewhere"
    text = (
        f"[1/2] grpo-seed0: finished, 1,016 s\n[2/2] a: FAILED, see x\nreport: {runs}/report.html"
    )
    cell = new_code_cell(
        "1 + 1", metadata={"tags": ["x"]},
        outputs=[
            new_output("stream", name="stderr", text="a warning"),
            new_output("stream", name="stdout", text=text),
        ],
    )  # fmt: skip
    notebook = new_notebook(cells=[cell])
    shipped.keep(notebook, runs)
    (output,) = cell.outputs
    assert output.text == (
        "[1/2] grpo-seed0: finished\n[2/2] a: FAILED, see x\n"
        "report: runs/reproduce-smoke/report.html"
    )
    assert (cell.metadata, cell.execution_count) == ({}, 1)
    own = notebook.metadata["lit_entropy"]["outputs_of"]
    assert own == shipped.source_hash(notebook)
    cell.source = "1 + 2"
    assert own != shipped.source_hash(notebook)


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


@pytest.mark.slow  # tests/reproduce/test_smoke.py trains and draws the same by the command line
def test_a_figure_notebook_trains_its_runs_and_draws_them(
    execute: Callable[[str], list[Any]],
) -> None:
    outputs = execute("01_collapse")
    assert trained(outputs) == ["grpo-seed0", "grpo-seed1"]
    check_report(outputs, ("Fig. 1", "Fig. 2", "Table 1"))


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
