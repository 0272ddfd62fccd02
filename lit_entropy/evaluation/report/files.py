"""Validation reports on disk: written whole or not at all, and never over an earlier one."""

import json
from itertools import count
from pathlib import Path

from lit_entropy.atomic import atomic_write
from lit_entropy.closest import files_near
from lit_entropy.evaluation.report.figure import evaluation_figure
from lit_entropy.evaluation.report.plain import FORMAT, report_from_plain, report_to_plain
from lit_entropy.evaluation.report.records import Report
from lit_entropy.evaluation.report.table import table
from lit_entropy.figures.style import save


def free_stem(folder: Path, stem: str) -> str:
    """``stem``, or the first of ``stem-2``, ``stem-3``, ... without a JSON file in the folder."""
    for number in count(1):
        candidate = stem if number == 1 else f"{stem}-{number}"
        if not (folder / f"{candidate}.json").exists():
            return candidate
    raise AssertionError("unreachable")


def write_report(report: Report, folder: Path, stem: str = "validation") -> Path:
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
        plain = json.dumps(report_to_plain(report), indent=1, allow_nan=False)
        file.write(f"{plain}\n".encode())
    return path


def read_report(path: str | Path) -> Report:
    """Read ``validation.json``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a report of this format.
    """
    file = Path(path) / "validation.json" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no {file}: name a validation.json, or its folder{files_near(str(file))}"
        )
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not JSON ({error}): name a validation.json") from error
    unknown = ValueError(
        f"{file} is no validation report of format {FORMAT}: make one by lit-entropy validate"
    )
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise unknown
    try:
        return report_from_plain(plain)
    except (KeyError, TypeError) as error:  # a part is missing, or is something else
        raise unknown from error
