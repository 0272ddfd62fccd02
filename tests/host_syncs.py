"""Counts what would make the host wait for a GPU, without one: every read of a tensor's values.

On a GPU the host runs ahead of the device until it asks for a value: a number of Python (``item``,
``int``, ``bool``, ``tolist``), a shape that depends on values (a boolean index, ``nonzero``), or a
copy between the devices. On the CPU the same calls are made, so that they can be counted there, but
for ``Tensor.to``: whether it would copy cannot be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

#: Operators that read values, or whose result has a shape that depends on them.
READS = {
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::repeat_interleave.Tensor",
}
#: Methods that copy to the host and reach no operator where the tensor is there already.
COPIES = {Tensor.tolist, Tensor.numpy, Tensor.cpu}


class HostSyncs:
    """Within the block, counts by name what would wait for a GPU; ``total`` adds them up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._modes = (_Operators(self.counts), _Methods(self.counts))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def __enter__(self) -> Self:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)


class _Operators(TorchDispatchMode):
    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(
        self,
        function: Any,
        types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        name = function.name()
        if name in READS:
            self.counts[name] += 1
        elif name in ("aten::index.Tensor", "aten::index_put", "aten::index_put_"):
            masks = [i for i in arguments[1] if i is not None and i.dtype == torch.bool]
            # index_put with a mask and one number is a masked_fill, which waits for nothing
            number = name != "aten::index.Tensor" and arguments[2].dim() == 0
            self.counts["boolean index"] += len(masks) if not number else 0
        return function(*arguments, **(options or {}))


class _Methods(TorchFunctionMode):
    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(options or {})
        if function in COPIES:
            self.counts[function.__name__] += 1
        elif function is torch.tensor and given.get("device") is not None:
            self.counts["copy to the device"] += 1
        return function(*arguments, **given)
