"""``report.html`` and ``report.json``: every figure beside the paper's claim and the verdict."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from lit_entropy.atomic import atomic_write
from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.entries import AnyEntry, Judgement, Table, Verdict
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import save

#: Colour of a verdict in the page.
STYLES: dict[Verdict, str] = {
    "reproduced": "yes",
    "not reproduced": "no",
    "not testable at this scale": "open",
}
#: Dots per inch of the pictures, and of the page that shows them.
PRINT_DPI, SCREEN_DPI = 300, 135


@dataclass(frozen=True)
class Judged:
    """A claim beside what came of it here, as plain text."""

    claim: str
    paper: str
    rule: str
    measured: str
    verdict: Verdict

    @property
    def css(self) -> str:
        """Its class in the page."""
        return STYLES[self.verdict]


@dataclass(frozen=True)
class Section:
    """A drawn entry, or the reason why it is not drawn."""

    entry: AnyEntry
    commands: list[str]  # of each of its runs
    measures: object = None  # the numbers, None where the runs cannot show them
    claims: list[Judged] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    problem: str = ""  # why there is no figure
    picture: bytes = b""  # PNG

    @property
    def image(self) -> str:
        """The picture in the page's own text."""
        return base64.b64encode(self.picture).decode()

    @property
    def width(self) -> int:
        """Pixels on the screen, from those in the header of the PNG."""
        return round(int.from_bytes(self.picture[16:20], "big") * SCREEN_DPI / PRINT_DPI)


@dataclass(frozen=True)
class Header:
    """What a report says before its figures."""

    title: str
    introduction: str
    setting: str  # of the runs
    incomplete: str = ""  # a sentence on what is missing
    missing: list[str] = field(default_factory=list)  # names of runs


def draw_section(
    entry: AnyEntry, runs: Sequence[Run], commands: list[str], folder: Path, decides: bool = True
) -> Section:
    """Draw an entry into ``folder`` and judge its claims.

    Where the budget does not decide, every verdict says that this scale cannot tell.

    Runs that cannot show it (too short, of no such method) leave the reason in the section: the
    report is then drawn without that figure.
    """
    try:
        selected = entry.select(runs)
        measures = entry.measure(selected)
        figure = entry.draw(selected)
    except ValueError as error:
        return Section(entry, commands, problem=f"Not drawn: {error}")
    picture, _ = save(figure, folder / f"figure_{entry.key.replace('-', '_')}")
    claims = []
    for claim in entry.claims:
        found = claim.judge(measures)
        verdict = found.verdict if decides else Judgement(None, "").verdict
        claims.append(Judged(claim.claim, claim.paper, claim.rule, found.measured, verdict))
    tables = entry.tables(measures)
    return Section(entry, commands, measures, claims, tables, picture=picture.read_bytes())


def write_report(
    folder: Path, sections: Sequence[Section], header: Header, name: str = "report"
) -> tuple[Path, Path]:
    """Write ``<name>.html``, which needs no other file, and ``<name>.json``.

    Both are functions of the runs' numbers alone: no date, no wall time, no path.

    Args:
        folder: where to.
        sections: in the order of the report.
        header: what stands above them.
        name: of the files.
    """
    environment = Environment(
        loader=PackageLoader("lit_entropy.reproduce"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(report=header, sections=sections)
    record = {
        **vars(header),
        "figures": {
            section.entry.key: {
                "name": section.entry.name,
                "title": section.entry.title,
                "problem": section.problem,
                "claims": section.claims,
                "measures": section.measures,
                "commands": section.commands,
            }
            for section in sections
        },
    }
    text = json.dumps(as_json(record), indent=1, allow_nan=False) + "\n"
    html, data = folder / f"{name}.html", folder / f"{name}.json"
    for path, content in ((html, page), (data, text)):
        with atomic_write(path) as file:
            file.write(content.encode())
    return html, data
