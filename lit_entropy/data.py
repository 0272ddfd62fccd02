"""Prompts of an RL step and the loader that makes one Lightning epoch one RL step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import lightning as L
import torch
from torch import Tensor

from lit_entropy.functional.rng import generator, permutation
from lit_entropy.minibatch import microbatches
from lit_entropy.tasks.base import Task
from lit_entropy.types import Experience, Problem

if TYPE_CHECKING:
    from lit_entropy.module import EntropyModule


def prompt_indices(size: int, count: int, seed: int, rl_step: int, attempt: int = 0) -> Tensor:
    """Which training problems an RL step uses: a pure function of its arguments.

    The first attempt walks through a fresh permutation each epoch of the data; later attempts
    (group resampling) draw at random, so that they do not shift the walk.

    Args:
        size: number of training problems.
        count: prompts an RL step (P).
        seed: the run's seed.
        rl_step: 0-based RL step.
        attempt: 0, or the number of the resampling attempt.

    Returns:
        int64 [P] indices.
    """
    if attempt > 0:
        source = generator(seed, "resampled prompts", rl_step, attempt)
        return torch.randint(size, (count,), generator=source)
    indices: list[Tensor] = []
    position, needed = rl_step * count, count
    while needed:
        epoch, offset = divmod(position, size)
        part = permutation(size, seed, "prompts", epoch)[offset : offset + needed]
        indices.append(part)
        position, needed = position + len(part), needed - len(part)
    return torch.cat(indices)


def minibatch_rows(rows: Tensor, size: int, seed: int, rl_step: int, epoch: int) -> list[Tensor]:
    """The optimiser minibatches of one pass over a rollout, over all ranks.

    Args:
        rows: int64 rows of the experience that are trained on.
        size: sequences a minibatch; divides ``len(rows)``.
        seed: the run's seed.
        rl_step: 0-based RL step.
        epoch: index of the pass over the rollout (0 .. update_epochs - 1).

    Returns:
        List of int64 [size] row indices.
    """
    order = permutation(len(rows), seed, "minibatches", rl_step, epoch)
    return list(rows[order].split(size))


class RolloutLoader:
    """A sized, lazy iterable of microbatches whose ``__iter__`` first collects a new rollout.

    It is not a DataLoader, so Lightning neither prefetches it (the next rollout would use a stale
    policy) nor wraps its sampler. It always yields exactly ``len(self)`` microbatches.
    """

    def __init__(self, module: EntropyModule, data: PromptDataModule) -> None:
        self.module = module
        self.data = data

    def __len__(self) -> int:
        return (
            self.data.update_epochs * self.data.minibatches_per_epoch * self.data.microbatch_count
        )

    def __iter__(self) -> Iterator[Experience]:
        module, data = self.module, self.data
        rl_step = module.trainer.current_epoch
        module.collect(data, rl_step)
        for epoch in range(data.update_epochs):
            for index, rows in enumerate(data.minibatches(module.train_rows, rl_step, epoch)):
                update = len(self) // data.microbatch_count * rl_step
                update += epoch * data.minibatches_per_epoch + index
                assert module.experience is not None
                count = data.microbatch_count
                yield from microbatches(module, module.experience, rows, count, update)


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


class PromptDataModule(L.LightningDataModule):
    """Draws the prompts of each RL step from a task and cuts the rollout into minibatches."""

    def __init__(
        self,
        task: Task,
        prompts_per_step: int = 256,
        group_size: int = 8,
        minibatch_size: int = 256,
        update_epochs: int = 1,
        group_filter: Literal["none", "mask", "resample"] = "none",
        max_resamples: int = 3,
        max_prompt_tokens: int = 1024,
        validation_batch: int = 256,
        seed: int = 0,
    ) -> None:
        """Set the sizes of an RL step; defaults are those of the paper's section 4.

        Args:
            task: where problems come from and how responses are scored.
            prompts_per_step: prompts (P) an RL step, over all ranks.
            group_size: sampled responses (G) a prompt.
            minibatch_size: sequences an optimiser update, over all ranks and microbatches; the
                microbatch is this divided by trainer.accumulate_grad_batches and the ranks.
            update_epochs: passes over each rollout.
            group_filter: what happens to groups whose responses are all right or all wrong: none;
                mask removes their tokens from the objective; resample draws other prompts.
            max_resamples: further draws of prompts an RL step under resample; groups still without
                signal after the last one are masked.
            max_prompt_tokens: longest prompt accepted, in tokens.
            validation_batch: validation problems evaluated at once.
            seed: keys prompts, samples and minibatches; follows seed_everything in the CLI.
        """
        super().__init__()
        _check_sizes(prompts_per_step, group_size, minibatch_size, update_epochs, validation_batch)
        self.task = task
        self.prompts_per_step = prompts_per_step
        self.group_size = group_size
        self.minibatch_size = minibatch_size
        self.update_epochs = update_epochs
        self.group_filter = group_filter
        self.max_resamples = max_resamples
        self.max_prompt_tokens = max_prompt_tokens
        self.validation_batch = validation_batch
        self.seed = seed
        self.train_problems: Sequence[Problem] = []
        self.validation_problems: Sequence[Problem] = []
        self.microbatch_count = 1

    @property
    def minibatches_per_epoch(self) -> int:
        """Optimiser updates in one pass over a rollout."""
        return self.prompts_per_step * self.group_size // self.minibatch_size

    def setup(self, stage: str) -> None:
        """Load the problems and check what can only be checked with a trainer."""
        self.validation_problems = self.task.validation_problems()
        self._check_prompts("validation", self.validation_problems)
        if stage == "fit":
            self.train_problems = self.task.train_problems()
            self._check_prompts("training", self.train_problems)
            self._check_ranks()

    def draw(self, rl_step: int, attempt: int) -> list[Problem]:
        """The problems [P] of an RL step (all ranks get the same)."""
        size = len(self.train_problems)
        indices = prompt_indices(size, self.prompts_per_step, self.seed, rl_step, attempt)
        return [self.train_problems[int(index)] for index in indices]

    def minibatches(self, rows: Tensor, rl_step: int, epoch: int) -> list[Tensor]:
        """The minibatches of one pass; see :func:`minibatch_rows`."""
        return minibatch_rows(rows, self.minibatch_size, self.seed, rl_step, epoch)

    def encode(self, problems: Sequence[Problem], tokenizer: object) -> list[list[int]]:
        """Token ids of each problem's prompt.

        Raises:
            ValueError: a prompt is empty or longer than ``max_prompt_tokens``.
        """
        encoded = [self.task.encode(problem, tokenizer) for problem in problems]
        for problem, tokens in zip(problems, encoded, strict=True):
            if not 0 < len(tokens) <= self.max_prompt_tokens:
                raise ValueError(
                    f"problem {problem.id} has a prompt of {len(tokens)} tokens, allowed are 1 to "
                    f"data.max_prompt_tokens={self.max_prompt_tokens}: raise the limit or drop "
                    f"the row. It starts {str(problem.prompt)[:80]!r}"
                )
        return encoded

    def train_dataloader(self) -> RolloutLoader:
        """One epoch = one RL step."""
        assert self.trainer is not None
        return RolloutLoader(self.trainer.lightning_module, self)  # type: ignore[arg-type]

    def val_dataloader(self) -> ProblemBatches:
        """This rank's share of the held-out problems, in batches."""
        assert self.trainer is not None
        share = self.validation_problems[self.trainer.global_rank :: self.trainer.world_size]
        return ProblemBatches(share, self.validation_batch)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader

    def _check_prompts(self, split: str, problems: Sequence[Problem]) -> None:
        if len(problems) == 0:
            raise ValueError(f"data.task has no {split} problems: check its files and limits")
        assert self.trainer is not None
        module = self.trainer.lightning_module
        # a list is checked whole; of a procedural, lazy sequence a sample must do
        count = len(problems) if isinstance(problems, list) else min(len(problems), 256)
        checked = [problems[index] for index in range(count)]
        self.encode(checked, module.policy.tokenizer)  # type: ignore[union-attr]

    def _check_ranks(self) -> None:
        assert self.trainer is not None
        ranks, accumulation = self.trainer.world_size, self.trainer.accumulate_grad_batches
        if self.prompts_per_step % ranks:
            raise ValueError(
                f"data.prompts_per_step={self.prompts_per_step} does not divide over {ranks} ranks:"
                " each rank samples whole groups"
            )
        if self.minibatch_size % (ranks * accumulation):
            raise ValueError(
                f"data.minibatch_size={self.minibatch_size} does not divide into "
                f"trainer.accumulate_grad_batches={accumulation} microbatches on {ranks} ranks"
            )
        self.microbatch_count = accumulation


def _check_sizes(
    prompts_per_step: int, group_size: int, minibatch_size: int, update_epochs: int, batch: int
) -> None:
    sizes = {
        "prompts_per_step": prompts_per_step,
        "group_size": group_size,
        "minibatch_size": minibatch_size,
        "update_epochs": update_epochs,
        "validation_batch": batch,
    }
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"data.{name}={value} must be at least 1")
    sequences = prompts_per_step * group_size
    if sequences % minibatch_size:
        raise ValueError(
            f"data.minibatch_size={minibatch_size} does not divide the {sequences} sequences of an "
            f"RL step (prompts_per_step={prompts_per_step} x group_size={group_size})"
        )
