"""Parts of a run that turn against it when an environment variable says how, else do nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lit_entropy.losses import PPOClip
from lit_entropy.tasks import ChainArithmetic
from lit_entropy.types import LossOutput, Problem

#: Names what a hostile part does in RL step 2.
HOSTILE = "TEST_HOSTILE"

#: By what a part does, what the last line of the run says: the part, or what is wrong with it.
SAID = {
    "task gives text": "HostileTask.rewards, response 0",
    "task gives a list": "HostileTask.rewards, response 0",
    "task gives a dict": "HostileTask.rewards, response 0",
    "task gives a complex number": "HostileTask.rewards, response 0",
    "task gives NaN": "HostileTask.reward must return a finite number",
    "task gives infinity": "HostileTask.reward must return a finite number",
    "task gives None": "HostileTask.rewards gave None for all of them",
    "task gives too few": "HostileTask.rewards gave 1 rewards for",
    "task gives no list": "HostileTask.rewards: expected a list",
    "task raises": "HostileTask.rewards: KeyError: 'anything'",
    "task recurses": "HostileTask.rewards: RecursionError: maximum recursion depth",
    "task has no memory": "HostileTask.rewards: MemoryError",
    "task says much": "HostileTask.rewards: ValueError: xxx",
    "task stops": "HostileTask.rewards raised StopIteration",
    "task exits": "HostileTask.rewards: a part of the run ended the process",
    "task hangs": "Continue with the same command",
    "loss raises": "HostileLoss.forward: RuntimeError: the loss does not feel like it",
    "loss stops": "HostileLoss.forward raised StopIteration",
    "loss exits": "HostileLoss.forward: a part of the run ended the process",
    "loss is NaN": "is not finite at RL step",
    "loss is infinite": "is not finite at RL step",
    "loss is None": "HostileLoss.forward: expected a LossOutput",
    "loss is a number": "HostileLoss.forward: expected a LossOutput",
    "loss is a scalar": "HostileLoss.forward, token_loss_BT: expected",
    "loss is too long": "HostileLoss.forward, token_loss_BT: expected",
    "loss is whole numbers": "HostileLoss.forward, token_loss_BT: expected",
    "loss has a text for a metric": "HostileLoss.forward, metrics['m']: expected",
    "loss is detached": "HostileLoss.forward: expected a loss with a gradient",
    "callback raises": "HostileCallback.on_train_epoch_start: KeyError: 'anything'",
    "callback stops": "the fit ended after RL step 1 of 3, and nothing had asked for it",
    "callback exits": "HostileCallback.on_train_epoch_start: a part of the run ended",
    "callback logs a line break": "the metric 'a\\nb' has no printable name",
    "callback logs text": "HostileCallback.on_train_epoch_start: ValueError: ",
    "callback breaks the weights": "is not finite",
    "deletes metrics.csv": "metrics.csv",
    "empties metrics.csv": "metrics.csv",
    "deletes the run": "metrics.csv",
}


class HostileTask(ChainArithmetic):
    """As told: rewards that are none, or no rewards."""

    calls = 0

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[float | None]:
        given = super().rewards(problems, responses)
        HostileTask.calls += 1
        mode = os.environ.get(HOSTILE, "") if HostileTask.calls > 1 else ""
        made = _REWARDS.get(mode)
        return made(given) if made else given


def _raise(error: BaseException) -> Any:
    raise error


def _recurse(given: Any) -> Any:
    return _recurse([given])


_REWARDS: dict[str, Callable[[Any], Any]] = {
    "task gives text": lambda given: ["1.0"] * len(given),
    "task gives a list": lambda given: [[1.0]] * len(given),
    "task gives a dict": lambda given: [{"reward": 1.0}] * len(given),
    "task gives a complex number": lambda given: [1.0 + 1j] * len(given),
    "task gives NaN": lambda given: [float("nan"), *given[1:]],
    "task gives infinity": lambda given: [*given[:-1], float("inf")],
    "task gives None": lambda given: [None] * len(given),
    "task gives too few": lambda given: given[:1],
    "task gives no list": lambda given: (reward for reward in given),
    "task raises": lambda given: _raise(KeyError("anything")),
    "task recurses": _recurse,
    "task has no memory": lambda given: _raise(MemoryError()),
    "task says much": lambda given: _raise(ValueError("x" * 10_000 + "\n" * 50)),
    "task stops": lambda given: _raise(StopIteration()),
    "task exits": lambda given: sys.exit(0),
    "task hangs": lambda given: time.sleep(600),
}


class HostileLoss(PPOClip):
    """As told: raises, or returns what is no loss."""

    updates = 0

    def forward(self, *arguments: Any, **options: Any) -> Any:
        loss = super().forward(*arguments, **options)
        HostileLoss.updates += 1
        mode = os.environ.get(HOSTILE, "") if HostileLoss.updates > 2 else ""
        made = _LOSSES.get(mode)
        return made(loss) if made else loss


def _times(factor: float) -> Callable[[LossOutput], Any]:
    return lambda loss: replace(loss, token_loss_BT=loss.token_loss_BT * factor)


_LOSSES: dict[str, Callable[[LossOutput], Any]] = {
    "loss raises": lambda loss: _raise(RuntimeError("the loss does not feel like it")),
    "loss stops": lambda loss: _raise(StopIteration()),
    "loss exits": lambda loss: sys.exit(0),
    "loss is NaN": _times(float("nan")),
    "loss is infinite": _times(float("inf")),
    "loss is None": lambda loss: None,
    "loss is a number": lambda loss: 0.5,
    "loss is a scalar": lambda loss: LossOutput(loss.token_loss_BT.mean()),
    "loss is too long": lambda loss: LossOutput(loss.token_loss_BT.repeat(1, 2)),
    "loss is whole numbers": lambda loss: LossOutput(loss.token_loss_BT.long()),
    "loss has a text for a metric": lambda loss: replace(loss, metrics={"m": "high"}),
    "loss is detached": lambda loss: LossOutput(loss.token_loss_BT.detach()),
}


class HostileCallback(L.Callback):
    """As told, at the start of RL step 2."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        mode, folder = os.environ.get(HOSTILE), Path(trainer.log_dir or ".")
        if trainer.current_epoch != 1 or mode is None:
            return
        if mode == "callback raises":
            raise KeyError("anything")
        if mode == "callback exits":
            sys.exit(0)
        if mode == "callback stops":
            raise StopIteration
        if mode == "callback logs a line break":
            pl_module.log("a\nb", 1.0, on_step=False, on_epoch=True)
        if mode == "callback logs text":
            pl_module.log("a", "high", on_step=False, on_epoch=True)  # type: ignore[arg-type]
        if mode == "callback breaks the weights":
            with torch.no_grad():
                next(pl_module.parameters()).fill_(float("nan"))
        if mode == "deletes metrics.csv":
            (folder / "metrics.csv").unlink()
        if mode == "empties metrics.csv":
            (folder / "metrics.csv").write_text("")
        if mode == "deletes the run":
            shutil.rmtree(folder)
        if mode == "prints without end":
            for _ in range(2000):
                print("x" * 10_000)
