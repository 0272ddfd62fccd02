"""Fully sharded training (FSDP2): a rank holds a part of every weight, gradient and moment.

Each transformer layer is one group of parameters, what is left of the policy (embedding, final
norm, head) is the group of the root. The root is the whole :class:`~lit_entropy.policy.Policy`,
because its forward pass uses the base model and the head apart from each other.

Every forward pass of a sharded policy is a collective: all ranks must make the same number of
them. Passes that differ by rank, as in generation, go under :func:`whole_parameters`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

#: Compute type of the sharded weights by trainer.precision; gradients are reduced in float32.
COMPUTE_TYPES = {"32-true": None, "bf16-mixed": torch.bfloat16, "bf16-true": None}


def data_parallel_mesh(mesh: DeviceMesh) -> DeviceMesh:
    """The dimension of a strategy's device mesh over which parameters are sharded.

    Raises:
        ValueError: the strategy asks for tensor parallelism, which a policy does not know.
    """
    ranks = mesh["tensor_parallel"].size()
    if ranks != 1:
        raise ValueError(
            f"trainer.strategy.tensor_parallel_size={ranks}: a policy is sharded over data-parallel"
            " ranks only; set it to 1 and data_parallel_size to the number of ranks, or take "
            "lit_entropy.distributed.FullySharded, which does so"
        )
    return mesh["data_parallel"]


def shard(policy: nn.Module, mesh: DeviceMesh, precision: str) -> None:
    """Shard a policy in place over the ranks of a one-dimensional mesh; again does nothing.

    Args:
        policy: a :class:`~lit_entropy.policy.Policy` with the same weights on every rank.
        mesh: the data-parallel ranks.
        precision: ``trainer.precision``: under ``bf16-mixed`` weights are gathered and used in
            bfloat16, while shards, gradients and moments stay float32.

    Raises:
        ValueError: unknown precision, or a model that does not name its transformer layers.
    """
    if isinstance(policy, FSDPModule):
        return
    if precision not in COMPUTE_TYPES:
        raise ValueError(
            f"trainer.precision={precision} with a sharded policy: use one of {list(COMPUTE_TYPES)}"
        )
    # nothing changes an output in place, of which FSDP warns at the first pass
    warnings.filterwarnings("ignore", message=".*returned a view tensor.*")
    mixed = MixedPrecisionPolicy(COMPUTE_TYPES[precision], torch.float32)
    for layer in transformer_layers(policy):
        fully_shard(layer, mesh=mesh, mp_policy=mixed)
    fully_shard(policy, mesh=mesh, mp_policy=mixed)
    # the first pass through any part decides which one FSDP takes for the root: this is the root's
    root: Any = policy
    root.prepare_shards = MethodType(lambda self: None, policy)
    register_fsdp_forward_method(policy, "prepare_shards")
    policy.register_forward_hook(_reshard_after_scoring)
    root.held_whole = False


def transformer_layers(policy: nn.Module) -> list[nn.Module]:
    """The layers of which transformers says that they are not to be split over devices.

    Raises:
        ValueError: the model names none.
    """
    names = {
        name for part in policy.modules() for name in getattr(part, "_no_split_modules", None) or ()
    }
    layers = [part for part in policy.modules() if type(part).__name__ in names]
    if not layers:
        model = type(getattr(policy, "model", policy)).__name__
        raise ValueError(
            f"model.policy: {model} does not name its transformer layers (_no_split_modules), so "
            "it cannot be sharded: set trainer.strategy to ddp"
        )
    return layers


@contextmanager
def whole_parameters(policy: nn.Module) -> Iterator[None]:
    """Every parameter of the policy on every rank within the block; nothing if it is not sharded.

    Entering is a collective; forward passes within the block are not, so that ranks may make
    different numbers of them. A block within a block does nothing.
    """
    root: Any = policy
    if not isinstance(policy, FSDPModule) or root.held_whole:
        yield
        return
    parts = [part for part in root.modules() if isinstance(part, FSDPModule)]
    with torch.inference_mode(False):  # validation's tensors could not be trained with later
        root.prepare_shards()
        root.set_reshard_after_forward(False)
        for part in parts:
            part.unshard()
    root.held_whole = True
    try:
        yield
    finally:
        root.held_whole = False
        for part in parts:
            part.reshard()
        root.set_reshard_after_forward(True)
        root.set_reshard_after_forward(False, recurse=False)  # its backward pass comes at once


def require_replicas(sharded: bool, name: str) -> None:
    """Refuse what copies the policy, of which a rank holds a part alone.

    Args:
        sharded: whether the policy is or will be sharded.
        name: what asks, for the error.

    Raises:
        ValueError: the policy is sharded.
    """
    if sharded:
        raise ValueError(
            f"{name} copies policy and optimizer, which trainer.strategy splits over the ranks: "
            f"set trainer.strategy to ddp or leave {name} out"
        )


def full(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded as an ordinary one, on every rank."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _reshard_after_scoring(policy: Any, inputs: object, output: object) -> None:
    """The root waits for its backward pass, which a pass without gradients does not have."""
    if not torch.is_grad_enabled() and not policy.held_whole:
        policy.reshard()
