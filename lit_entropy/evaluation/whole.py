"""Whether an evaluation has seen every batch: Lightning takes any StopIteration for its end."""

from collections.abc import Sequence

from lit_entropy.errors import PartError


def require_every_batch(seen: int, batches: Sequence[int | float]) -> None:
    """Raise PartError where an evaluation has ended before its last batch.

    Its numbers would be those of fewer problems.

    Args:
        seen: batches after which every hook was called.
        batches: that each of the loaders has.
    """
    wanted = sum(batches)
    if seen != wanted:
        raise PartError(
            f"an evaluation ended after {seen} of its {wanted} batches of held-out problems: a "
            "part of the run raised StopIteration; let it raise another error"
        )
