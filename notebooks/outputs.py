"""Runs the notebooks and keeps what they show inside them: ``python notebooks/outputs.py``.

The outputs are those of the budget ``smoke``, without durations, warnings and folders of the
machine, pictures with a palette. A notebook's metadata hold the hash of the source that they
belong to.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

FOLDER = Path(__file__).parent
NAMES = ("00_tour", "01_collapse", "02_law", "03_dynamics", "04_control", "05_methods")
#: Where a notebook puts its runs unless it is told otherwise.
RUNS = "runs/reproduce-smoke"
#: Colours of a picture: with few the rare ones of thin lines would go.
COLOURS = 255


class ThisInterpreter(AsyncKernelManager):
    """Runs a notebook with the interpreter of this process, whatever kernels are installed."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)


@contextmanager
def kernel(runs: Path, home: Path) -> Iterator[Callable[[str], Any]]:
    """A kernel on the smoke budget with its runs in ``runs``: called with a name, runs a notebook.

    It starts once for many notebooks, since that takes as long as a notebook; what one of them has
    defined is gone before the next. Called, it returns the notebook with its outputs.
    """
    hidden = ("WANDB_API_KEY", "MPLBACKEND")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {
        "OMP_NUM_THREADS": "1",  # threads that wait for each other cost more than they save
        "LIT_ENTROPY_BUDGET": "smoke",
        "LIT_ENTROPY_OUTPUT": str(runs),
        "IPYTHONDIR": str(home / "ipython"),
    }
    client = NotebookClient(
        new_notebook(),
        timeout=None,
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    with client.setup_kernel(env=environment):

        def execute(name: str) -> Any:
            client.nb = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
            client.nb.cells.insert(0, new_code_cell("%reset_selective -f ^[^_]"))
            for index, cell in enumerate(client.nb.cells):
                client.execute_cell(cell, index)
            del client.nb.cells[0]
            return client.nb

        yield execute


def source_hash(notebook: Any) -> str:
    """The hash of what the outputs come from: the code cells, and ``sections.py``."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    sources.append((FOLDER / "sections.py").read_text())
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def keep(notebook: Any, runs: Path) -> None:
    """Leave of the outputs what a reader wants and what is the same on every machine."""
    count = 0
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = [
            output
            for output in cell.outputs
            if output.get("name") != "stderr" and output.output_type != "error"
        ]
        for output in cell.outputs:
            _simplify(output, runs, count)
    notebook.metadata["lit_entropy"] = {"outputs_of": source_hash(notebook)}


def _simplify(output: Any, runs: Path, count: int) -> None:
    if "execution_count" in output:
        output.execution_count = count
    if "text" in output:
        text = output.text.replace(str(runs), RUNS)
        output.text = re.sub(r"(: finished), [\d,]+ s$", r"\1", text, flags=re.MULTILINE)
    if "image/png" in output.get("data", {}):
        output.data = {"image/png": _with_palette(output.data["image/png"])}
        output.metadata = {}


def _with_palette(picture: str) -> str:
    """A PNG in base64 with a palette, a third as large."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    small = io.BytesIO()
    image.quantize(COLOURS).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode() + "\n"


def main(names: Sequence[str], runs: Path | None) -> None:
    """Run notebooks and write their outputs into them.

    Args:
        names: of the notebooks, without suffix.
        runs: folder of runs that are there already; without it they are trained.
    """
    with tempfile.TemporaryDirectory() as home:
        runs = (runs or Path(home) / "runs").resolve()
        with kernel(runs, Path(home)) as execute:
            for name in names:
                notebook = execute(name)
                keep(notebook, runs)
                nbformat.write(notebook, FOLDER / f"{name}.ipynb")
                print(f"{name}: {(FOLDER / f'{name}.ipynb').stat().st_size / 1e3:,.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help="notebooks; by default all")
    parser.add_argument("--runs", type=Path, help="folder of a reproduction with the smoke budget")
    arguments = parser.parse_args()
    main(arguments.names, arguments.runs)
