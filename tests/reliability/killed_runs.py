"""Runs that are killed and continued, compared with the same run that nothing has disturbed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from file_events import NONE, Fault, FileEvents
from processes import start
from runs import ALONE, CONFIGS, NO_FIGURE

from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.cli.start import console
from lit_entropy.tracking.metrics_file import read_rows

NAME = "run"
#: Seconds that a process may take, on a machine with other work.
LONGEST = 600
#: RL steps of a run.
STEPS = 3
SMALLEST = [
    f"--config={CONFIGS / 'quickstart.yaml'}", NO_FIGURE, "--model.policy.model=chain-xs",
    "--data.prompts_per_step=2", "--data.group_size=2", "--data.minibatch_size=2",
    "--data.task.validation_size=10", "--model.max_new_tokens=6", f"--trainer.max_epochs={STEPS}",
    "--model.evaluation.samples=1", "--model.evaluation.pass_k=[1]",
    "--trainer.check_val_every_n_epoch=2", "--trainer.accelerator=cpu", "--run.wandb=off",
    "--checkpoint.every_n_epochs=1", "--run.folder=runs", f"--run.name={NAME}",
]  # fmt: skip
#: By name, what a run changes of the smallest.
CONFIGURATIONS: dict[str, list[str]] = {
    "GRPO": ALONE,
    "KL-Cov": [f"--model.loss={CONFIGS / 'loss' / 'kl_cov_tiny.yaml'}", *ALONE],
    "Clip-Cov": [f"--model.loss={CONFIGS / 'loss' / 'clip_cov_tiny.yaml'}", *ALONE],
    "PRIME": [
        "--model.advantage=lit_entropy.advantages.PRIME",
        "--model.advantage.init_args.optimizer=torch.optim.AdamW", *ALONE,
    ],
    "accumulate": ["--trainer.accumulate_grad_batches=2", "--data.minibatch_size=4", *ALONE],
    "monitor": [
        "--checkpoint.monitor=rollout/reward", "--checkpoint.mode=max",
        "--checkpoint.save_top_k=2", *ALONE,
    ],
    "samples and token pages": [
        "--trainer.callbacks+=lit_entropy.callbacks.TokenPage", "--trainer.callbacks.every=2",
    ],
    "stateful": [
        "--model.regularizers+=lit_entropy.regularizers.AdaptiveEntropy",
        "--model.lr_scheduler=torch.optim.lr_scheduler.LinearLR", "--data.group_filter=resample",
        *ALONE,
    ],
    "hostile parts": [
        "--model.loss=hostile_parts.HostileLoss", *ALONE[1:],
        "--trainer.callbacks=[{'class_path': 'hostile_parts.HostileCallback'}]",
    ],
    "every second step": ["--checkpoint.every_n_epochs=2", *ALONE],
}  # fmt: skip


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        kills: how many processes of it were killed.
        codes: exit codes of all of its processes.
        logs: what those printed that ended by a fault, the end of it.
        mismatches: what differs from the run that nothing has disturbed.
        lost_rows: RL steps without their row, or with two.
        restarts: seconds by the clock from a command to its training, of what was continued.
        at: the events at which it was killed.
        named: checkpoints other than the newest that a resume named; Lightning keeps them.
    """

    kills: int = 0
    codes: list[int | None] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    lost_rows: int = 0
    restarts: list[float] = field(default_factory=list)
    at: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)


def run_watched(folder: str, arguments: list[str], fault: Fault) -> None:
    """One command in this process, in a working folder of its own; see ``Fault``."""
    began = time.monotonic()
    os.chdir(folder)
    tempdir = Path(folder, "tmp")
    tempdir.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(tempdir)
    trained = RunCheckpoint.on_train_start

    def on_train_start(*arguments: Any) -> None:
        trained(*arguments)
        Path(folder, "began").write_text(str(time.monotonic() - began))
        if fault.seconds:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), fault.signal))
            signal.setitimer(signal.ITIMER_REAL, fault.seconds)

    RunCheckpoint.on_train_start = on_train_start  # type: ignore[method-assign]
    Path(folder, "runs").mkdir(exist_ok=True)
    FileEvents(Path(folder, "runs"), Path(folder, "events"), fault)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else as in a background job
    sys.argv = ["lit-entropy", "fit", *SMALLEST, *arguments]
    console()


def one_process(folder: Path, arguments: list[str], fault: Fault) -> int | None:
    """Its exit code; negative is the signal that ended it."""
    log = folder / "log"
    process = start(log, run_watched, str(folder), arguments, fault)
    process.join(LONGEST)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"a run did not end within {LONGEST} s: {log.read_text()[-2000:]}")
    return process.exitcode


def reference(configuration: str, folder: Path) -> list[str]:
    """Run a configuration that nothing disturbs.

    Returns:
        The events of its files.
    """
    folder.mkdir(parents=True)
    code = one_process(folder, CONFIGURATIONS[configuration], NONE)
    assert code == 0, (folder / "log").read_text()[-3000:]
    return (folder / "events").read_text().splitlines()


def attack(configuration: str, faults: Sequence[Fault], folder: Path, whole: Path) -> Outcome:
    """Let faults happen to a run, one process after the other, let it end, and compare.

    Args:
        configuration: name of it.
        faults: of the first process, of the one that continues it, and so on.
        folder: an empty one, for this run.
        whole: that of the reference.
    """
    folder.mkdir(parents=True)
    outcome, run = Outcome(), folder / "runs" / NAME
    for fault in [*faults, NONE]:
        last = newest(run)
        if run.exists() and last is None:  # nothing to continue: it is started again
            run.rename(folder / f"unfinished-{outcome.kills}")
        if last is not None and last.name != "last.ckpt":
            outcome.named.append(f"checkpoints/{last.name}")
        (folder / "began").unlink(missing_ok=True)
        resume = [f"--ckpt_path={last}"] if last else []
        code = one_process(folder, [*CONFIGURATIONS[configuration], *resume], fault)
        if last and (folder / "began").exists():
            outcome.restarts.append(float((folder / "began").read_text()))
        outcome.codes.append(code)
        if code == 0:
            break
        text = (folder / "log").read_text()[-1500:]
        (folder / "log").unlink()
        if fault == NONE:
            outcome.mismatches.append(f"a process ended with {code}: {text}")
            return outcome
        outcome.kills += code == -signal.SIGKILL
        outcome.at.append((folder / "events").read_text().splitlines()[-1])
        outcome.logs.append(text)
    outcome.mismatches += differences(folder, whole, outcome.named)
    outcome.lost_rows = lost_rows(run / "metrics.csv")
    return outcome


def newest(run: Path) -> Path | None:
    """The checkpoint that a resume would name."""
    folder = run / "checkpoints"
    if (folder / "last.ckpt").exists():
        return folder / "last.ckpt"
    return max(folder.glob("*.ckpt"), default=None)


def lost_rows(table: Path) -> int:
    """RL steps without a row of their own; a validation before the first has row 0."""
    steps = [int(row["step"]) for row in read_rows(table)]
    wanted = set(range(1, STEPS + 1))
    return len(wanted - set(steps)) + len(steps) - len(set(steps))


def differences(folder: Path, whole: Path, named: Sequence[str] = ()) -> list[str]:
    """Everything but times in which the files of two runs differ.

    Args:
        folder: of the run that was attacked.
        whole: that of the reference.
        named: files that may be more; so are rows that were set aside, as far as they are right.
    """
    ours, theirs = folder / "runs" / NAME, whole / "runs" / NAME
    found = [f"left behind: {path}" for path in leftovers(folder)]
    here, expected = (
        {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
        for run in (ours, theirs)
    )
    set_aside = {name for name in here if name.startswith("metrics-abandoned")}
    more = here - expected - set_aside - set(named)
    found += [f"one file more: {name}" for name in sorted(more)]
    found += [f"one file less: {name}" for name in sorted(expected - here)]
    for name in sorted(here & expected):
        compare = COMPARED.get(Path(name).suffix, same_bytes)
        found += [f"{name}: {text}" for text in compare(ours / name, theirs / name)]
    rows = {row["step"]: row for row in timeless(theirs / "metrics.csv")}
    for name in sorted(set_aside):
        wrong = [r for r in timeless(ours / name) if not r.items() <= rows[r["step"]].items()]
        found += [f"{name}: RL step {row['step']} differs" for row in wrong]
    return found


def leftovers(folder: Path) -> list[str]:
    """Temporary files, and locks of nobody."""
    run = folder / "runs"
    here = [*run.rglob("*.tmp-*"), *run.rglob("*.new"), *run.rglob("*.old"), *run.rglob(".lock")]
    return sorted(str(path.relative_to(folder)) for path in here)


def same_bytes(ours: Path, theirs: Path) -> list[str]:
    return [] if ours.read_bytes() == theirs.read_bytes() else ["other bytes"]


def timeless(table: Path) -> list[dict[str, str]]:
    """The rows of a table, as text, without times."""
    return [
        {key: cell for key, cell in row.items() if not key.startswith("time/")}
        for row in read_rows(table)
    ]


def same_rows(ours: Path, theirs: Path) -> list[str]:
    """Bit for bit: numbers are written with all of their digits."""
    rows, expected = timeless(ours), timeless(theirs)
    if [row["step"] for row in rows] != [row["step"] for row in expected]:
        return [f"rows {[row['step'] for row in rows]}, not {[row['step'] for row in expected]}"]
    return [
        f"RL step {row['step']}: {sorted(set(row.items()) ^ set(other.items()))[:4]}"
        for row, other in zip(rows, expected, strict=True)
        if row != other
    ]


def same_checkpoint(ours: Path, theirs: Path) -> list[str]:
    """All that a resume goes on from: weights, optimizer, loops, callbacks, schedule."""
    files = [torch.load(path, weights_only=True) for path in (ours, theirs)]
    return list(_apart(files[0], files[1], ""))


#: Parts of a checkpoint that say when or where, not what.
_PLACES = ("metrics_rows", "dirpath", "best_model_path", "last_model_path", "best_k_models",
           "kth_best_model_path")  # fmt: skip


def _apart(ours: Any, theirs: Any, name: str) -> list[str]:
    if isinstance(theirs, torch.Tensor):
        same = isinstance(ours, torch.Tensor) and torch.equal(ours, theirs)
        return [] if same else [name]
    if isinstance(theirs, dict):
        if not isinstance(ours, dict) or ours.keys() != theirs.keys():
            return [f"{name} (keys)"]
        keys = [key for key in theirs if key not in _PLACES]
        return [text for key in keys for text in _apart(ours[key], theirs[key], f"{name}.{key}")]
    if isinstance(theirs, list | tuple):
        if len(ours) != len(theirs):
            return [f"{name} (length)"]
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [text for at, (a, b) in pairs for text in _apart(a, b, f"{name}[{at}]")]
    return [] if ours == theirs or (ours != ours and theirs != theirs) else [name]


COMPARED: dict[str, Callable[[Path, Path], list[str]]] = {
    ".csv": same_rows,
    ".ckpt": same_checkpoint,
}


def spread(events: Sequence[str], count: int, kind: Callable[[str], str]) -> list[int]:
    """Numbers of events: one of each kind, then evenly over all, at least ``count`` in all."""
    first = {kind(line): at for at, line in reversed(list(enumerate(events, 1)))}
    chosen = set(first.values())
    step = max(1, len(events) // max(1, count))
    for at in range(1, len(events) + 1, step):
        if len(chosen) >= count:
            break
        chosen.add(at)
    return sorted(chosen)
