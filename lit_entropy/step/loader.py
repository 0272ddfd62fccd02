"""Loaders that are no DataLoader: a rollout per epoch, and held-out problems in batches."""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from lit_entropy.step.minibatch import Microbatch
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Problem


class RolloutLoader:
    """A sized, lazy iterable of microbatches whose ``__iter__`` first collects a new rollout.

    It is not a DataLoader, so Lightning neither prefetches it (the next rollout would use a stale
    policy) nor wraps its sampler. It always yields exactly ``len(self)`` microbatches.

    Args:
        plan: the sizes of an RL step.
        collect: makes the rollout of the RL step that begins.
        microbatches: this rank's microbatches of (rollout, rows of a minibatch, index of the
            update in the run).
    """

    def __init__(
        self,
        plan: StepPlan,
        collect: Callable[[], Rollout],
        microbatches: Callable[[Rollout, Tensor, int], Iterator[Microbatch]],
    ) -> None:
        self.plan = plan
        self.collect = collect
        self.microbatches = microbatches

    def __len__(self) -> int:
        return self.plan.updates_per_step * self.plan.microbatches

    def __iter__(self) -> Iterator[Microbatch]:
        rollout = self.collect()
        update = self.plan.updates_per_step * (rollout.rl_step - 1)
        for epoch in range(self.plan.update_epochs):
            for rows in self.plan.minibatches(rollout.train_rows, rollout.rl_step, epoch):
                yield from self.microbatches(rollout, rows, update)
                update += 1


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
