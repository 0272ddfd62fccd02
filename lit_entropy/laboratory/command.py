"""``lit-entropy anatomy``."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lit_entropy.atomic import atomic_write
from lit_entropy.errors import FailedRunsError
from lit_entropy.figures.as_text import markdown
from lit_entropy.figures.style import save
from lit_entropy.jobs.runner import Main, is_done, sole_user, train
from lit_entropy.laboratory import rules
from lit_entropy.laboratory.conditions import LaboratoryRun, digest_of, planned_run
from lit_entropy.laboratory.figure import anatomy_figure
from lit_entropy.laboratory.measure import Law, Measured, States, measure_law, measure_rows
from lit_entropy.laboratory.table import as_csv, as_markdown, law_lines, verdicts
from lit_entropy.tracking.metrics_file import read_metrics
from lit_entropy.tracking.state_table import read_states

Runs = Mapping[str, Mapping[int, States]]


def anatomy(
    main: Main,
    seeds: list[int] | None = None,
    steps: int = rules.STEPS,
    law_steps: int = rules.LAW_STEPS,
    jobs: int | None = None,
    output: str = "anatomy",
) -> Path:
    """Measure on a softmax table what each assumption of the paper's theorems is worth.

    One assumption is given up at a time: exact advantages, parameters of one state, plain SGD, one
    update a rollout, no clip, the states of the rollout. Resumable, as ``reproduce``.

    Args:
        main: The command line that trains a run.
        seeds: Seeds of every condition; those of the rules, 0 to 4, by default.
        steps: RL steps of a run.
        law_steps: RL steps of the runs to which the law is fitted.
        jobs: Runs at a time; by default one per core.
        output: Folder of runs, table and figure.

    Returns:
        The table as Markdown; beside it lie CSV, JSON and the figure.

    Raises:
        ValueError: a number out of range, or finished runs in ``output`` with other settings.
        FailedRunsError: a run failed; the table is written of the others.
    """
    chosen = list(rules.SEEDS) if seeds is None else seeds
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    _check({"steps": steps, "law_steps": law_steps, "jobs": jobs}, chosen)
    planned = [
        planned_run(each, seed, law_steps if each.name == "law" else steps)
        for seed in chosen
        for each in rules.CONDITIONS
    ]
    folder = Path(output)
    with sole_user(folder):
        failed = train(main, planned, folder, jobs, _say)
        table = report_of(planned, folder)
    if failed:
        raise FailedRunsError(failed, folder / "logs")
    return table


def report_of(planned: Sequence[LaboratoryRun], folder: Path) -> Path:
    """Write table, CSV, JSON and figure of the finished runs, and print the table."""
    place = folder / "runs"
    done = [run for run in planned if is_done(run, place)]
    runs: dict[str, dict[int, States]] = {}
    for run in done:
        runs.setdefault(run.condition.name, {})[run.seed] = read_states(place / run.name)
    measured = measure_rows(rules.ROWS, runs)
    law = law_of([run for run in done if run.condition.name == "law"], place)
    found = verdicts(measured, rules.HOLDS)
    said = markdown(("given up", "by the rules"), [list(pair) for pair in found.items()])
    digest = digest_of(Path(rules.__file__))
    notes = [
        f"Rules {digest}; {len(done)} of {len(planned)} runs. Mean ± half the 95 % t interval "
        "over seeds; R² lost is paired by seed.",
        *([] if law is None else law_lines(law, rules.LAW_R2, rules.POSITIVE_SHARE)),
    ]
    text = "\n\n".join(["# Anatomy", as_markdown(measured), said, *notes]) + "\n"
    record = {
        "rules": digest,
        "rows": [asdict(each) for each in measured],
        "verdicts": found,
        "law": None if law is None else asdict(law),
        "runs": {run.name: run.command(Path("runs")) for run in done},
    }
    written = {".md": text, ".csv": as_csv(measured), ".json": json.dumps(record, indent=1) + "\n"}
    for suffix, content in written.items():
        with atomic_write(folder / f"anatomy{suffix}") as file:
            file.write(content.encode())
    _say(text)
    draw(measured, runs, folder)
    return folder / "anatomy.md"


def law_of(done: Sequence[LaboratoryRun], place: Path) -> Law | None:
    """The law of the runs that are long enough for it; None without any."""
    if not done:
        return None
    folders = [place / run.name for run in done]
    histories = [read_metrics(folder) for folder in folders]
    return measure_law(histories, [read_states(folder) for folder in folders])


def draw(measured: Sequence[Measured], runs: Runs, folder: Path) -> None:
    """Draw what is measured, where every shown row is."""
    labels = {each.row.label for each in measured}
    shown = [row for row in rules.SHOWN if row.label in labels]
    if shown:
        picture, _ = save(anatomy_figure(measured, shown, runs), folder / "figures" / "anatomy")
        _say(f"figure: {picture}")


def _check(numbers: Mapping[str, int], seeds: Sequence[int]) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{name}={value}: give 1 or more")
    if numbers["law_steps"] < 3:
        raise ValueError(f"law_steps={numbers['law_steps']}: the law needs 3 RL steps or more")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={list(seeds)}: give whole numbers, each once")


def _say(line: str) -> None:
    print(line, flush=True)
