"""The forward pass of scoring, as it stands or compiled by torch.compile."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn

#: From a model and the arguments of its forward to one field of what it returns.
ForwardPass = Callable[[nn.Module, Mapping[str, Any], str], Tensor]

_COMPILERS = ("g++", "clang++")
#: Threads of torch up to which compiled code takes one. It brings threads of its own, and on two
#: cores they wait for work where torch's, which take the matrix products, would run.
FEW_THREADS = 2


def plain_pass(model: nn.Module, inputs: Mapping[str, Any], field: str) -> Tensor:
    """The field ``last_hidden_state`` or ``logits`` of one forward pass."""
    output: Tensor = getattr(model(**inputs), field)
    return output


def compiled_pass(backend: str) -> ForwardPass:
    """The same pass, compiled for any batch size and length when it is first taken.

    Every rank and every copy of a model compiles for itself; compiled code is kept on disk by torch
    (``TORCHINDUCTOR_CACHE_DIR``). Where ``inductor`` finds no C++ compiler a warning says so, and
    the pass is taken as it stands.

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
        return plain_pass
    alone = backend == "inductor" and torch.get_num_threads() <= FEW_THREADS
    options: dict[str, Any] | None = {"cpp.threads": 1} if alone else None
    return torch.compile(plain_pass, dynamic=True, backend=backend, options=options)


def _has_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else _COMPILERS))
