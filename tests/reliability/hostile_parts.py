"""Parts of a run that turn against it when an environment variable says how, else do nothing."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L

from lit_entropy.losses import PPOClip

#: Names what a hostile part does in RL step 2.
HOSTILE = "TEST_HOSTILE"


class HostileLoss(PPOClip):
    """As told: raises, or returns a number that is none."""

    updates = 0

    def forward(self, *arguments: Any, **options: Any) -> Any:
        loss = super().forward(*arguments, **options)
        HostileLoss.updates += 1
        mode = os.environ.get(HOSTILE) if HostileLoss.updates > 2 else None
        if mode == "loss raises":
            raise RuntimeError("the loss does not feel like it")
        if mode == "loss stops":
            raise StopIteration
        if mode == "loss is NaN":
            return replace(loss, token_loss_BT=loss.token_loss_BT * float("nan"))
        return loss


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
        if mode == "deletes metrics.csv":
            (folder / "metrics.csv").unlink()
        if mode == "empties metrics.csv":
            (folder / "metrics.csv").write_text("")
        if mode == "deletes the run":
            shutil.rmtree(folder)
        if mode == "prints without end":
            for _ in range(2000):
                print("x" * 10_000)
