"""What is checked before a run starts, of parts that cannot know of each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import lightning as L

from lit_entropy.advantages.base import AdvantageEstimator

GroupFilter = Literal["none", "mask", "resample"]


def check_numbers(trainer: L.Trainer) -> None:
    """Refuse devices and precisions that cannot hold the numbers.

    Raises:
        ValueError: names the setting and the remedy.
    """
    if trainer.strategy.root_device.type == "mps":
        raise ValueError(
            "trainer.accelerator=mps has no float64, which sampling needs: set it to cpu"
        )
    precision = trainer.precision_plugin.precision
    if precision in ("16-mixed", "16-true"):
        raise ValueError(f"trainer.precision={precision} overflows: set it to bf16-mixed")


def check_group_size(advantage: AdvantageEstimator, group_size: int) -> None:
    """Refuse a group that is too small for the advantage.

    Raises:
        ValueError: names both and the remedy.
    """
    if group_size < advantage.min_group_size:
        raise ValueError(
            f"data.group_size={group_size}, but {type(advantage).__name__} compares the responses "
            f"of a group: set data.group_size to {advantage.min_group_size} or more, or take "
            "another model.advantage"
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a setting of the data that is none of its choices.

    Raises:
        ValueError: names the setting, its value and the choices.
    """
    if value not in choices:
        raise ValueError(f"data.{name}={value!r}: use one of {tuple(choices)}")


def check_sizes(
    *, prompts_per_step: int, group_size: int, minibatch_size: int, **others: int
) -> None:
    """Refuse sizes of an RL step below 1, and minibatches that do not divide its sequences.

    Args:
        prompts_per_step: prompts (P) an RL step.
        group_size: samples (G) a prompt.
        minibatch_size: sequences an optimiser update.
        others: further sizes by name.

    Raises:
        ValueError: names the setting and its value.
    """
    sizes = {"prompts_per_step": prompts_per_step, "group_size": group_size}
    for name, value in (sizes | {"minibatch_size": minibatch_size} | others).items():
        if value < 1:
            raise ValueError(f"data.{name}={value} must be at least 1")
    sequences = prompts_per_step * group_size
    if sequences % minibatch_size:
        raise ValueError(
            f"data.minibatch_size={minibatch_size} does not divide the {sequences} sequences of an "
            f"RL step (prompts_per_step={prompts_per_step} x group_size={group_size})"
        )


def check_adapters(policy: Any, parts: Iterable[Any]) -> None:
    """Refuse adapters with a part that compares the policy to its frozen reference.

    Args:
        policy: the policy of the run.
        parts: its advantage estimator and regularizers.

    Raises:
        ValueError: names the parts and the remedy.
    """
    names = [type(part).__name__ for part in parts if part.needs_reference]
    if policy.lora is not None and names:
        raise ValueError(
            f"model.policy.lora is set, but {' and '.join(names)} needs the frozen reference "
            "policy, which is not built for a policy with adapters: leave out model.policy.lora, "
            f"or {' and '.join(names)}"
        )
