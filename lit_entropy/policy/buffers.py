"""The dtype of a model's buffers, which a change of its weights' dtype must not round."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lit_entropy.policy.quiet import quiet


@contextmanager
def kept_buffers(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, casts of a model leave its buffers as ``from_pretrained`` makes them.

    ``Module.to(torch.bfloat16)`` casts every floating tensor. Rotary frequencies are float32 in a
    model that ``from_pretrained`` loads in bfloat16: rounded ones turn position 4,096 by up to 0.7
    radians. Other buffers, an embedding's scale say, do take the weights' dtype there, and here.

    Args:
        model: the causal LM; its buffers may move to another device within the block.
    """
    before = _floating(model)
    yield
    after = _floating(model)
    changed = [name for name, buffer in before.items() if after[name].dtype != buffer.dtype]
    if not changed:
        return
    dtypes = loaded_dtypes(model, after[changed[0]].dtype)
    for name in changed:
        owner, _, leaf = name.rpartition(".")
        if dtypes.get(name, before[name].dtype) == before[name].dtype:
            kept = before[name].to(after[name].device)
            model.get_submodule(owner)._buffers[leaf] = kept


def loaded_dtypes(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The dtype of each floating buffer of such a model that is made for weights in ``dtype``."""
    kind: Any = type(model)  # the types of transformers do not know _from_config
    with quiet(), torch.device("meta"):
        made = kind._from_config(copy.deepcopy(model.config), dtype=dtype)
    return {name: buffer.dtype for name, buffer in _floating(made).items()}


def _floating(model: PreTrainedModel) -> dict[str, Tensor]:
    named = model.named_buffers(remove_duplicate=False)
    return {name: buffer for name, buffer in named if buffer.is_floating_point()}
