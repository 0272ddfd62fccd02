"""Loaders that are no DataLoader: a rollout an epoch, and held-out problems in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lit_entropy.step.minibatch import microbatches
from lit_entropy.types import Experience, Problem

if TYPE_CHECKING:
    from lit_entropy.data import PromptDataModule
    from lit_entropy.module import EntropyModule


class Sealed:
    """An experience in a box that Lightning does not open.

    Under bf16-true precision Lightning casts every floating tensor of a batch that it can reach,
    old log-probs and advantages included; the data module opens the box after that.
    """

    def __init__(self, experience: Experience) -> None:
        self.experience = experience


class RolloutLoader:
    """A sized, lazy iterable of microbatches whose ``__iter__`` first collects a new rollout.

    It is not a DataLoader, so Lightning neither prefetches it (the next rollout would use a stale
    policy) nor wraps its sampler. It always yields exactly ``len(self)`` microbatches.
    """

    def __init__(self, module: EntropyModule, data: PromptDataModule) -> None:
        self.module = module
        self.data = data

    def __len__(self) -> int:
        return self.data.updates_per_step * self.data.microbatch_count

    def __iter__(self) -> Iterator[Sealed]:
        module, data = self.module, self.data
        rl_step = module.rl_step
        module.collect(data)
        for epoch in range(data.update_epochs):
            for index, rows in enumerate(data.minibatches(module.train_rows, rl_step, epoch)):
                update = data.updates_per_step * (rl_step - 1)
                update += data.minibatches_per_epoch * epoch + index
                assert module.experience is not None
                count = data.microbatch_count
                for batch in microbatches(module, module.experience, rows, count, update):
                    yield Sealed(batch)


class ProblemBatches:
    """Problems in batches, in their order; no DataLoader, so Lightning leaves its order alone."""

    def __init__(self, problems: Sequence[Problem], size: int) -> None:
        self.problems = problems
        self.size = size

    def __len__(self) -> int:
        return -(-len(self.problems) // self.size)

    def __iter__(self) -> Iterator[list[Problem]]:
        for start in range(0, len(self.problems), self.size):
            yield list(self.problems[start : start + self.size])
