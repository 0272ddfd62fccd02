"""``lit-entropy sweep``."""

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lit_entropy.atomic import atomic_write
from lit_entropy.closest import did_you_mean
from lit_entropy.errors import FailedRunsError
from lit_entropy.figures.history import load_run
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import FEWEST_SEEDS
from lit_entropy.figures.style import save
from lit_entropy.jobs.output import check_output
from lit_entropy.jobs.runner import DONE, Main, cores, is_done, sole_user, train
from lit_entropy.sweep.check import check_keys, check_points
from lit_entropy.sweep.figure import sweep_figure, undrawn
from lit_entropy.sweep.file import SweepFile, read_file
from lit_entropy.sweep.grid import Sweep, SweepRun, check_words, runs
from lit_entropy.sweep.table import Comparison, as_csv, as_markdown, rows, unlogged

METRICS = ("entropy/token_mean", "rollout/accuracy", "rollout/length", "val/accuracy")


def sweep(
    main: Main,
    words: list[str],
    over: dict[str, Any] | None = None,
    seeds: list[int] | None = None,
    jobs: int | None = None,
    baseline: str | None = None,
    metrics: list[str] | None = None,
    file: str | None = None,
    output: str | None = None,
) -> Path:
    """Train a grid of settings with several seeds, and compare them by seed.

    Every setting of fit may stand beside these, ``--config`` first; all runs have it. Resumable: a
    finished run is never run again, an interrupted one continues bit for bit.

    Args:
        main: The command line that trains a run.
        words: Arguments of fit that all runs have.
        over: Values of a key, ``--over.model.loss "[PPOClip, KLCov]"``; once for each key of the
            grid. Without any the seeds of one setting are trained.
        seeds: Seeds of every point; 0, 1 and 2 by default. Below three no interval is given.
        jobs: Runs at a time; by default one per core that this process may use.
        baseline: The point that differences are taken to, as the table calls it; by default the
            first.
        metrics: Keys of the table and of the figure; by default entropy, accuracy and length of
            the rollouts, and held-out accuracy.
        file: A sweep as a file, in the format of W&B, method grid; flags come on top.
        output: Folder of runs, logs, table and figures; by default sweeps/ and what is swept.

    Returns:
        The table as Markdown; beside it lie CSV, JSON and the figure.

    Raises:
        ValueError: a key or value that a run would refuse, an unknown baseline, or finished runs in
            ``output`` with other settings.
        FailedRunsError: a run failed; the others are trained and compared all the same.
    """
    given = SweepFile() if file is None else read_file(Path(file))
    wanted = Sweep(
        (*given.words, *words),
        {**given.over, **(over or {})},
        _seeds(seeds if seeds is not None else given.seeds),
    )
    check_words(wanted.words, wanted.over)
    check_keys(main, wanted)
    labels = [point.label for point in wanted.points]
    comparison = _comparison(labels, metrics, baseline, given.metric)
    jobs = cores() if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: give 1 or more runs at a time")
    folder = Path(output) if output else Path("sweeps") / _name(wanted)
    check_output(folder / "figures")
    planned = runs(wanted, folder.name)
    missing = [run for run in planned if not is_done(run, folder / "runs")]
    for remark in check_points(main, missing):
        _say(remark)
    with sole_user(folder):
        failed = train(main, planned, folder, jobs, _say)
        try:
            table = compare_runs(main, wanted, planned, folder, comparison)
        except (Exception, SystemExit) as error:
            if not failed:
                raise
            _say(f"the comparison is not complete: {error}")
            raise FailedRunsError(failed, folder / "logs") from error
    if failed:
        raise FailedRunsError(failed, folder / "logs")
    return table


def compare_runs(
    main: Main,
    wanted: Sweep,
    planned: Sequence[SweepRun],
    folder: Path,
    comparison: Comparison,
) -> Path:
    """Write table and figure of the finished runs, and print the table.

    Args:
        main: the command line, which draws the figures of the paper.
        wanted: the sweep.
        planned: its runs.
        folder: where they lie.
        comparison: metrics and baseline.

    Returns:
        The table as Markdown.
    """
    place = folder / "runs"
    done = [run for run in planned if is_done(run, place)]
    loaded = [load_run(place / run.name, run.point.label) for run in _in_order(wanted, done)]
    found = rows(loaded, comparison.metrics, comparison.baseline)
    gaps = undrawn(loaded, comparison.metrics)
    remarks = _remarks(wanted, planned, done, loaded, comparison)
    remarks += [*gaps.values(), *_others(planned, place)]
    text = "\n".join([as_markdown(found, comparison.baseline), *(f"- {each}" for each in remarks)])
    record = {
        "over": dict(wanted.over),
        "seeds": list(wanted.seeds),
        "baseline": comparison.baseline,
        "rows": [asdict(row) for row in found],
        "remarks": remarks,
        "runs": {run.name: run.command(Path("runs")) for run in planned},
    }
    written = {".md": f"# {folder.name}\n\n{text}\n", ".csv": as_csv(found)}
    written[".json"] = json.dumps(record, indent=1) + "\n"
    for suffix, content in written.items():
        with atomic_write(folder / f"sweep{suffix}") as opened:
            opened.write(content.encode())
    _say(text)
    _say(f"table: {folder / 'sweep.md'}")
    figures = folder / "figures"
    if panels := [key for key in dict.fromkeys(row.metric for row in found) if key not in gaps]:
        picture, _ = save(sweep_figure(loaded, panels), figures / "sweep")
        _say(f"figure: {picture}")
    if found:
        _say(f"figures of the paper: {_paper_figures(main, place, loaded, figures)}")
    return folder / "sweep.md"


def _in_order(wanted: Sweep, done: Sequence[SweepRun]) -> list[SweepRun]:
    labels = [point.label for point in wanted.points]
    return sorted(done, key=lambda run: (labels.index(run.point.label), run.seed))


def _remarks(
    wanted: Sweep,
    planned: Sequence[SweepRun],
    done: Sequence[SweepRun],
    loaded: Sequence[Run],
    comparison: Comparison,
) -> list[str]:
    """What a reader of the table must know."""
    remarks = ["Means over the last tenth of the RL steps; of validations the last at least."]
    if len(wanted.seeds) >= FEWEST_SEEDS:
        remarks.append("± is half the 95 % t interval over seeds; differences are paired by seed.")
    else:
        remarks.append(f"No intervals: they are given from {FEWEST_SEEDS} seeds on.")
    names = {run.name for run in done}
    if absent := [run.name for run in planned if run.name not in names]:
        remarks.append(f"Not finished, and not in the table: {', '.join(absent)}.")
    return remarks + (unlogged(loaded, comparison.metrics) if loaded else [])


def _others(planned: Sequence[SweepRun], place: Path) -> list[str]:
    """Finished runs of other values of the same keys, which an earlier table may have shown."""
    names = {run.name for run in planned}
    beside = sorted(path.parent.name for path in place.glob(f"*/{DONE}"))
    if others := [name for name in beside if name not in names]:
        return [
            f"Finished here too, and not in the table: {', '.join(others)}. One sweep over all "
            "values compares them; none is trained again."
        ]
    return []


def _paper_figures(main: Main, place: Path, loaded: Sequence[Run], output: Path) -> str:
    """Draw what ``lit-entropy figures`` can show of the runs; says where, or that it is nothing."""
    labels = json.dumps({run.name: run.label for run in loaded})
    paths = [str(place / run.name) for run in loaded]
    with redirect_stdout(io.StringIO()):
        main(["figures", *paths, "--output", str(output), "--labels", labels])
    drawn = json.loads((output / "report.json").read_text())["figures"]
    return str(output / "report.html") if drawn else "none that these runs can show"


def _comparison(
    labels: Sequence[str], metrics: list[str] | None, baseline: str | None, metric: str | None
) -> Comparison:
    if baseline is not None and baseline not in labels:
        near = did_you_mean(baseline, labels)
        raise ValueError(f"baseline={baseline}: the points are {', '.join(labels)}{near}")
    keys = [*METRICS] if metrics is None else metrics
    if not keys:
        raise ValueError("metrics=[]: name a key of metrics.csv at least")
    keys = keys if metric is None or metric in keys else [metric, *keys]
    return Comparison(keys, baseline or labels[0])


def _seeds(seeds: list[int] | None) -> tuple[int, ...]:
    found = [0, 1, 2] if seeds is None else seeds
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) for seed in found)
    known = whole and all(0 <= seed < 2**32 for seed in found)
    if not found or not known or len(set(found)) < len(found):
        raise ValueError(
            f'seeds={found}: give whole numbers from 0 to {2**32 - 1}, each once, "[0, 1, 2]" say'
        )
    return tuple(found)


def _name(wanted: Sweep) -> str:
    """The last configuration and the keys of the grid."""
    return "-".join([wanted.stem, *(key.rpartition(".")[2] for key in wanted.over)])


def _say(line: str) -> None:
    print(line, flush=True)
