"""The case of whole runs: RL steps of the trainer, a checkpoint, and a resume from it."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from gpu.measured import Measured
from gpu.sizes import Size

from lit_entropy.cli.main import main
from lit_entropy.tracking.metrics_file import read_metrics

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
NAME = "gpu-check"
SHARDED = "--trainer.strategy=lit_entropy.distributed.FullySharded"
#: What is added to the quickstart with KL-Cov.
MODES = {
    "32_true": ["--trainer.precision=32-true"],
    "bf16_mixed": ["--trainer.precision=bf16-mixed", "--model.optimizer.fused=true"],
    "sharded": [SHARDED, "--trainer.strategy.save_distributed_checkpoint=true"],
}


def fit(device: torch.device, size: Size) -> Measured:
    """Two RL steps of KL-Cov with the quickstart's callbacks, the second one resumed."""
    measured = Measured()
    for mode, options in MODES.items():
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            try:
                _run(folder, device, size, 1, *options)
                last = Path(folder) / NAME / "checkpoints" / "last.ckpt"
                _run(folder, device, size, 2, *options, f"--ckpt_path={last}")
            finally:
                if dist.is_initialized():
                    dist.destroy_process_group()
            norms = read_metrics(Path(folder) / NAME)["policy/grad_norm"]
        measured.values |= {
            f"{mode}_seconds": time.perf_counter() - start,
            f"{mode}_grad_norm": float(norms[-1]),
            f"{mode}_steps_missing": 2 - sum(map(math.isfinite, norms)),
        }
        measured.limits[f"{mode}_steps_missing"] = 0
    return measured


def _run(folder: str, device: torch.device, size: Size, steps: int, *options: str) -> None:
    prompts, samples, minibatch = size.fitted
    place = [device.index or 0] if device.type == "cuda" else 1
    main(
        [
            "fit", f"--config={QUICKSTART}", f"--run.folder={folder}", f"--run.name={NAME}",
            "--run.wandb=off", "--checkpoint.every_n_epochs=1", f"--model.policy.model={size.base}",
            "--model.loss=KLCov", "--model.loss.fraction=0.05",
            f"--model.max_new_tokens={size.limit}", f"--data.prompts_per_step={prompts}",
            f"--data.group_size={samples}", f"--data.minibatch_size={minibatch}",
            "--data.task.validation_size=10", f"--trainer.max_epochs={steps}",
            f"--trainer.accelerator={device.type}", f"--trainer.devices={place}", *options,
        ]
    )  # fmt: skip
