"""This process among all that train together, and what they exchange."""

from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """One rank of many; by default the only one.

    Every method that exchanges is a collective: all ranks call it, with equal shapes.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
        device: where the tensors that are exchanged live.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU

    def own(self, rows: Tensor) -> Tensor:
        """This rank's share of rows that every rank knows, dealt out in turn."""
        return rows[self.rank :: self.world_size]

    def share(self, count: int) -> range:
        """This rank's share of ``count`` things: neighbours, in rank order."""
        return range(
            self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size
        )

    def is_own(self, index: int) -> bool:
        """Whether thing ``index`` of those that are dealt out in turn is this rank's."""
        return index % self.world_size == self.rank

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all ranks, stacked: [world size, ...]."""
        if self.world_size == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)

    def gather_objects(self, value: Item) -> list[Item]:
        """The picklable values of all ranks, in rank order."""
        if self.world_size == 1:
            return [value]
        parts = [value] * self.world_size
        dist.all_gather_object(parts, value)
        return parts

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the ranks, the same bits on every rank; the argument is left as it is."""
        if self.world_size == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total
