"""The report of the benchmarks: one JSON file, one table, one picture."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.records import EXPONENT, RATIO, SHARE, Outcome, Series
from matplotlib.ticker import LogLocator

from lit_entropy.atomic import atomic_write
from lit_entropy.figures.style import BLUE, FULL_WIDTH, paper_figure, save

#: Panels of the picture: the unit that is drawn in each, and what its axis says.
PANELS = {
    RATIO: "ratio (1: as much)",
    SHARE: "share (of an RL step, or of a product's rate)",
    EXPONENT: "exponent of growth (1: in proportion)",
}


@dataclass(frozen=True)
class Record:
    """A finished case.

    Attributes:
        outcome: what it came to.
        machine: measured just before it.
        load: mean number of running processes in the minute before it; near 0 on a quiet machine.
        seconds: of the clock that it took.
    """

    outcome: Outcome
    machine: Machine
    load: float
    seconds: float


@dataclass(frozen=True)
class Report:
    """All finished cases of one folder.

    Attributes:
        setup: what must be the same for cases to stand in one table: size, rounds, versions.
        records: by case.
    """

    setup: dict[str, str]
    records: dict[str, Record]

    def with_record(self, name: str, record: Record) -> Report:
        """The same and one case more."""
        return replace(self, records=self.records | {name: record})


def read(folder: Path, setup: dict[str, str]) -> Report:
    """The report of a folder, an empty one where there is none.

    Raises:
        ValueError: its cases were measured with another setup.
    """
    path = folder / "benchmarks.json"
    if not path.exists():
        return Report(setup, {})
    content = json.loads(path.read_text())
    found = content["setup"]
    differ = [key for key in setup | found if setup.get(key) != found.get(key)]
    if differ:
        told = "; ".join(f"{key} {found.get(key)}, now {setup.get(key)}" for key in differ)
        raise ValueError(f"--output={folder} holds cases of another setup ({told}): name a new one")
    return Report(setup, {name: _record(each) for name, each in content["records"].items()})


def write(report: Report, folder: Path) -> None:
    """``benchmarks.json``, ``benchmarks.md``, ``benchmarks.png`` and its PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"json": json.dumps(asdict(report), indent=2) + "\n", "md": table(report)}
    for suffix, text in texts.items():
        with atomic_write(folder / f"benchmarks.{suffix}") as file:
            file.write(text.encode())
    picture(report, folder / "benchmarks")


def table(report: Report) -> str:
    """The report in Markdown: medians with the least and the largest round, case by case."""
    lines = [", ".join(f"{key} {value}" for key, value in report.setup.items()), ""]
    lines += ["| case | measured | median | least to largest | unit |", "|---|---|---|---|---|"]
    for name, record in report.records.items():
        for series in record.outcome.series:
            least, largest = series.spread
            middle = f"{_digits(series.median)} | {_digits(least)} to {_digits(largest)}"
            lines.append(f"| {name} | {series.name} | {middle} | {series.unit} |")
        lines += [f"| {name} | not measured: {told} | | | |" for told in record.outcome.missing]
    lines += ["", "| case | product, Gflop/s | copy, GB/s | load before | took, s |"]
    lines.append("|---|---|---|---|---|")
    for name, record in report.records.items():
        rates = (
            f"{record.machine.flops['float32'] / 1e9:.1f} | {record.machine.bandwidth / 1e9:.1f}"
        )
        lines.append(f"| {name} | {rates} | {record.load:.1f} | {record.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def picture(report: Report, stem: Path) -> None:
    """A panel of ratios, one of shares and one of exponents: medians, and lines from least to
    largest; nothing where no case has any."""
    panels = {unit: _of_unit(report, unit) for unit in PANELS}
    panels = {unit: found for unit, found in panels.items() if found}
    if not panels:
        return
    heights = [len(found) + 2 for found in panels.values()]
    with paper_figure(FULL_WIDTH, 0.17 * sum(heights) + 0.4) as figure:
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for (unit, found), axes in zip(panels.items(), grid[:, 0], strict=True):
            for row, series in enumerate(found):
                axes.plot(series.spread, (row, row), color=BLUE)
                axes.plot(series.median, row, "o", color=BLUE, markersize=4)
            axes.set_yticks(range(len(found)), [series.name for series in found])
            axes.set_ylim(len(found) - 0.5, -0.5)
            axes.set_xlabel(PANELS[unit])
            if unit == RATIO:
                axes.axvline(1.0, color="black", linewidth=0.6)
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
                axes.xaxis.set_minor_formatter("{x:g}")
        save(figure, stem)


def _of_unit(report: Report, unit: str) -> list[Series]:
    every = [series for record in report.records.values() for series in record.outcome.series]
    return [series for series in every if series.unit == unit]


def _record(content: dict[str, Any]) -> Record:
    outcome = content["outcome"]
    series = tuple(
        Series(each["name"], each["unit"], tuple(each["values"])) for each in outcome["series"]
    )
    return Record(
        Outcome(series, tuple(outcome["missing"])),
        Machine(**content["machine"]),
        content["load"],
        content["seconds"],
    )
