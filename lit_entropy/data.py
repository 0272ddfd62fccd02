"""Prompts of an RL step and the loader that makes one Lightning epoch one RL step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import lightning as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from lit_entropy.checks import GroupFilter, check_choice, check_sizes
from lit_entropy.step.loader import ProblemBatches, RolloutLoader, Sealed
from lit_entropy.step.order import minibatch_rows, prompt_indices
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.prompt_limit import (
    Overlong,
    prompt_limit,
    setting,
    too_long,
    usable_problems,
)
from lit_entropy.types import Problem


class PromptDataModule(L.LightningDataModule):
    """Draws the prompts of each RL step from a task and cuts the rollout into minibatches."""

    def __init__(
        self,
        task: Task,
        prompts_per_step: int = 256,
        group_size: int = 8,
        minibatch_size: int = 256,
        update_epochs: int = 1,
        group_filter: GroupFilter = "resample",
        max_resamples: int = 9,
        max_prompt_tokens: int = 1024,
        overlong_prompts: Overlong = "refuse",
        skip_bad_rows: bool = False,
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
            group_filter: what happens to groups whose rewards are all equal (all right, all
                wrong): none keeps them; mask removes their tokens from the objective (a minibatch
                of nothing else has gradient 0, and only the optimizer's momentum moves); resample
                draws other prompts.
            max_resamples: further draws of prompts an RL step under resample, each of
                prompts_per_step prompts; groups still without signal after the last are masked.
            max_prompt_tokens: longest prompt accepted, in tokens.
            overlong_prompts: whether data sets with longer prompts are refused, or such problems
                dropped and counted in a warning; procedural tasks cannot drop any.
            skip_bad_rows: leave out rows of a data set that cannot be used (missing or empty
                fields, unreadable reference answers), counted in a warning, instead of refusing.
            validation_batch: validation problems evaluated at once.
            seed: keys prompts, samples and minibatches; follows seed_everything in the CLI.
        """
        super().__init__()
        check_sizes(
            prompts_per_step=prompts_per_step,
            group_size=group_size,
            minibatch_size=minibatch_size,
            update_epochs=update_epochs,
            max_prompt_tokens=max_prompt_tokens,
            validation_batch=validation_batch,
        )
        check_choice("group_filter", group_filter, get_args(GroupFilter))
        check_choice("overlong_prompts", overlong_prompts, get_args(Overlong))
        if max_resamples < 0:
            raise ValueError(f"data.max_resamples={max_resamples} must not be negative")
        if skip_bad_rows:
            if not hasattr(task, "skip_bad_rows"):
                raise ValueError(f"data.skip_bad_rows=true, but {type(task).__name__} has no rows")
            task.skip_bad_rows = True
        self.task = task
        self.prompts_per_step = prompts_per_step
        self.group_size = group_size
        self.minibatch_size = minibatch_size
        self.update_epochs = update_epochs
        self.group_filter = group_filter
        self.max_resamples = max_resamples
        self.max_prompt_tokens = max_prompt_tokens
        self.overlong_prompts: Overlong = overlong_prompts
        self.validation_batch = validation_batch
        self.seed = seed
        self.train_problems: Sequence[Problem] = []
        self.validation_problems: Sequence[Problem] = []
        self.statistics: dict[str, int] = {}

    @property
    def microbatch_count(self) -> int:
        """Microbatches of an optimiser minibatch on each rank."""
        assert self.trainer is not None
        return self.trainer.accumulate_grad_batches

    @property
    def updates_per_step(self) -> int:
        """Optimiser updates an RL step."""
        return self.update_epochs * self.minibatches_per_epoch

    @property
    def minibatches_per_epoch(self) -> int:
        """Optimiser updates in one pass over a rollout."""
        return self.prompts_per_step * self.group_size // self.minibatch_size

    def setup(self, stage: str) -> None:
        """Load the problems and check what can only be checked with a trainer."""
        self.validation_problems = self._usable("validation", self.task.validation_problems())
        assert self.trainer is not None
        if len(self.validation_problems) < self.trainer.world_size:
            raise ValueError(
                f"data.task has {len(self.validation_problems)} validation problems for "
                f"{self.trainer.world_size} ranks: each rank needs one; raise its validation size "
                "or lower trainer.devices"
            )
        if stage == "fit":
            self.train_problems = self._usable("training", self.task.train_problems())
            self._check_ranks()
        self.statistics |= getattr(self.task, "statistics", {})

    def draw(self, rl_step: int, attempt: int) -> list[Problem]:
        """The problems [P] of an RL step, counted from 1 (all ranks get the same)."""
        size = len(self.train_problems)
        indices = prompt_indices(size, self.prompts_per_step, self.seed, rl_step - 1, attempt)
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
                raise too_long(problem, len(tokens), setting(self.max_prompt_tokens))
        return encoded

    def teardown(self, stage: str) -> None:
        """Let the task give back what it holds."""
        self.task.close()

    def train_dataloader(self) -> RolloutLoader:
        """One epoch = one RL step."""
        assert self.trainer is not None
        return RolloutLoader(self.trainer.lightning_module, self)  # type: ignore[arg-type]

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Open the loader's box; problems of a validation stay as they are."""
        return batch.experience.to(device) if isinstance(batch, Sealed) else batch

    def val_dataloader(self) -> ProblemBatches:
        """This rank's share of the held-out problems, in batches."""
        assert self.trainer is not None
        share = self.validation_problems[self.trainer.global_rank :: self.trainer.world_size]
        return ProblemBatches(share, self.validation_batch)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader

    def _usable(self, split: str, problems: Sequence[Problem]) -> Sequence[Problem]:
        """The problems whose prompts fit, counted."""
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        limit = prompt_limit(
            module.response_limits(split), module.policy.context, self.max_prompt_tokens
        )
        kept, overlong = usable_problems(
            self.task, problems, split, module.policy.tokenizer, limit, self.overlong_prompts
        )
        self.statistics |= {f"{split}/problems": len(kept), f"{split}/overlong_prompts": overlong}
        if overlong:
            rank_zero_warn(
                f"{overlong} of {len(problems)} {split} prompts are longer than {limit.reason} and "
                "left out"
            )
        return kept

    def _check_ranks(self) -> None:
        assert self.trainer is not None
        ranks, accumulation = self.trainer.world_size, self.microbatch_count
        if self.prompts_per_step % ranks:
            raise ValueError(
                f"data.prompts_per_step={self.prompts_per_step} does not divide over {ranks} ranks:"
                f" each rank samples whole groups; set it to a multiple of {ranks}"
            )
        if self.minibatch_size % (ranks * accumulation):
            raise ValueError(
                f"data.minibatch_size={self.minibatch_size} does not divide into "
                f"trainer.accumulate_grad_batches={accumulation} microbatches on {ranks} ranks: "
                f"set it to a multiple of {ranks * accumulation}"
            )
