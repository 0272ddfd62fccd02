"""``lit-entropy reproduce`` and ``lit-entropy figures``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from lit_entropy.errors import FailedRunsError
from lit_entropy.figures.entries import PLANNED, AnyEntry
from lit_entropy.figures.history import load_run
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.figures.settings import differences
from lit_entropy.jobs.output import check_output
from lit_entropy.jobs.runner import Main, cores, is_done, sole_user, train
from lit_entropy.release import VERSION
from lit_entropy.reproduce.archived import distinct, in_short, is_archived, unpacked, unplanned
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS, Budget
from lit_entropy.reproduce.digest import rules_digest
from lit_entropy.reproduce.jobs import PlannedRun, cells_of, figure_order, plan
from lit_entropy.reproduce.report import Header, draw_section, write_report
from lit_entropy.reproduce.rungs import claim_by_rung, in_no_rung
from lit_entropy.reproduce.selection import load_others, load_runs

Say = Callable[[str], None]


def reproduce(
    main: Main,
    suite: Literal["tiny"] = "tiny",
    budget: Literal["smoke", "quick", "full"] = "quick",
    figures: str = "",
    jobs: int | None = None,
    output: str | None = None,
    others: list[str] | None = None,
    archive: str | None = None,
) -> Path:
    """Train what is missing and draw every figure of the paper, with verdicts.

    Resumable: a finished run is never run again, an interrupted one continues bit for bit, so the
    report is the same however often the command was stopped.

    Args:
        main: The command line that trains a run.
        suite: Which runs: tiny is chain arithmetic, countdown and strategy discovery with the
            shipped bases, and the exact table.
        budget: smoke (7 RL steps, 2 seeds) shows that everything runs; quick (100 RL steps, 3
            seeds; strategy discovery 300 and 3, the table 30 and 5; points of sweeps and settings
            whose runs take minutes 1, which judges nothing) takes an hour and a half on two cores;
            full (the same RL steps, and the 3 to 24 seeds that decide the claims of a setting) a
            night or two.
        figures: Only these, separated by commas, ``8,11`` say, in a report of their own
            (``report-8-11.html``); all by default.
        jobs: Runs at a time; by default one per core that this process may use; 0 trains none and
            draws what there is.
        output: Folder of runs, figures and report; by default ``reproduce/<suite>-<budget>``.
        others: Further run folders, or patterns of them, for the table of claims by rung alone, of
            SmolLM2-135M say.
        archive: Folder of ``lit-entropy archive``. Runs that it has, with the same settings, are
            not trained; those that no figure plans count as ``others``.

    Returns:
        The report's page; the data lie beside it as JSON.

    Raises:
        FailedRunsError: a run failed; the report is written all the same.
        FileNotFoundError: one of ``others`` is no run, or there is no archive.
        ValueError: an unknown figure, runs in ``output`` that have other settings, an ``output``
            that is no folder, or two different runs of one name.
    """
    jobs = cores() if jobs is None else jobs
    if jobs < 0:
        raise ValueError(f"jobs={jobs}: give 1 or more runs at a time, or 0 to train none")
    chosen = [item.strip() for item in figures.split(",") if item.strip()]
    planned = plan(cells_of(ENTRIES, chosen), BUDGETS[budget])
    folder = Path(output) if output else Path("reproduce") / f"{suite}-{budget}"
    check_output(folder)
    check_output(folder / "figures")
    beside = load_others(others, _say) if others else []
    with unpacked(Path(archive) if archive else None) as archived, sole_user(folder):
        further = unplanned(archived, {cell.name for cell in cells_of(ENTRIES)})
        beside = distinct([*beside, *map(load_run, further)], _say)
        if lost := in_no_rung(beside):
            _say(f"no rung has {in_short(lost)}: of another task, so not in the table of claims")
        missing = [run for run in planned if not is_archived(run, archived)]
        if archive:
            used = {run.name for run in planned} - {run.name for run in missing}
            _say(f"{len(used)} of {len(planned)} runs are in {archive}")
            there = {path.name for path in archived.iterdir()}
            if unused := there - used - {path.name for path in further}:
                _say(f"{archive}: used nowhere, since not planned as they are: {in_short(unused)}")
        failed = train(main, missing, folder, jobs, _say) if jobs else []
        report = report_of(planned, folder, chosen, suite, budget, ENTRIES, beside, archived)
    _say(f"report: {report}")
    if failed:
        raise FailedRunsError(failed, folder / "logs")
    return report


def report_of(
    planned: Sequence[PlannedRun],
    folder: Path,
    figures: Sequence[str],
    suite: str,
    budget: str,
    entries: Sequence[AnyEntry] = ENTRIES,
    beside: Sequence[Run] = (),
    archived: Path | None = None,
) -> Path:
    """Draw the report from the runs that are finished in ``folder``, or else ``archived``.

    The table of claims by rung has those ``beside`` it too.
    """
    places = finished(planned, folder / "runs", archived)
    done = {run.name: run for run in planned if run.name in places}
    missing = [run.name for run in planned if run.name not in done]
    loaded = {name: load_run(places[name] / name, run.cell.label) for name, run in done.items()}
    size, sections = BUDGETS[budget], []
    chosen = [entry for entry in entries if not figures or entry.key in figures]
    for entry in chosen:
        cells = {cell.name for cell in entry.cells}
        names = [name for name, run in done.items() if run.cell.name in cells]
        commands = [done[name].command(Path("runs")) for name in names]
        selected = [loaded[name] for name in names]
        section = draw_section(entry, selected, commands, folder / "figures")
        _say(f"{entry.name}: {section.problem or 'drawn'}")
        sections.append(section)
    header = Header(
        "The Entropy Mechanism in miniature",
        "Every figure of arXiv 2505.22617 at the tiny scale, beside what the paper "
        "says of it. A verdict follows from the rule beside it.",
        f"{_setting(size, suite, budget)} Rules {rules_digest(entries, size)}: the digest of every "
        "claim, rule, seed and size.",
        f"{len(missing)} of {len(planned)} runs are not in this report: they are not "
        "finished." if missing else "",
        missing,
    )  # fmt: skip
    name = "-".join(["report", *sorted(set(figures), key=figure_order)])
    rungs = claim_by_rung(chosen, distinct([*loaded.values(), *beside], _say))
    return write_report(folder, sections, header, name, rungs)[0]


def finished(planned: Sequence[PlannedRun], runs: Path, archived: Path | None) -> dict[str, Path]:
    """The folder that holds each finished run, by its name; an archived one where none was trained.

    Raises:
        ValueError: a run in ``runs`` has other settings.
    """
    trained = {run.name: runs for run in planned if is_done(run, runs)}
    if archived is None:
        return trained
    return {run.name: archived for run in planned if is_archived(run, archived)} | trained


def runs_of(output: Path, budget: str, figure: str) -> list[Run]:
    """The finished runs of one figure in the folder of a reproduction, for notebooks."""
    planned = plan(cells_of(ENTRIES, [figure]), BUDGETS[budget])
    return [
        load_run(output / "runs" / run.name, run.cell.label)
        for run in planned
        if is_done(run, output / "runs")
    ]


def figures(
    runs: list[str],
    output: str = "figures",
    labels: dict[str, str] | list[str] | None = None,
    only: str = "",
) -> Path:
    """Draw the paper's figures from any runs: each label a curve of its own, over its seeds.

    Args:
        runs: Run folders, or CSV exports of W&B's run history with a column of the RL step; also
            patterns in quotes, ``'runs/a-*'`` say.
        output: Folder to write the figures, ``report.html`` and ``report.json`` to.
        labels: The curve that a run belongs to: by the name of its folder or file, or by a pattern
            of names, or as a list with one label for each of ``runs``. Without it the method that
            its configuration names.
        only: Only these figures, separated by commas, ``3,11`` say.

    Returns:
        The report; of figures that these runs cannot show it is printed what is lacking, and those
        of ``only`` say so in the report.

    Raises:
        FileNotFoundError: a folder, a file or a pattern that is no run.
        ValueError: no runs, a label for a run that is not there, two runs of one label and seed, an
            unknown figure, or an ``output`` that is no folder.
    """
    if not runs:
        raise ValueError("runs is empty: name run folders or CSV files")
    chosen = [item.strip() for item in only.split(",") if item.strip()]
    keys = [entry.key for entry in ENTRIES]
    if unknown := sorted(set(chosen) - set(keys)):
        known = ", ".join(sorted(keys, key=figure_order))
        raise ValueError(f"only={unknown}: choose of {known}")
    check_output(Path(output))
    loaded = load_runs(runs, labels, _say)
    remarks = differences(loaded)
    for remark in remarks:
        _say(remark)
    sections = [
        draw_section(entry, loaded, [], Path(output))
        for entry in ENTRIES
        if not chosen or entry.key in chosen
    ]
    drawn = [section for section in sections if chosen or not section.problem]
    for section in sections:
        _say(f"{section.entry.name}: {section.problem or 'drawn'}")
        for label, reason in section.left_out.items():
            _say(f"  without {label}: {reason}")
    groups = "; ".join(
        f"{label}: {', '.join(run.name for run in group)}"
        for label, group in by_label(loaded).items()
    )
    header = Header(
        "Figures of the entropy mechanism",
        "The figures of arXiv 2505.22617 that these runs can show. The paper's claims are judged "
        f"from {PLANNED.seeds} seeds and {PLANNED.steps} RL steps on.",
        " ".join([f"{len(loaded)} runs. {groups}.", *(f"{remark}." for remark in remarks)]),
    )
    Path(output).mkdir(parents=True, exist_ok=True)
    report = write_report(Path(output), drawn, header)[0]
    _say(f"report: {report}")
    return report


def _setting(size: Budget, suite: str, budget: str) -> str:
    own = "".join(
        f"; {name}: {plan.steps} RL steps, {plan.seeds} seeds" for name, plan in size.own.items()
    )
    return (
        f"Suite {suite}, budget {budget}: {size.steps} RL steps, {size.claim_seeds} seeds for "
        f"claims and controls, {size.few_seeds} for each point of a sweep and each costly setting"
        f"{', more where a claim needs them' if size.decides else ''}{own}; intervals are "
        "95 % t intervals over seeds unless said otherwise. lit_entropy "
        f"{VERSION}. The commands are to be typed in a checkout."
    )


def _say(line: str) -> None:
    print(line, flush=True)
