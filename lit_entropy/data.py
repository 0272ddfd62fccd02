"""Prompts of an RL step and the loader that makes one Lightning epoch one RL step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol, cast, get_args

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from lit_entropy.functional.checks import require_choice, require_count
from lit_entropy.policy.policy import Policy
from lit_entropy.step.loader import ProblemBatches, RolloutLoader
from lit_entropy.step.minibatch import Microbatch
from lit_entropy.step.plan import GroupFilter, StepPlan
from lit_entropy.step.rollout import Rollout
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.problem_ids import require_distinct
from lit_entropy.tasks.prompt_limit import (
    Overlong,
    prompt_limit,
    usable_problems,
)
from lit_entropy.tasks.prompt_source import PromptSource
from lit_entropy.tasks.same_problems import problems_state, require_same_problems
from lit_entropy.types import Problem, State


class ServedModule(Protocol):
    """What the data module reads of the module that it serves, whose type is above this one."""

    policy: Policy

    def collect(self) -> Rollout:
        """The rollout of the RL step that begins."""

    def microbatches(self, rollout: Rollout, rows: Tensor, update: int) -> Iterator[Microbatch]:
        """This rank's microbatches of a minibatch."""

    def response_limits(self, split: str) -> dict[str, int]:
        """Longest responses in tokens, by the name of the setting."""


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
        validation_batch: int = 256,
        seed: int = 0,
    ) -> None:
        """Set the sizes of an RL step; defaults are those of the paper's section 4.

        Args:
            task: where problems come from and how responses are scored.
            prompts_per_step: prompts (P) per RL step, over all ranks.
            group_size: sampled responses (G) per prompt.
            minibatch_size: sequences per optimizer update, over all ranks and microbatches; the
                microbatch is this divided by trainer.accumulate_grad_batches and the ranks.
            update_epochs: passes over each rollout.
            group_filter: what happens to groups whose rewards are all equal (all right, all
                wrong; a group of one always): none keeps them; mask removes their tokens from the
                objective (a minibatch of nothing else has gradient 0, and only the optimizer's
                momentum moves); resample draws other prompts.
            max_resamples: further draws of prompts per RL step under resample, each of
                prompts_per_step prompts; groups still without signal after the last are masked.
            max_prompt_tokens: longest prompt accepted, in tokens.
            overlong_prompts: whether data sets with longer prompts are refused, or such problems
                dropped and counted in a warning; procedural tasks cannot drop any.
            validation_batch: validation problems evaluated at once.
            seed: keys prompts, samples and minibatches; follows seed_everything in the CLI.
        """
        super().__init__()
        require_count("data.max_prompt_tokens", max_prompt_tokens)
        require_count("data.validation_batch", validation_batch)
        require_choice("data.overlong_prompts", overlong_prompts, get_args(Overlong))
        self._sizes = StepPlan(
            prompts_per_step=prompts_per_step,
            group_size=group_size,
            minibatch_size=minibatch_size,
            update_epochs=update_epochs,
            group_filter=group_filter,
            max_resamples=max_resamples,
            seed=seed,
        )
        self.task = task
        self.max_prompt_tokens = max_prompt_tokens
        self.overlong_prompts: Overlong = overlong_prompts
        self.validation_batch = validation_batch
        self.train_problems: Sequence[Problem] = []
        self.validation_problems: Sequence[Problem] = []
        self._noted: State = {}  # of the training problems, see problems_state

    @property
    def plan(self) -> StepPlan:
        """The sizes of an RL step, with the trainer's number of microbatches."""
        return self.plan_with(self._trainer.accumulate_grad_batches)

    def plan_with(self, microbatches: int) -> StepPlan:
        """The sizes of an RL step with a number of microbatches."""
        return replace(self._sizes, microbatches=microbatches)

    @property
    def source(self) -> PromptSource:
        """The training problems as the policy is shown them."""
        return PromptSource(
            self.task, self.train_problems, self._module.policy.tokenizer, self.max_prompt_tokens
        )

    @property
    def _trainer(self) -> L.Trainer:
        if self.trainer is None:
            raise RuntimeError("the data module has no trainer yet: it is used through one")
        return self.trainer

    @property
    def _module(self) -> ServedModule:
        return cast(ServedModule, self._trainer.lightning_module)

    def setup(self, stage: str) -> None:
        """Load the problems and check what can only be checked with a trainer."""
        self.validation_problems = self._usable("validation", self.task.validation_problems())
        require_distinct(self.validation_problems)
        if len(self.validation_problems) < self._trainer.world_size:
            raise ValueError(
                f"data.task has {len(self.validation_problems)} validation problems for "
                f"{self._trainer.world_size} ranks: each rank needs one; raise its validation size "
                "or lower trainer.devices"
            )
        if stage == "fit":
            self.train_problems = self._usable("training", self.task.train_problems())
            if not len(self.train_problems):
                raise ValueError("data.task has no training problems: an RL step draws some")
            self._noted = problems_state(self.train_problems)
            self.plan.check_ranks(self._trainer.world_size)
            if note := self.plan.repeated_prompts(len(self.train_problems)):
                rank_zero_info(note)

    def state_dict(self) -> State:
        """What a resume compares: the training problems, where they are rows of files."""
        return self._noted

    def load_state_dict(self, state_dict: State) -> None:
        """Compare the training problems of a fit with those of the checkpoint.

        Raises:
            CheckpointError: they are others.
        """
        if self._trainer.state.fn == TrainerFn.FITTING:
            require_same_problems(state_dict, self._noted)

    def teardown(self, stage: str) -> None:
        """Let the task give back what it holds."""
        self.task.close()

    def train_dataloader(self) -> RolloutLoader:
        """One epoch = one RL step."""
        return RolloutLoader(self.plan, self._module.collect, self._module.microbatches)

    def transfer_batch_to_device(
        self, batch: Microbatch | list[Problem], device: torch.device, dataloader_idx: int
    ) -> Microbatch | list[Problem]:
        """Move a microbatch; problems of a validation stay as they are."""
        return batch.on(device) if isinstance(batch, Microbatch) else batch

    def val_dataloader(self) -> ProblemBatches:
        """This rank's share of the held-out problems, in batches."""
        share = self.validation_problems[self._trainer.global_rank :: self._trainer.world_size]
        return ProblemBatches(share, self.validation_batch)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader

    def _usable(self, split: str, problems: Sequence[Problem]) -> Sequence[Problem]:
        """The problems whose prompts fit, counted."""
        module = self._module
        limit = prompt_limit(
            module.response_limits(split), module.policy.context, self.max_prompt_tokens
        )
        kept, overlong = usable_problems(
            self.task, problems, split, module.policy.tokenizer, limit, self.overlong_prompts
        )
        if overlong:
            rank_zero_warn(
                f"{overlong} of {len(problems)} {split} prompts are longer than {limit.reason} and "
                "left out"
            )
        return kept
