"""Numbers of the trainer, the optimizer and its schedule that would fail in the middle of a run."""

import math
from collections.abc import Iterable

from torch import Tensor

from lit_entropy.losses.base import PolicyLoss

#: What schedules call their lengths; the next step divides by it.
LENGTHS = ("T_max", "T_0", "total_iters", "total_steps", "step_size")

#: Precisions of the trainer, and dtypes of weights, of which log-probs hardly depend on the batch.
FULL_PRECISIONS, FULL_DTYPES = ("32-true", "64-true"), {"float32", "float64"}


def check_trainer(check_val_every_n_epoch: int | None, gradient_clip_val: float | None) -> None:
    """Refuse a cadence below 1 and a norm that clips nothing.

    Args:
        check_val_every_n_epoch: RL steps between validations.
        gradient_clip_val: largest norm of a gradient; None or 0 for no clipping.

    Raises:
        ValueError: names the setting and the remedy.
    """
    if check_val_every_n_epoch is not None and check_val_every_n_epoch < 1:
        raise ValueError(
            f"trainer.check_val_every_n_epoch={check_val_every_n_epoch} must be at least 1: set "
            "trainer.limit_val_batches=0 for no validation"
        )
    if gradient_clip_val is not None and not 0 <= gradient_clip_val < math.inf:
        raise ValueError(
            f"trainer.gradient_clip_val={gradient_clip_val} must be a finite number >= 0: use 0 or "
            "null for no clipping"
        )


def selection_note(loss: PolicyLoss, precision: str, weights: Iterable[Tensor]) -> str | None:
    """What holds of the tokens that a loss selects in a low precision; None where all of it holds.

    Args:
        loss: the policy loss.
        precision: ``trainer.precision``.
        weights: the policy's parameters.
    """
    low = low_dtypes(weights)
    if not loss.selects_tokens or (precision in FULL_PRECISIONS and not low):
        return None
    setting, full = f"trainer.precision={precision}", "32-true"
    if precision in FULL_PRECISIONS:
        setting, full = f"model.policy.dtype={low[0]}", "float32"
    return (
        f"{setting} rounds log-probs by the shape of their forward pass: which tokens "
        f"{type(loss).__name__} selects depends on trainer.accumulate_grad_batches and on the "
        f"number of ranks, as it hardly does with {full} (docs/pitfalls.md)"
    )


def measurement_note(
    callback: str, precision: str, weights: Iterable[Tensor], autocast_stays: bool
) -> str | None:
    """What holds of changes of entropy that are measured from low-precision logits; None if none.

    Args:
        callback: what measures them.
        precision: ``trainer.precision``.
        weights: the policy's parameters.
        autocast_stays: whether measurements cannot leave mixed precision.
    """
    low = low_dtypes(weights)
    full = precision in FULL_PRECISIONS or (precision.endswith("-mixed") and not autocast_stays)
    if full and not low:
        return None
    setting, remedy = f"trainer.precision={precision}", "32-true"
    if full:
        setting, remedy = f"model.policy.dtype={low[0]}", "float32"
    return (
        f"{setting} rounds the logits whose differences {callback} takes: it measures rounding "
        "where an RL step changes the entropy by less than some 1e-3 nats, and R² of Lemma 1 does "
        f"not show it; set {remedy} for exact changes (docs/pitfalls.md)"
    )


def low_dtypes(weights: Iterable[Tensor]) -> list[str]:
    """The dtypes of weights by which passes are rounded, sorted."""
    return sorted({str(weight.dtype).removeprefix("torch.") for weight in weights} - FULL_DTYPES)


def compiled_note(parts: Iterable[object], compiled: bool) -> str | None:
    """What a compiled policy does to a penalty |log r|; None where nothing, or nothing is compiled.

    Args:
        parts: the loss and the regularizers.
        compiled: whether forward passes are compiled.
    """
    for part in parts if compiled else ():
        # KL-Cov's name of it, and the reference KL's
        for name in ("kl_estimator", "estimator"):
            if getattr(part, name, None) == "abs":
                return (
                    "model.policy.compile compiles passes with and without gradients apart, and "
                    f"they differ by rounding: where nothing has moved yet the {name} abs of "
                    f"{type(part).__name__} has the sign of that rounding for its gradient, "
                    "uncompiled 0; k2 and k3 are smooth there"
                )
    return None


def check_deterministic(device: str, mode: int) -> None:
    """Refuse deterministic algorithms where sampling has none.

    Args:
        device: type of the root device.
        mode: ``torch.get_deterministic_debug_mode()``; 2 raises, 1 warns.

    Raises:
        ValueError: names the setting and the remedy.
    """
    if device == "cuda" and mode == 2:
        raise ValueError(
            "trainer.deterministic=true: CUDA has no deterministic cumulative sum, by which tokens "
            "are drawn; set it to warn, which is as deterministic in all else"
        )


def check_lengths(scheduler: object) -> None:
    """Raise ValueError for a schedule of length 0."""
    for name in LENGTHS:
        length = getattr(scheduler, name, None)
        if isinstance(length, int) and length < 1:
            raise ValueError(
                f"model.lr_scheduler.{name}={length}: {type(scheduler).__name__} needs at least 1"
            )
