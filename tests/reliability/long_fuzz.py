"""The part of the long form that fuzzes every parser in a process of its own, as long as is said.

In its folder each parser has its record, its log and the examples that were found. A parser is not
fuzzed again that has had its processor seconds and whose sources, the files that its process had
loaded, are the same; it goes on where it has not had them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from fuzz_record import Fuzzed, read_record
from fuzzing import RECORD, SECONDS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTEST = (sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-q")


def fuzz_all(folder: Path, seconds: float, parsers: Sequence[str] = (), jobs: int = 1) -> None:
    """Fuzz some parsers, a few side by side.

    Args:
        folder: of the records.
        seconds: of processor time for each.
        parsers: ids of tests; by default all that fuzz.
        jobs: parsers at a time, each in a process of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parsers = parsers or all_parsers()

    def fuzz_next(number: int, parser: str) -> None:
        file = folder / f"{name_of(parser)}.json"
        done = read_record(file)
        if not done.fresh():
            done = Fuzzed(found=done.found)
        if done.seconds < seconds or done.found:
            done.write(file)
            done = fuzz_one(parser, file, seconds)
        print(f"{number} of {len(parsers)}, {name_of(parser)}: {said(done)}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(fuzz_next, range(1, 1 + len(parsers)), parsers))  # raises what one raises


def fuzz_one(parser: str, file: Path, seconds: float) -> Fuzzed:
    """Fuzz a parser until its record has that many seconds; a process that dies is a fault."""
    given = {SECONDS: str(seconds), RECORD: str(file), "PYTHONFAULTHANDLER": "1"}
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    given |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with file.with_suffix(".log").open("w") as log:
        command = [*PYTEST, "-s", "--timeout=0", parser]
        code = subprocess.call(
            command, cwd=ROOT, env=os.environ | given, stdout=log, stderr=subprocess.STDOUT
        )
    done = read_record(file)
    if code != 0 and not done.found:
        now = file.with_suffix(".now")
        example = f" at {now.read_text()[:500]}" if now.exists() else ""
        done = replace(done, found=f"the process ended with {code}{example}, see {file.stem}.log")
        done.write(file)
    return done


def all_parsers() -> list[str]:
    """The ids of the tests that fuzz, one a parser."""
    files = sorted(str(file.relative_to(ROOT)) for file in HERE.glob("test_fuzz_*.py"))
    command = [*PYTEST, "--collect-only", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "::" in line]


def name_of(parser: str) -> str:
    """The name of a parser, which is that of its files."""
    return parser.partition("::")[2].removeprefix("test_").translate(str.maketrans("[", ".", "]"))


def said(done: Fuzzed) -> str:
    """A record in one line."""
    found = " ".join(done.found.split()) or "no fault"
    return f"{done.seconds:.0f} s, {done.examples:,} examples, {found:.200}"


def records(folder: Path) -> dict[str, Fuzzed]:
    """What was fuzzed so far, by parser."""
    return {file.stem: read_record(file) for file in sorted(folder.glob("*.json"))}


def fuzz_collected(folder: Path) -> dict[str, Any]:
    """The numbers of the long form's table."""
    done = list(records(folder).values())
    return {
        "fuzzed parsers": len(done),
        "processor seconds of a parser, least": min((each.seconds for each in done), default=None),
        "fuzzed examples": sum(each.examples for each in done),
        "slowest fuzzed example s": max((each.slowest_seconds for each in done), default=None),
        "parsers with a fault": sum(bool(each.found) for each in done),
    }


def fuzz_table(folder: Path) -> str:
    """Every parser, as markdown."""
    lines = [
        "| parser | processor s | examples | slowest, s | found |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, done in records(folder).items():
        found = " ".join(done.found.split()).replace("|", r"\|")[:200] or "nothing"
        numbers = f"{done.seconds:.0f} | {done.examples:,} | {done.slowest_seconds:.2f}"
        lines.append(f"| {name} | {numbers} | {found} |")
    return "\n".join(lines) + "\n"
