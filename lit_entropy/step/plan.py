"""The sizes of an RL step, and the order of its prompts and minibatches."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from lit_entropy.functional.checks import require_choice, require_count
from lit_entropy.step.order import minibatch_rows, prompt_indices

GroupFilter = Literal["none", "mask", "resample"]


@dataclass(frozen=True)
class StepPlan:
    """How an RL step is cut: the same on every rank and for every RL step of a run.

    Attributes:
        prompts_per_step: prompts (P) of a draw, over all ranks.
        group_size: sampled responses (G) per prompt.
        minibatch_size: sequences per optimizer update, over all ranks and microbatches.
        microbatches: microbatches of a minibatch on each rank.
        update_epochs: passes over each rollout.
        group_filter: what happens to groups without signal; see ``PromptDataModule``.
        max_resamples: further draws of prompts per RL step under ``resample``.
        seed: keys prompts, samples and minibatches.

    Raises:
        ValueError: a size below 1, minibatches that do not divide the sequences of an RL step, an
            unknown group filter, or one that would mask every group of one response.
    """

    prompts_per_step: int = 256
    group_size: int = 8
    minibatch_size: int = 256
    microbatches: int = 1
    update_epochs: int = 1
    group_filter: GroupFilter = "resample"
    max_resamples: int = 9
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("prompts_per_step", "group_size", "minibatch_size", "update_epochs"):
            require_count(f"data.{name}", getattr(self, name))
        if self.microbatches < 1:
            raise ValueError(
                f"trainer.accumulate_grad_batches={self.microbatches} must be at least 1"
            )
        if self.max_resamples < 0:
            raise ValueError(f"data.max_resamples={self.max_resamples} must not be negative")
        require_choice("data.group_filter", self.group_filter, get_args(GroupFilter))
        if self.group_size == 1 and self.group_filter != "none":
            raise ValueError(
                f"data.group_filter={self.group_filter!r} with data.group_size=1: a group of one "
                "never has rewards that differ, so every token would be masked; raise "
                "data.group_size, or set data.group_filter=none"
            )
        if self.sequences % self.minibatch_size:
            raise ValueError(
                f"data.minibatch_size={self.minibatch_size} does not divide the {self.sequences} "
                f"sequences of an RL step (prompts_per_step={self.prompts_per_step} x "
                f"group_size={self.group_size}): take {self._near_sizes()}"
            )

    def _near_sizes(self) -> str:
        """The divisors of the sequences around the minibatch size."""
        total, size = self.sequences, self.minibatch_size
        below = next((n for n in range(min(size, total), 0, -1) if total % n == 0), 1)
        above = next((n for n in range(size, total + 1) if total % n == 0), below)
        return f"{below}" if above == below else f"{below} or {above}"

    @property
    def sequences(self) -> int:
        """Sequences that an RL step trains on (P * G), over all ranks."""
        return self.prompts_per_step * self.group_size

    @property
    def draws(self) -> int:
        """Most draws of prompts per RL step."""
        return 1 + self.max_resamples * (self.group_filter == "resample")

    @property
    def minibatches_per_epoch(self) -> int:
        """Optimizer updates per pass over a rollout."""
        return self.sequences // self.minibatch_size

    @property
    def updates_per_step(self) -> int:
        """Optimizer updates per RL step."""
        return self.update_epochs * self.minibatches_per_epoch

    def prompts(self, size: int, rl_step: int, attempt: int) -> Tensor:
        """Indices, int64 [P], of a draw among ``size`` prompts; see :func:`prompt_indices`."""
        return prompt_indices(size, self.prompts_per_step, self.seed, rl_step, attempt)

    def repeated_prompts(self, size: int) -> str | None:
        """What to say where an RL step draws prompts more than once; None where it does not.

        Args:
            size: number of training problems.
        """
        if size >= self.prompts_per_step:
            return None
        fewest, more = divmod(self.prompts_per_step, size)
        times = f"{fewest} or {fewest + 1}" if more else f"{fewest}"
        return (
            f"data.task has {size} training problem{'s' * (size > 1)} and an RL step draws "
            f"data.prompts_per_step={self.prompts_per_step}: each is drawn {times} times in every "
            "RL step. Give more problems, or lower data.prompts_per_step and data.minibatch_size"
        )

    def minibatches(self, rows: Tensor, rl_step: int, epoch: int) -> list[Tensor]:
        """The minibatches of one pass over ``rows``; see :func:`minibatch_rows`."""
        return minibatch_rows(rows, self.minibatch_size, self.seed, rl_step, epoch)

    def microbatch_size(self, world_size: int) -> int:
        """Sequences per forward pass with gradients of one rank."""
        return max(1, self.minibatch_size // (self.microbatches * world_size))

    def check_ranks(self, world_size: int) -> None:
        """Refuse sizes that do not divide over the ranks.

        Raises:
            ValueError: names the setting and the remedy.
        """
        if self.prompts_per_step % world_size:
            raise ValueError(
                f"data.prompts_per_step={self.prompts_per_step} does not divide over {world_size} "
                f"ranks: each rank samples whole groups; set it to a multiple of {world_size}"
            )
        parts = world_size * self.microbatches
        if self.minibatch_size % parts:
            raise ValueError(
                f"data.minibatch_size={self.minibatch_size} does not divide into "
                f"trainer.accumulate_grad_batches={self.microbatches} microbatches on {world_size} "
                f"ranks: set it to a multiple of {parts}"
            )
