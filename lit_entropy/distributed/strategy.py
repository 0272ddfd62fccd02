"""Lightning's FSDP2 strategy with every rank in one data-parallel group, and safe checkpoints."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
)
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor

from lit_entropy.atomic import replace_path, sweep_unfinished
from lit_entropy.checkpoints.folders import is_distributed, load_into, load_rest
from lit_entropy.checkpoints.intact import write_digest
from lit_entropy.checkpoints.io import AtomicCheckpointIO, checked_tensors
from lit_entropy.errors import NonFiniteError
from lit_entropy.types import State


class FullySharded(ModelParallelStrategy):
    """FSDP2 over all ranks: each holds a part of every weight, gradient and moment.

    It differs from :class:`ModelParallelStrategy` in what needs no setting and what is safe: the
    data-parallel group is all ranks (there, ``auto`` is tensor parallelism); checkpoints of other
    strategies are taken, also with adapters; a checkpoint folder is replaced when it is complete.

    Args:
        save_distributed_checkpoint: False gathers the state on rank 0, which writes one file that
            any strategy resumes from; its memory must hold it. True writes a folder to which each
            rank adds its part, for models that one machine does not hold.
        process_group_backend: nccl or gloo; by default that of the device.
    """

    def __init__(
        self, save_distributed_checkpoint: bool = False, process_group_backend: str | None = None
    ) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            process_group_backend=process_group_backend,
        )

    def setup_environment(self) -> None:
        """Put every rank into the data-parallel group."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def save_checkpoint(
        self, checkpoint: State, filepath: str | Path, storage_options: object = None
    ) -> None:
        """Write a file, or distributed a folder; either appears when it is complete.

        Raises:
            NonFiniteError: a tensor on any rank is NaN or infinite.
        """
        if not self._save_distributed_checkpoint:
            # the base class removes a folder of this name first, on every rank at once
            target = self.broadcast(filepath)
            Strategy.save_checkpoint(self, checkpoint, target, storage_options)
            return
        self._require_finite(checkpoint)
        target = Path(self.broadcast(filepath))
        if self.is_global_zero and target.parent.is_dir():
            sweep_unfinished(target.parent)
        temporary = Path(self.broadcast(str(target.with_name(f"{target.name}.tmp-{os.getpid()}"))))
        super().save_checkpoint(checkpoint, temporary, storage_options)
        self.barrier()
        if self.is_global_zero:
            write_digest(temporary)
            replace_path(temporary, target)
        self.barrier()

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> State:
        """Take up the state of a file or a folder, whatever strategy wrote it."""
        path = Path(self.broadcast(checkpoint_path))
        assert self.model is not None
        if is_distributed(path):
            return self._load_parts(path)
        checkpoint = AtomicCheckpointIO().load_checkpoint(path, "cpu", weights_only)
        options = StateDictOptions(full_state_dict=True)
        set_model_state_dict(self.model, checkpoint.pop("state_dict"), options=options)
        states = checkpoint.get("optimizer_states", [])
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for optimizer, state in zip(self.optimizers, states, strict=False):
            named = by_name(state, optimizer, names)
            set_optimizer_state_dict(self.model, optimizer, named, options=options)
        return checkpoint

    def _load_parts(self, path: Path) -> State:
        """Each rank reads its part of a folder, whatever number of ranks wrote it."""
        model = self.model
        assert model is not None
        weights = {"state_dict": get_model_state_dict(model)}
        load_into(path, weights)
        set_model_state_dict(model, weights["state_dict"])
        for index, optimizer in enumerate(self.optimizers):
            moments = {f"optimizer_{index}": get_optimizer_state_dict(model, optimizer)}
            load_into(path, moments)
            set_optimizer_state_dict(model, optimizer, moments[f"optimizer_{index}"])
        return load_rest(path)

    def _require_finite(self, checkpoint: State) -> None:
        """The same error on every rank: one that raised alone would leave the others waiting."""
        error = ""
        try:
            checked_tensors(checkpoint)
        except NonFiniteError as found:
            error = str(found)
        errors: list[str] = [""] * self.world_size
        torch.distributed.all_gather_object(errors, error)
        if any(errors):
            raise NonFiniteError(next(filter(None, errors)))


def by_name(
    state: State, optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> State:
    """An optimizer's state with its parameters' numbers replaced by their names.

    The numbers are those of the groups' order, which is that of the optimizer's own parameters:
    frozen parameters are in neither.
    """
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    own = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    if len(numbers) != len(own):
        raise ValueError(
            f"the checkpoint's optimizer has {len(numbers)} parameters, this one {len(own)}: "
            "resume with the model.policy and model.optimizer that it was written with"
        )
    name = dict(zip(numbers, own, strict=True))
    groups = [
        dict(group) | {"params": [name[n] for n in group["params"]]}
        for group in state["param_groups"]
    ]
    return {
        "state": {name[n]: values for n, values in state["state"].items()},
        "param_groups": groups,
    }


def check_strategy(strategy: Strategy) -> None:
    """Refuse strategies in whose parts no response can be sampled.

    Raises:
        ValueError: names the strategy and the remedy.
    """
    if isinstance(strategy, FSDPStrategy | DeepSpeedStrategy):
        raise ValueError(
            f"trainer.strategy={type(strategy).__name__} splits the weights in a way that "
            "rollouts cannot undo: take lit_entropy.distributed.FullySharded (FSDP2), or ddp"
        )


def check_all_sharded(parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
    """Refuse trained parameters outside the policy, whose gradients nobody would average.

    Args:
        parameters: every parameter of the module with its name, after sharding.

    Raises:
        ValueError: names them.
    """
    outside = [
        name
        for name, parameter in parameters
        if parameter.requires_grad and not isinstance(parameter, DTensor)
    ]
    if outside:
        raise ValueError(
            f"{outside} are trained beside the policy, which trainer.strategy does not shard: "
            "set trainer.strategy to ddp"
        )


def check_numbers(device: str, precision: str) -> None:
    """Refuse devices and precisions that cannot hold the numbers.

    Args:
        device: type of the root device.
        precision: ``trainer.precision``.

    Raises:
        ValueError: names the setting and the remedy.
    """
    if device == "mps":
        raise ValueError(
            "trainer.accelerator=mps has no float64, which sampling needs: set it to cpu"
        )
    if precision in ("16-mixed", "16-true"):
        raise ValueError(f"trainer.precision={precision} overflows: set it to bf16-mixed")
