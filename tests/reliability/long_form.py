"""The long form of the attacks, with a closing table: ``python tests/reliability/long_form.py``.

Kills at file events of every kind in every configuration, and of what continues them; hostile
tasks, losses and callbacks; checkpoints with flipped bits; bad servers of W&B; hostile answers
through every checker; fuzzing of every parser; a soak. What is done stands in the output folder and
is not done again. The exit code is 1 where anything differs, is lost, was executed or was found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent)] + [str(TESTS / each) for each in ("", "reliability", "tracking")]

from attacked_runs import CONFIGURATIONS  # noqa: E402
from file_events import Fault, kind_of  # noqa: E402
from killed_runs import attack, reference, spread  # noqa: E402
from long_fuzz import fuzz_all, fuzz_collected, fuzz_table  # noqa: E402
from long_parts import answers, bits, hostile_parts, once, servers  # noqa: E402
from long_parts import collected as collected_parts  # noqa: E402
from soak import slopes, soak  # noqa: E402

PARTS = ("kills", "parts", "bits", "wandb", "answers", "fuzz", "soak")
#: What must be 0 in the table.
BROKEN = (
    "mismatches", "lost or doubled rows", "executed", "unbounded checks",
    "parts with another end or another run", "accepted flips", "runs that a server changed",
    "parsers with a fault",
)  # fmt: skip
_one_reference = Lock()


def main() -> int:
    """Attack, then write ``table.md`` and ``table.json``; the exit code."""
    options = arguments()
    output: Path = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if "kills" in options.parts:
        kills(output / "kills", options.kills, options.seed, options.jobs)
    if "parts" in options.parts:
        once(output / "parts.json", hostile_parts)
    if "bits" in options.parts:
        once(output / "bits.json", lambda folder: bits(folder, options.bits))
    if "wandb" in options.parts:
        once(output / "wandb.json", servers)
    if "answers" in options.parts:
        answers(output / "answers", options.answers)
    if "fuzz" in options.parts:
        fuzz_all(output / "fuzz", options.fuzz_seconds, jobs=options.jobs)
    if "soak" in options.parts:
        soak(output / "soak", options.steps)
    record = collected(output)
    (output / "table.json").write_text(json.dumps(record, indent=2) + "\n")
    (output / "table.md").write_text(table(record))
    print(table(record), fuzz_table(output / "fuzz"), sep="\n")
    (output / "fuzz.md").write_text(fuzz_table(output / "fuzz"))
    return 1 if failed(record) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of what was done")
    parser.add_argument("--kills", type=int, default=300, help="processes to kill, at least")
    parser.add_argument("--jobs", type=int, default=2, help="attacks side by side")
    parser.add_argument("--answers", type=int, default=1000, help="hostile answers")
    parser.add_argument(
        "--fuzz-seconds", type=float, default=600.0, help="of each parser's process"
    )
    parser.add_argument("--bits", type=int, default=2000, help="bits of a checkpoint to flip")
    parser.add_argument("--steps", type=int, default=10_000, help="RL steps of the soak")
    parser.add_argument("--seed", type=int, default=0, help="of the kills that are drawn")
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, default=PARTS,
        help="what to attack; none writes the table of what was done",
    )  # fmt: skip
    return parser.parse_args()


def kills(folder: Path, wanted: int, seed: int, jobs: int) -> None:
    """One attack at each kind of event, in turn through the configurations, then at others."""
    done = folder / "kills.jsonl"
    plans = ((name, plan) for plan in itertools.count() for name in CONFIGURATIONS)
    with ThreadPoolExecutor(jobs) as pool:
        while sum(outcome["kills"] for outcome in read_lines(done)) < wanted:
            keys = {outcome["key"] for outcome in read_lines(done)}
            new = (plan for plan in plans if f"{plan[0]}/{plan[1]}" not in keys)
            batch = list(itertools.islice(new, 2 * jobs))
            for _ in pool.map(lambda plan: one_attack(folder, *plan, seed), batch):
                pass  # what one of them raises ends all


def one_attack(folder: Path, name: str, plan: int, seed: int) -> None:
    """Kill a run, and what continues it at random twice; note what became of it."""
    whole = folder / f"{name}-whole".replace(" ", "-")
    record = whole / "events"
    with _one_reference:
        if not (whole / "ended").exists():
            shutil.rmtree(whole, ignore_errors=True)
            reference(name, whole)
            (whole / "ended").touch()
    events = record.read_text().splitlines()
    draw = random.Random(f"{seed} {name} {plan}")
    kinds = spread(events, 0, kind_of)
    # in an order of its own in each configuration, so that the first attacks are of many kinds
    random.Random(f"{seed} {name}").shuffle(kinds)
    first = kinds[plan] if plan < len(kinds) else draw.randint(1, len(events))
    # of the events that are left, which start anew
    second = Fault(draw.randint(1, max(1, (len(events) - first) // 2)), torn=draw.random() < 0.5)
    third = Fault(seconds=0.02 + draw.random() / 4)
    here = folder / f"{name}-{plan}".replace(" ", "-")
    shutil.rmtree(here, ignore_errors=True)
    outcome = attack(name, [Fault(first, torn=plan % 2 == 1), second, third], here, whole)
    line = {"key": f"{name}/{plan}", **asdict(outcome)}
    with (folder / "kills.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{name} {plan}: {outcome.kills} kills, {outcome.mismatches or 'the same'}", flush=True)
    if not outcome.mismatches:
        shutil.rmtree(here)


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def collected(output: Path) -> dict[str, Any]:
    """The numbers of the table, of what was done so far."""
    runs = read_lines(output / "kills" / "kills.jsonl")
    checked = [json.loads(file.read_text()) for file in sorted(output.glob("answers/*.json"))]
    restarts = [seconds for run in runs for seconds in run["restarts"]]
    samples = output / "soak" / "soak.csv"
    steps, growth = slopes(samples) if samples.exists() else (0, {})
    return {
        "attacked runs": len(runs),
        "kills": sum(run["kills"] for run in runs),
        "configurations": len({run["key"].split("/")[0] for run in runs}),
        "kinds of file events": len({kind_of(line) for run in runs for line in run["at"]}),
        "mismatches": sum(len(run["mismatches"]) for run in runs),
        "lost or doubled rows": sum(run["lost_rows"] for run in runs),
        "restart median s": statistics.median(restarts) if restarts else None,
        "restart max s": max(restarts, default=None),
        **collected_parts(output),
        "hostile answers": max((each["answers"] for each in checked), default=0),
        "checks": sum(each["checks"] for each in checked),
        "executed": sum(each["executed"] for each in checked),
        "unbounded checks": sum(each["unbounded"] for each in checked),
        "slowest check s": max((each["slowest"] for each in checked), default=None),
        **fuzz_collected(output / "fuzz"),
        "soak RL steps": steps,
        **{f"{name} per 1,000 RL steps": list(pair) for name, pair in growth.items()},
    }


def table(record: dict[str, Any]) -> str:
    """The numbers as markdown."""
    lines = ["| measure | value |", "| --- | ---: |"]
    for name, value in record.items():
        if isinstance(value, list):
            slope, half = (round(number, 6) + 0.0 for number in value)  # no -0, no rounding noise
            text = f"{slope:+.3g} ± {half:.2g}"
        elif isinstance(value, float):
            text = f"{value:.2f}"
        else:
            text = "not measured" if value is None else f"{value:,}"
        lines.append(f"| {name} | {text} |")
    return "\n".join(lines) + "\n"


def failed(record: dict[str, Any]) -> bool:
    """Whether a promise is broken."""
    return any(record[name] for name in BROKEN)


if __name__ == "__main__":
    sys.exit(main())
