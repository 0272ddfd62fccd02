"""Forward passes as they stand, or compiled by torch.compile."""

import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn

#: From a model and the arguments of its forward to one field of what it returns.
ForwardPass = Callable[[nn.Module, Mapping[str, Any], str], Tensor]
F = TypeVar("F", bound=Callable[..., Tensor])

_COMPILERS = ("g++", "clang++")
#: Threads of torch up to which compiled code takes one. It brings threads of its own, and on two
#: cores they wait for work where torch's, which take the matrix products, would run.
FEW_THREADS = 2


def plain_pass(model: nn.Module, inputs: Mapping[str, Any], field: str) -> Tensor:
    """The field ``last_hidden_state`` or ``logits`` of one forward pass."""
    output: Tensor = getattr(model(**inputs), field)
    return output


def usable(backend: str) -> bool:
    """Whether a backend can compile here; a warning where ``inductor`` finds no C++ compiler.

    Raises:
        ValueError: a backend that torch does not know.
    """
    if backend not in torch.compiler.list_backends(exclude_tags=()):
        usual = ", ".join(torch.compiler.list_backends())
        raise ValueError(
            f"compile={backend!r}: torch.compile knows {usual}; inductor is the usual one, null "
            "leaves the model uncompiled"
        )
    if backend == "inductor" and not _has_compiler():
        rank_zero_warn(
            "model.policy.compile is inductor, but no C++ compiler is found (CXX, "
            f"{', '.join(_COMPILERS)}): the model runs uncompiled",
            stacklevel=5,
        )
        return False
    return True


def compiled(function: F, backend: str) -> F:
    """The same function, compiled for any batch size and length when it is first called.

    Every rank compiles for itself; compiled code is kept on disk by torch
    (``TORCHINDUCTOR_CACHE_DIR``).
    """
    alone = backend == "inductor" and torch.get_num_threads() <= FEW_THREADS
    return _compiled(function, backend, alone)


@cache
def _compiled(function: F, backend: str, alone: bool) -> F:
    options: dict[str, Any] | None = {"cpp.threads": 1} if alone else None
    found = torch.compile(function, dynamic=True, backend=backend, options=options)
    return cast(F, found)


def _has_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else _COMPILERS))
