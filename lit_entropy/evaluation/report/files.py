"""Validation reports on disk: written whole or not at all, and never over an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from lit_entropy.atomic import atomic_write
from lit_entropy.evaluation.report.report import FORMAT
from lit_entropy.evaluation.report.table import table
from lit_entropy.figures.evaluation import evaluation_figure
from lit_entropy.figures.style import save


def free_stem(folder: Path, stem: str) -> str:
    """``stem``, or the first of ``stem-2``, ``stem-3``, ... without a JSON file in the folder."""
    for number in count(1):
        candidate = stem if number == 1 else f"{stem}-{number}"
        if not (folder / f"{candidate}.json").exists():
            return candidate
    raise AssertionError("unreachable")


def write_report(report: Mapping[str, Any], folder: Path, stem: str = "validation") -> Path:
    """Write ``<stem>.md``, ``.png``, ``.pdf`` and last ``<stem>.json``, which marks it complete.

    Returns:
        The JSON file; its stem has a number where an earlier report has the name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{free_stem(folder, stem)}.json"
    with atomic_write(path.with_suffix(".md")) as file:
        file.write(table(report).encode())
    save(evaluation_figure(report), path.with_suffix(""))
    with atomic_write(path) as file:
        file.write((json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    return path


def read_report(path: str | Path) -> dict[str, Any]:
    """Read ``validation.json``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a report of this format.
    """
    file = Path(path) / "validation.json" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no {file}: name a validation.json, or its folder")
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}): name a validation.json") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT or "policies" not in report:
        raise ValueError(
            f"{file} is no validation report of format {FORMAT}: make one by lit-entropy validate"
        )
    return report
