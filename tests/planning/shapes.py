"""A small shape and workload for the tests of the plan."""

from __future__ import annotations

from lit_entropy.planning.shape import Shape
from lit_entropy.planning.workload import Workload

SMALL = Shape(
    hidden=64, layers=3, queries=64, keys=32, heads=4, intermediate=160, vocab=50, tied=False,
    biased=True,
)  # fmt: skip


def small_work(**changes: object) -> Workload:
    """A run of the small model; ``changes`` are fields of the workload."""
    shape = changes.pop("shape", SMALL)
    assert isinstance(shape, Shape)
    settings: dict[str, object] = {
        "trainable": shape.parameters,
        "prompts": 8,
        "samples": 4,
        "minibatch": 16,
        "prompt_tokens": 10.0,
        "max_prompt_tokens": 16,
        "response_tokens": 24.0,
        "max_new_tokens": 48,
    }
    return Workload(shape=shape, **(settings | changes))  # type: ignore[arg-type]
