"""Adam and AdamW in one pass over their numbers, where torch has such a pass."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

#: Arguments that choose how a step is taken, with their defaults.
_WAYS = {"fused": None, "foreach": None, "capturable": False, "differentiable": False}
_DEVICES = {"cpu", "cuda"}


def fused(optimizer: Optimizer) -> Optimizer:
    """The same optimizer with torch's fused step, which reads and writes every number once.

    Without it a step on a CPU passes a dozen times over weights, gradients and moments. Numbers
    agree to rounding. An optimizer of another class, on a device other than a CPU or a CUDA one,
    with a tensor for its learning rate or with a way of its own to take a step (``fused: false``
    say) is given back as it is.

    Args:
        optimizer: one that has taken no step.
    """
    kind, groups = type(optimizer), optimizer.param_groups
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    if kind not in (Adam, AdamW) or not devices <= _DEVICES or any(map(_chosen, groups)):
        return optimizer
    accepted = inspect.signature(kind).parameters
    options = {key: value for key, value in optimizer.defaults.items() if key in accepted}
    return kind([{**group, "fused": True} for group in groups], **{**options, "fused": True})


def _chosen(group: Mapping[str, Any]) -> bool:
    """Whether a group says how its step is taken."""
    ways = any(group[name] is not default for name, default in _WAYS.items())
    return ways or isinstance(group["lr"], Tensor)
