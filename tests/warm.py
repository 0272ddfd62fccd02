"""Imported where processes are forked from: they find loaded what a first fit loads."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile

import torch
from runs import ALONE, NO_FIGURE

from lit_entropy.cli.main import main

torch.set_num_threads(1)
with (
    tempfile.TemporaryDirectory() as folder,
    open(os.devnull, "w") as nowhere,
    contextlib.redirect_stdout(nowhere),
    contextlib.redirect_stderr(nowhere),
):
    main(
        ["fit", "--config=quickstart", NO_FIGURE, *ALONE, "--data.prompts_per_step=2",
         "--data.group_size=2", "--data.minibatch_size=2", "--model.max_new_tokens=4",
         "--trainer.max_epochs=1", "--model.policy.model=chain-xs", "--run.wandb=off",
         "--trainer.accelerator=cpu", f"--run.folder={folder}"]
    )  # fmt: skip
tempfile.tempdir = None  # each process has its own
gc.collect()
gc.freeze()
