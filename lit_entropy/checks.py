"""What is checked before a run starts, of parts that cannot know of each other."""

from __future__ import annotations

import lightning as L

from lit_entropy.advantages.base import AdvantageEstimator


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
