"""What is refused before a run has a name and a folder."""

from pathlib import Path

import lightning as L
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.plugins.environments import SLURMEnvironment

from lit_entropy.closest import did_you_mean


def check_seed(seed: int) -> None:
    """Refuse a seed that a random generator would not take.

    Raises:
        ValueError: it is outside 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed_everything={seed} must be a whole number from 0 to {2**32 - 1}")


def check_predictions(returned: bool | None) -> None:
    """Refuse a prediction that Lightning would throw away.

    Args:
        returned: ``return_predictions``; None where the subcommand has no such setting.

    Raises:
        ValueError: it is False.
    """
    if returned is False:
        raise ValueError(
            "return_predictions=false leaves nothing to write to predictions.jsonl: leave it out"
        )


def check_accelerator(accelerator: object) -> None:
    """Refuse an accelerator that is not known or not here, before a run has a name and a folder.

    Args:
        accelerator: ``trainer.accelerator``.

    Raises:
        ValueError: names it and what is here.
    """
    known = {"auto", "gpu", *AcceleratorRegistry.available_accelerators()}
    if not isinstance(accelerator, str) or accelerator == "auto":
        return
    here = ["auto", *(name for name in ("cpu", "cuda", "mps") if _is_here(name))]
    if accelerator not in known:
        near = did_you_mean(accelerator, known) or f"; take {' or '.join(here)}"
        raise ValueError(f"trainer.accelerator={accelerator}: there is no such accelerator{near}")
    names = ("cuda", "mps") if accelerator == "gpu" else (accelerator,)
    if not any(map(_is_here, names)):
        kind = accelerator.upper()
        raise ValueError(
            f"trainer.accelerator={accelerator}: no {kind} here; take {' or '.join(here)}"
        )


def _is_here(name: str) -> bool:
    return bool(AcceleratorRegistry[name]["accelerator"].is_available())


def check_requeued(folder: str | Path | None) -> None:
    """Refuse a start under SLURM that Lightning would continue from a checkpoint of its own.

    Args:
        folder: ``trainer.default_root_dir``; None for the working folder.

    Raises:
        ValueError: names the checkpoint and the remedy.
    """
    found = sorted(Path(folder or ".").glob("hpc_ckpt_*.ckpt"))
    if found and SLURMEnvironment.detect():
        raise ValueError(
            f"{found[-1]}: under SLURM Lightning loads this checkpoint, which a requeue has left, "
            "wherever none is named: move it away, and continue a run with --ckpt_path "
            "RUN/checkpoints/last.ckpt"
        )


def without_requeue(trainer: L.Trainer) -> None:
    """Leave SLURM's signal before the end of a job alone.

    Lightning would answer it with a checkpoint outside of the run's folder, in the middle of an RL
    step, from which no run can be continued exactly.
    """
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment):
        environment.auto_requeue = False
