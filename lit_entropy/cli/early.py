"""What is refused before a run has a name and a folder."""

from lightning.pytorch.accelerators import AcceleratorRegistry

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
