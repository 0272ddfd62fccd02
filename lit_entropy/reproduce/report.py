"""``report.html``, ``.json`` and ``.md``: figures and claims beside the paper's, with verdicts."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from lit_entropy.atomic import atomic_write
from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.entries import (
    NOT_JUDGED,
    AnyEntry,
    Overlay,
    Table,
    shortfall,
)
from lit_entropy.figures.estimates import MissingRunsError
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import save
from lit_entropy.figures.verdicts import Verdict
from lit_entropy.reproduce.markdown import claims_as_markdown
from lit_entropy.reproduce.rungs import COLUMNS, Row, count_standings

#: Colour of a verdict in the page.
STYLES: dict[Verdict, str] = {
    "reproduced": "yes",
    "contradicted": "no",
    "undecided": "undecided",
    "not testable at this scale": "open",
}
#: Dots per inch of the pictures, and of the page that shows them.
PRINT_DPI, SCREEN_DPI = 300, 135


def css_of(said: str) -> str:
    """Class in the page of a verdict, or of what stands for one."""
    return next((css for verdict, css in STYLES.items() if verdict == said), "open")


@dataclass(frozen=True)
class Judged:
    """A claim beside what came of it here, as plain text."""

    claim: str
    paper: str
    rule: str
    measured: str
    verdict: str  # a Verdict, or why there is none

    @property
    def css(self) -> str:
        """Its class in the page."""
        return css_of(self.verdict)


@dataclass(frozen=True)
class Section:
    """A drawn entry, or the reason why it is not drawn."""

    entry: AnyEntry
    commands: list[str]  # of each of its runs
    measures: object = None  # the numbers, None where the runs cannot show them
    by_label: dict[str, object] = field(default_factory=dict)  # of an overlay
    left_out: dict[str, str] = field(default_factory=dict)  # labels of an overlay, and why
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
    entry: AnyEntry, runs: Sequence[Run], commands: list[str], folder: Path
) -> Section:
    """Draw an entry into ``folder`` and judge its claims.

    Claims are judged on runs of the labels that the entry is about, and only on as many seeds and
    RL steps as were planned. Runs of other labels are laid over them where the entry can.

    Runs that cannot show it (too short, of no such method) leave the reason in the section: the
    report is then drawn without that figure.
    """
    selected: Sequence[Run] = []
    try:
        selected = entry.select(runs)
        if runs and not selected:
            raise MissingRunsError("all runs are of another task or model")
        if entry.overlay is not None and {run.label for run in selected} != entry.about:
            return _overlaid(entry, entry.overlay, selected, commands, folder)
        entry.check(selected)
        return _of_the_paper(entry, selected, commands, folder)
    except MissingRunsError as error:
        return Section(entry, commands, problem=f"Not drawn: {error}; {_remedy(entry, selected)}")
    except ValueError as error:
        return Section(entry, commands, problem=f"Not drawn: {error}")


def _remedy(entry: AnyEntry, runs: Sequence[Run]) -> str:
    """Which experiments make the runs that a figure lacks, and what it calls others."""
    labels = entry.labels or tuple(cell.label for cell in entry.cells)
    named = list(zip(labels, entry.cells, strict=True))
    present = {run.label for run in runs}
    lacking = dict.fromkeys(cell.experiment for label, cell in named if label not in present)
    files = " and ".join(f"configs/experiment/{name}.yaml" for name in lacking)
    others = [f"here {label!r} is {cell.label}" for label, cell in named if label != cell.label]
    return "; ".join([f"for such runs see {files}", *others])


def _of_the_paper(
    entry: AnyEntry, runs: Sequence[Run], commands: list[str], folder: Path
) -> Section:
    measures = entry.measure(runs)
    picture = _picture(entry, entry.draw(runs), folder)
    claims, tables = _judge(entry, measures, runs), entry.tables(measures)
    return Section(entry, commands, measures, claims=claims, tables=tables, picture=picture)


def _overlaid(
    entry: AnyEntry, overlay: Overlay, runs: Sequence[Run], commands: list[str], folder: Path
) -> Section:
    """All labels that can be shown; the claims are judged where those of the paper are there."""
    by_label, left_out = overlay.split(runs)
    shown = [run for run in runs if run.label in by_label]
    if len(by_label) < overlay.fewest:
        if left_out:
            raise ValueError("; ".join(left_out.values()))
        entry.measure(runs)  # says what is lacking
    picture, tables = _picture(entry, overlay.draw(shown), folder), overlay.tables(shown)
    measures, claims = None, []
    if own := [run for run in shown if run.label in entry.about]:
        try:
            measures = entry.measure(own)
            claims = _judge(entry, measures, own)
        except ValueError as error:
            claims = [
                Judged(claim.claim, claim.paper, claim.rule, "", f"{NOT_JUDGED}: {error}")
                for claim in entry.claims
            ]
    return Section(entry, commands, measures, by_label, left_out, claims, tables, picture=picture)


def _picture(entry: AnyEntry, figure: Figure, folder: Path) -> bytes:
    picture, _ = save(figure, folder / f"figure_{entry.key.replace('-', '_')}")
    return picture.read_bytes()


def _judge(entry: AnyEntry, measures: object, runs: Sequence[Run]) -> list[Judged]:
    """Every claim beside what was measured; no verdict where the runs fall short of the plan."""
    own = [run for run in runs if run.label in entry.about]
    lacking = shortfall(own, entry.plan) if own else f"no run of {', '.join(sorted(entry.about))}"
    claims = []
    for claim in entry.claims:
        found = claim.judge(measures)
        verdict = f"{NOT_JUDGED}: {lacking}" if lacking else found.verdict
        claims.append(Judged(claim.claim, claim.paper, claim.rule, found.measured, verdict))
    return claims


def write_report(
    folder: Path,
    sections: Sequence[Section],
    header: Header,
    name: str = "report",
    rungs: Sequence[Row] = (),
) -> tuple[Path, Path]:
    """Write ``<name>.html``, which needs no other file, ``<name>.json`` and ``<name>.md``.

    All are functions of the runs' numbers alone: no date, no wall time, no path.

    Args:
        folder: where to.
        sections: in the order of the report.
        header: what stands above them.
        name: of the files.
        rungs: the claims on every rung, which the Markdown has; neither it nor a table of them
            without any.

    Returns:
        The page and the data.
    """
    environment = Environment(
        loader=PackageLoader("lit_entropy.reproduce"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(
        report=header,
        sections=sections,
        rungs=rungs,
        columns=COLUMNS,
        css=css_of,
        standings=count_standings(rungs),
    )
    record = {
        **vars(header),
        "figures": {
            section.entry.key: {
                "name": section.entry.name,
                "title": section.entry.title,
                "problem": section.problem,
                "claims": section.claims,
                "measures": section.measures,
                "by_label": section.by_label,
                "left_out": section.left_out,
                "commands": section.commands,
            }
            for section in sections
        },
        "rungs": {
            "columns": COLUMNS,
            "standings": count_standings(rungs),
            "rows": [{**vars(row), "standing": row.standing} for row in rungs],
        },
    }
    text = json.dumps(as_json(record), indent=1, allow_nan=False) + "\n"
    html, data = folder / f"{name}.html", folder / f"{name}.json"
    files = [(html, page), (data, text)]
    if rungs:
        files.append((folder / f"{name}.md", claims_as_markdown(rungs)))
    for path, content in files:
        with atomic_write(path) as file:
            file.write(content.encode())
    return html, data
