"""Trains what is missing: a finished run is never run again, an interrupted one continues."""

import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from lit_entropy.atomic import atomic_write
from lit_entropy.jobs.job import Job
from lit_entropy.jobs.output import check_output
from lit_entropy.jobs.record import read_record, record_of
from lit_entropy.tracking.abandoned_files import set_run_aside
from lit_entropy.tracking.redaction import REDACTED
from lit_entropy.tracking.run_lock import RunLock

DONE = "done.json"
#: The command line as a function of its arguments.
Main = Callable[[list[str]], object]


def is_done(run: Job, runs: Path) -> bool:
    """Whether a run is finished.

    Raises:
        ValueError: its folder holds a run with other settings, or of which that cannot be told, or
            its record is damaged.
    """
    folder = runs / run.name
    path = folder / DONE
    if not path.exists():
        return False
    again = f"move {folder} away to train it again"
    record = read_record(path.read_bytes(), str(path), again)
    if record.hides:
        raise ValueError(
            f"{path} has {REDACTED} in place of a setting, so whether {run.name} was trained with "
            f"those that are wanted cannot be told: name another --output, or {again}"
        )
    if not record.has_settings_of(run):
        raise ValueError(f"{folder} was trained with {record.difference(run)}")
    if record.digest != run.digest:
        raise ValueError(
            f"{folder} was trained before a configuration file it reads was changed: name "
            f"another --output, or {again}"
        )
    return True


def train(
    main: Main,
    planned: Sequence[Job],
    output: Path,
    jobs: int,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Train the runs that are missing in ``output``, ``jobs`` at a time.

    Each run is a process of its own, forked from one that has imported everything. A run that
    fails does not stop the others. If this process is killed its runs end with it.

    Args:
        main: the command line; a function of a module, which each run's process imports.
        planned: what is wanted.
        output: folder of all; runs go to ``runs``, what they print to ``logs``.
        jobs: processes at a time; each has its share of the cores, or OMP_NUM_THREADS.
        say: called with a line for each run that starts, ends or fails.

    Returns:
        Names of the runs that failed.

    Raises:
        ValueError: a finished run has other settings, or OMP_NUM_THREADS is no number.
    """
    threads = _threads(jobs)
    runs, logs = output / "runs", output / "logs"
    missing = [run for run in planned if not is_done(run, runs)]
    say(f"{len(planned) - len(missing)} of {len(planned)} runs are finished, {len(missing)} to go")
    for folder in (runs, logs):
        folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([main.__module__])
    active: dict[int, tuple[Job, BaseProcess, float]] = {}
    failed, queue, finished = [], list(missing), 0
    while queue or active:
        while queue and len(active) < jobs:
            run = queue.pop(0)
            log = logs / f"{run.name}.log"
            process = context.Process(target=_run, args=(main, run, runs, log, threads))
            process.start()
            active[process.sentinel] = (run, process, time.monotonic())
        ready = wait(list(active))
        for sentinel in [each for each in active if each in ready]:
            run, worker, start = active.pop(sentinel)
            worker.join()
            finished += 1
            ended = worker.exitcode == 0 and is_done(run, runs)
            verdict = "finished" if ended else f"FAILED, see {logs / f'{run.name}.log'}"
            say(f"[{finished}/{len(missing)}] {run.name}: {verdict}, {_seconds(start)}")
            if not ended:
                failed.append(run.name)
    return failed


def cores() -> int:
    """Cores that this process may use; under SLURM or taskset fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads(jobs: int) -> int:
    """Threads of each of some processes: OMP_NUM_THREADS, or else its share of the cores.

    Raises:
        ValueError: the variable is no number above 0.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    first = given.partition(",")[0].strip()  # "2,1" has numbers for nested levels too
    if not first:
        # two-thread processes that share two cores are several times slower than one-thread ones
        return max(1, cores() // jobs)
    if not (first.isascii() and first.isdigit() and int(first)):
        raise ValueError(f"OMP_NUM_THREADS={given}: set it to 1 or more threads, or unset it")
    return int(first)


@contextmanager
def sole_user(output: Path) -> Iterator[None]:
    """Holds the output folder for one process at a time.

    Raises:
        ValueError: another one is at work there (names process and host), or it is no folder.
    """
    check_output(output)
    output.mkdir(parents=True, exist_ok=True)
    lock = RunLock(output)
    try:
        yield
    finally:
        lock.release()


def _seconds(start: float) -> str:
    return f"{time.monotonic() - start:,.0f} s"


def _run(main: Main, run: Job, runs: Path, log: Path, threads: int) -> None:
    """Train one run in a process of its own."""
    _end_with_parent()
    redirect(log)
    import torch

    torch.set_num_threads(threads)
    folder = runs / run.name
    checkpoint = folder / "checkpoints" / "last.ckpt"
    record = record_of(run)
    if folder.exists() and not checkpoint.exists():
        set_run_aside(folder)
    arguments = run.arguments(runs, checkpoint if checkpoint.exists() else None)
    # Lightning starts further ranks by this process's command, which is that of all runs
    sys.argv = [_script(), *arguments]
    try:
        main(arguments)
        if run.digest != record.digest:
            raise ValueError(
                f"{run.name}: a configuration or data file that it reads was changed while it was "
                "trained, so it counts as not finished: change it back, or name another --output"
            )
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    with atomic_write(folder / DONE) as file:
        file.write(record.as_json())


def _script() -> str:
    """The command line as a file, beside the interpreter; else what this process was started by."""
    script = Path(sys.executable).with_name("lit-entropy")
    return str(script) if script.exists() else sys.argv[0]


def redirect(log: Path) -> None:
    """Everything this process prints, also from below Python, goes to the end of ``log``."""
    with open(log, "ab", buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _end_with_parent() -> None:
    """End this process when the one that asked for it is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()
