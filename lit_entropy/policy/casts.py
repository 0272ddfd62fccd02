"""Copies of weights in autocast's dtype that many products share.

Lightning's autocast keeps none: every product casts its weight again, and what it keeps for its
backward pass holds that copy.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lit_entropy.policy.compiled import ForwardPass, plain_pass

#: Copies by the weight that they are of.
Copies = dict[nn.Parameter, Tensor]


class _Copy(torch.autograd.Function):
    """A weight's copy; its gradients are cast and summed as those of a cast of its own."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, copy: Tensor) -> Tensor:
        ctx.dtype = weight.dtype
        return copy.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].to(ctx.dtype), None


def autocast_dtype(model: nn.Module) -> torch.dtype | None:
    """The dtype in which autocast takes the products of a model; None where it is off."""
    device = next(model.parameters()).device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def sharing_pass(dtype: torch.dtype) -> ForwardPass:
    """:func:`plain_pass` whose passes share one copy of the linear layers' weights.

    The numbers are those of separate casts. The copies are of the weights at the first pass, so
    that a pass of its own is needed once they have changed.
    """
    copies: Copies = {}

    def forward(model: nn.Module, inputs: Mapping[str, Any], field: str) -> Tensor:
        with _replaced(model, dtype, copies):
            return plain_pass(model, inputs, field)

    return forward


@contextmanager
def shared_casts(model: nn.Module) -> Iterator[None]:
    """Under autocast, one copy of the linear layers' weights for all passes within the block."""
    dtype = autocast_dtype(model)
    if dtype is None:
        yield
        return
    with _replaced(model, dtype, {}):
        yield


@contextmanager
def _replaced(model: nn.Module, dtype: torch.dtype, copies: Copies) -> Iterator[None]:
    """The float32 weights of linear layers stand as their copies within the block.

    Weights that are sharded, quantised or computed stay as they are.
    """
    places: list[tuple[dict[str, Any], str, nn.Parameter]] = [
        (module._parameters, name, weight)
        for module in model.modules()
        if isinstance(module, nn.Linear)
        for name, weight in module._parameters.items()
        if type(weight) is nn.Parameter and weight.dtype == torch.float32
    ]
    try:
        for weights, name, weight in places:
            if weight not in copies:
                copies[weight] = weight.detach().to(dtype)
            weights[name] = _Copy.apply(weight, copies[weight])
        yield
    finally:
        for weights, name, weight in places:
            weights[name] = weight
