"""``report.html`` and ``report.json``: every figure beside the paper's claim and the verdict."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lit_entropy.atomic import atomic_write
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import save
from lit_entropy.reproduce.entries import Claim, Entry, Judgement, Measures

#: Colour of a verdict in the page.
STYLES = {
    "reproduced": "yes",
    "not reproduced": "no",
    "not testable at this scale": "open",
}
#: Dots an inch of the pictures, and of the page that shows them.
PRINT_DPI, SCREEN_DPI = 300, 135


@dataclass
class Section:
    """A drawn entry.

    Attributes:
        entry: What it is of.
        commands: The command of each of its runs.
        measures: The numbers, None where the runs cannot show them.
        judgements: Claim, paper's figure, rule, our number and verdict, as plain text.
        problem: Why there is no figure.
        picture: The PNG.
    """

    entry: Entry
    commands: list[str]
    measures: Measures | None = None
    judgements: list[dict[str, str]] = field(default_factory=list)
    problem: str = ""
    picture: Path | None = None


def draw_section(
    entry: Entry,
    claims: Sequence[Claim],
    runs: Sequence[Run],
    commands: list[str],
    folder: Path,
    decides: bool = True,
) -> Section:
    """Draw an entry into ``folder`` and judge its claims.

    Where the budget does not decide, every verdict says that this scale cannot tell.

    Runs that cannot show it (too short, of no such method) leave the reason in the section: the
    report is then drawn without that figure.
    """
    section = Section(entry, commands)
    try:
        selected = entry.select(runs)
        measures = entry.measure(selected)
        figure = entry.draw(selected)
    except ValueError as error:
        section.problem = f"Not drawn: {error}"
        return section
    section.measures = measures
    section.picture, _ = save(figure, folder / f"figure_{entry.key.replace('-', '_')}")
    for claim in claims:
        judgement = claim.judge(measures)
        section.judgements.append(
            {
                "claim": claim.claim,
                "paper": claim.paper,
                "rule": claim.rule,
                "measured": judgement.measured,
                "verdict": judgement.verdict if decides else Judgement(None, "").verdict,
            }
        )
    return section


def write_report(
    folder: Path, sections: Sequence[Section], header: Mapping[str, Any], name: str = "report"
) -> tuple[Path, Path]:
    """Write ``<name>.html``, which needs no other file, and ``<name>.json``.

    Both are functions of the runs' numbers alone: no date, no wall time, no path.

    Args:
        folder: where to.
        sections: in the order of the report.
        header: ``title``, ``introduction``, ``setting``, ``incomplete`` (a sentence, may be empty)
            and ``missing`` (names of runs).
        name: of the files.
    """
    environment = Environment(
        loader=PackageLoader("lit_entropy.reproduce"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(
        report={**header, "entries": [_entry(section) for section in sections]}
    )
    record = {
        **header,
        "figures": {
            section.entry.key: {
                "name": section.entry.name,
                "title": section.entry.title,
                "problem": section.problem,
                "claims": section.judgements,
                "measures": plain(section.measures),
                "commands": section.commands,
            }
            for section in sections
        },
    }
    html, data = folder / f"{name}.html", folder / f"{name}.json"
    for path, text in ((html, page), (data, json.dumps(record, indent=1, allow_nan=False) + "\n")):
        with atomic_write(path) as file:
            file.write(text.encode())
    return html, data


def plain(value: Any) -> Any:
    """A value as JSON can hold it: numbers that are not finite are None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _pixels_wide(png: bytes) -> int:
    """Width in the header of a PNG file."""
    return int.from_bytes(png[16:20], "big")


def _entry(section: Section) -> dict[str, Any]:
    entry, data = section.entry, section.picture.read_bytes() if section.picture else b""
    return {
        "name": entry.name,
        "anchor": f"figure-{entry.key}",
        "title": entry.title,
        "caption": entry.caption,
        "problem": section.problem,
        "image": base64.b64encode(data).decode(),
        "width": round(_pixels_wide(data) * SCREEN_DPI / PRINT_DPI) if data else 0,
        "claims": [claim | {"css": STYLES[claim["verdict"]]} for claim in section.judgements],
        "tables": entry.tables(section.measures) if section.measures is not None else [],
        "commands": section.commands,
    }
