"""Several policies in one ``lit-entropy validate``: which ones, in what order, under what name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L

from lit_entropy.checkpoints.io import LAST, resolve_checkpoint
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.evaluation.report.compare import with_differences
from lit_entropy.evaluation.report.files import write_report
from lit_entropy.evaluation.report.records import Checking, PolicyReport, Report
from lit_entropy.evaluation.report.report import policy_report, validation_report
from lit_entropy.evaluation.report.table import table
from lit_entropy.module import EntropyModule
from lit_entropy.tasks.base import Task

#: The model as it is configured, without a checkpoint.
BASE = "base"


class Target(NamedTuple):
    """A policy to evaluate: its name in tables, and its checkpoint (None for the base)."""

    name: str
    checkpoint: str | None


def targets(
    checkpoints: Sequence[str] | None, ckpt_path: str | None, run_folder: Path
) -> list[Target]:
    """The policies of a call, each file looked up before anything heavy is built.

    Args:
        checkpoints: files, ``last`` for the run's newest, or ``base`` for the untouched model.
        ckpt_path: a single file; without both the base alone is evaluated.
        run_folder: where ``last`` is looked up.

    Raises:
        ValueError: both are given, the list is empty, or it names a policy twice.
        FileNotFoundError: no such checkpoint.
    """
    key = "ckpt_path" if checkpoints is None else "checkpoints"
    if checkpoints is None:
        checkpoints = [BASE if ckpt_path is None else ckpt_path]
    elif ckpt_path is not None:
        raise ValueError(f"ckpt_path={ckpt_path} and checkpoints={checkpoints}: give one of them")
    if not checkpoints:
        raise ValueError("checkpoints=[] names no policy: name files, or base, or leave it out")
    words = (LAST, BASE) if key == "checkpoints" else (LAST,)
    paths = [
        None if entry == BASE else str(resolve_checkpoint(entry, run_folder, key, words))
        for entry in checkpoints
    ]
    if len(set(paths)) < len(paths):
        raise ValueError(f"checkpoints={list(checkpoints)} names a policy twice: name each once")
    short = [BASE if path is None else _short(Path(path)) for path in paths]
    return [
        Target(name if short.count(name) == 1 else str(path), path)
        for name, path in zip(short, paths, strict=True)
    ]


def _short(path: Path) -> str:
    return f"{path.resolve().parent.parent.name}/{path.stem}"


def evaluate(
    trainer: L.Trainer, model: EntropyModule, policies: Sequence[Target], **arguments: Any
) -> Report:
    """Validate each policy, write the report into the run folder, and return it.

    Several policies are not logged as metrics, whose rows are one run's RL steps.

    Args:
        trainer: runs the validations.
        model: the untouched model.
        policies: what to load into it; the first is compared against.
        arguments: of ``Trainer.validate``.
    """
    model.logs_validation = len(policies) == 1
    reports: dict[Target, PolicyReport] = {}
    checking: dict[Target, Checking] = {}
    # the base before anything is loaded over it
    for target in sorted(policies, key=lambda target: target.checkpoint is not None):
        model.policy_name = "" if model.logs_validation else target.name
        trainer.validate(model, ckpt_path=target.checkpoint, **arguments)
        reports[target] = policy_report(
            target.name, target.checkpoint, model.rl_step, model.gathered_records, model.evaluation
        )
        checking[target] = check_times(target.name, model.held_out.task, model.ranks)
    report = validation_report(
        [reports[target] for target in policies], model.evaluation, model.max_new_tokens
    )
    report = with_differences(replace(report, checking=[checking[target] for target in policies]))
    folder = trainer.log_dir  # on every rank: reading it is a collective
    if trainer.is_global_zero:
        path = write_report(report, Path(folder or "."))
        print(table(report), flush=True)
        print(f"report: {path.with_suffix('.md')}", flush=True)
    return report


def check_times(policy: str, task: Task, ranks: Ranks) -> Checking:
    """Responses scored since the last call and the seconds that took, over all ranks."""
    # objects: a validation is over, and a module on no device where ranks exchange tensors
    own = ranks.gather_objects((task.checks, task.check_seconds))
    task.checks, task.check_seconds = 0, 0.0
    return Checking(policy, sum(checks for checks, _ in own), sum(seconds for _, seconds in own))
