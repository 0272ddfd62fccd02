"""CUDA graphs without a GPU: a step's operations recorded, and repeated at the same addresses.

As in a recording on a GPU Python does not run again: what is repeated are operations of given
arguments, whose results go where the recorded ones lie. A read of a value is refused, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Step = Callable[[], Tensor]


class Replays:
    """Records steps; counts the recordings and the repetitions."""

    def __init__(self) -> None:
        self.recordings = 0
        self.repetitions = 0

    def __call__(self, step: Step) -> Step:
        """A step that runs as it stands once, then is recorded, then repeated."""
        return _Replay(self, step)


class _Replay:
    def __init__(self, owner: Replays, step: Step) -> None:
        self.owner, self.step = owner, step
        self.warm = False
        self.recorded: tuple[_Operations, Tensor] | None = None

    def __call__(self) -> Tensor:
        if not self.warm:
            self.warm = True
            return self.step()
        if self.recorded is None:
            self.owner.recordings += 1
            with _Operations() as operations:
                logits = self.step()
            self.recorded = operations, logits
            return logits
        self.owner.repetitions += 1
        operations, logits = self.recorded
        operations.repeat()
        return logits


class _Operations(TorchDispatchMode):
    """Keeps the operations within the block with their arguments and results."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], Mapping[str, Any], Any]] = []

    def __torch_dispatch__(
        self,
        function: Any,
        types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        result = function(*arguments, **(options or {}))
        if any(not isinstance(part, Tensor) for part in _parts(result)):
            raise RuntimeError(f"operation not permitted when stream is capturing: {function}")
        if not _is_view(function):
            self.calls.append((function, arguments, options or {}, result))
        return result

    def repeat(self) -> None:
        """Do them again, each result into the memory of the recorded one."""
        for function, arguments, options, result in self.calls:
            again = function(*arguments, **options)
            for found, place in zip(_parts(again), _parts(result), strict=True):
                if found is not place:  # an operation in place has written it
                    torch.ops.aten.copy_(place, found)


def _parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _is_view(function: Any) -> bool:
    """Whether a result lies in the memory of an argument that is not written."""
    infos = [argument.alias_info for argument in function._schema.arguments]
    return any(info is not None and not info.is_write for info in infos)
