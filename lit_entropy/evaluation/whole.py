"""Whether an evaluation has seen every batch: Lightning takes any StopIteration for its end."""

from collections.abc import Sequence
from typing import Protocol

from lit_entropy.errors import PartError


class Progress(Protocol):
    """What Lightning's loops count.

    Attributes:
        current: with ``completed``, the batches after which every hook was called.
    """

    current: "Count"


class Count(Protocol):
    """Batches of a loop."""

    completed: int


def require_every_batch(progress: Progress, batches: Sequence[int | float]) -> None:
    """Raise PartError where an evaluation has ended before its last batch.

    Its numbers would be those of fewer problems.

    Args:
        progress: of the loop.
        batches: that each of its loaders has.
    """
    seen, wanted = progress.current.completed, sum(batches)
    if seen != wanted:
        raise PartError(
            f"an evaluation ended after {seen} of its {wanted} batches of held-out problems: a "
            "part of the run raised StopIteration; let it raise another error"
        )
