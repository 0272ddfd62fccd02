"""The LightningModule: collects a rollout each epoch and trains on its microbatches."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.optim import Optimizer

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.checks import check_adapters, check_group_size, check_numbers
from lit_entropy.distributed.sharding import data_parallel_mesh, full, shard
from lit_entropy.distributed.strategy import check_all_sharded, check_strategy
from lit_entropy.errors import ensure_finite
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.module import EvaluatedModule
from lit_entropy.functional.masked import masked_sum
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.policy.policy import Policy
from lit_entropy.regularizers.base import Regularizer
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.local import LocalEngine
from lit_entropy.step.collect import concatenate, filter_groups, group_signal, sample_groups
from lit_entropy.step.scoring import score_rollout
from lit_entropy.step.statistics import rollout_statistics
from lit_entropy.tracking.means import UpdateMeans
from lit_entropy.types import Experience, LossOutput

if TYPE_CHECKING:
    from lit_entropy.data import PromptDataModule


class EntropyModule(EvaluatedModule):
    """Reinforcement learning of a language model, one RL step an epoch.

    The objective is the sum of the token losses over the scored tokens of the whole optimiser
    minibatch, divided by their number: exactly, for any accumulation and any number of ranks.
    """

    def __init__(
        self,
        policy: Policy,
        loss: PolicyLoss,
        advantage: AdvantageEstimator,
        rollout: RolloutEngine | None = None,
        regularizers: list[Regularizer] | None = None,
        evaluation: Evaluation | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.AdamW(
            parameters, lr=5e-7, weight_decay=0.0
        ),
        lr_scheduler: LRSchedulerCallable | None = None,
        lr_interval: Literal["step", "epoch"] = "epoch",
        temperature: float = 1.0,
        max_new_tokens: int = 8192,
    ) -> None:
        """Assemble the parts of the algorithm; defaults are those of the paper's section 4.

        Args:
            policy: the language model that is trained.
            loss: the policy loss, PPOClip, ClipCov or KLCov say.
            advantage: the advantage estimator, GRPO say.
            rollout: where responses are sampled; by default the policy's own forward pass.
            regularizers: losses that are added, an entropy bonus or a reference KL say.
            evaluation: how held-out problems are evaluated.
            optimizer: optimizer class and its arguments.
            lr_scheduler: learning rate schedule and its arguments; constant by default.
            lr_interval: the schedule advances every RL step (epoch) or every update (step).
            temperature: softmax temperature of sampling, of ratios and of entropies.
            max_new_tokens: longest response, end-of-sequence token included.
        """
        super().__init__(evaluation or Evaluation())
        if temperature <= 0:
            raise ValueError(f"model.temperature={temperature} must be positive")
        if max_new_tokens < 1:
            raise ValueError(f"model.max_new_tokens={max_new_tokens} must be at least 1")
        self.policy = policy
        self.loss = loss
        self.advantage = advantage
        self.rollout = rollout or LocalEngine()
        self.regularizers = nn.ModuleList(regularizers or [])
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens
        self.update_means = UpdateMeans()
        self.group_size = 1
        self.experience: Experience | None = None
        self.train_rows = torch.zeros(0, dtype=torch.int64)
        self.rollout_metrics: dict[str, float] = {}
        names = [type(regularizer).__name__ for regularizer in self.regularizers]
        self._term_names = [
            name if names.count(name) == 1 else f"{name}_{index}"
            for index, name in enumerate(names)
        ]
        # outside the module tree: frozen, rebuilt from the base on resume, never in a checkpoint
        needs_reference = advantage.needs_reference or any(
            regularizer.needs_reference for regularizer in self.regularizers
        )
        self._reference = [copy.deepcopy(policy).requires_grad_(False)] if needs_reference else []
        self.advantage.attach(policy)

    # ------------------------------------------------------------------ rollout

    @torch.no_grad()
    def collect(self, data: PromptDataModule) -> None:
        """Sample, score and prepare the rollout of this RL step; sets ``experience``.

        ``experience`` holds every sampled group, also those that the group filter masks or
        replaces; ``train_rows`` are the rows that the minibatches are made of.
        """
        parts, signals = [], []
        for attempt in range(1 + data.max_resamples * (data.group_filter == "resample")):
            parts.append(sample_groups(self, data, attempt))
            signals.append(group_signal(parts[-1], data.group_size))
            if int(torch.cat(signals).sum()) >= data.prompts_per_step:
                break
        signal_P = torch.cat(signals)
        experience, rows, scored_P = filter_groups(concatenate(parts), data, signal_P)
        experience = score_rollout(self, data, experience, rows, scored_P)
        self.group_size, self.train_rows, self.experience = data.group_size, rows, experience
        self.rollout_metrics = rollout_statistics(experience, data.group_size, signal_P)
        self.rollout_metrics |= self.advantage.metrics()
        for regularizer in self.regularizers:
            cast(Regularizer, regularizer).on_rollout(self.rollout_metrics["entropy"])

    @property
    def reference(self) -> Policy | None:
        """The frozen copy of the base policy, on the policy's device and dtype, if one is used."""
        return self._reference[0].to(next(self.policy.parameters())) if self._reference else None

    # ------------------------------------------------------------------ updates

    def training_step(self, batch: Experience, batch_idx: int) -> dict[str, Any]:
        """The token losses of a microbatch, normalised over its whole optimiser minibatch."""
        if batch.minibatch_tokens is None:
            raise ValueError("minibatch_tokens is None: the objective's denominator is missing")
        policy = self.policy(batch, self.temperature)
        ensure_finite("log-probs of the policy", policy.logprobs_BT, self.rl_step)
        terms = {"policy": self.loss(policy, batch)}
        for index, regularizer in enumerate(self.regularizers):
            terms[self._term_names[index]] = regularizer(policy, batch)
        token_loss_BT = sum(term.token_loss_BT for term in terms.values())
        total = masked_sum(token_loss_BT, batch.mask_BT)
        ensure_finite("loss", total, self.rl_step)
        self._record(terms, batch)
        # Lightning divides by the microbatches and DDP by the ranks: undo both
        parts = self.trainer.accumulate_grad_batches * self.trainer.world_size
        return {"loss": total * (parts / max(batch.minibatch_tokens, 1))}

    def _record(self, terms: dict[str, LossOutput], batch: Experience) -> None:
        tokens = batch.mask_BT.sum()
        seen: set[str] = set()
        for name, term in terms.items():
            total = masked_sum(term.token_loss_BT.detach(), batch.mask_BT)
            self.update_means.add(f"loss/{name}", total, tokens)
            for key, value in term.metrics.items():
                key = f"{name}_{key}" if key in seen else key
                seen.add(key)
                self.update_means.add_metric(f"policy/{key}", value, tokens)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Check and record the gradient, before clipping."""
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        norm = full(torch.nn.utils.get_total_norm(gradients))
        ensure_finite("gradient norm", norm, self.rl_step)
        rate = torch.tensor(optimizer.param_groups[0]["lr"], dtype=torch.float64)
        self.update_means.add("policy/grad_norm", norm, 1.0)
        self.update_means.add("policy/lr", rate, 1.0)

    def on_train_epoch_start(self) -> None:
        """Start the clock of the RL step."""
        self.rl_step = self.current_epoch + 1
        self.stopwatch.reset()
        self._epoch_start = time.perf_counter()

    def on_train_batch_start(self, batch: Experience, batch_idx: int) -> None:
        """Start the clock of the update, after the callbacks' diagnostics."""
        self._batch_start = time.perf_counter()

    def on_train_batch_end(self, outputs: Any, batch: Experience, batch_idx: int) -> None:
        """Stop the clock of the update."""
        self.stopwatch.add("update", time.perf_counter() - self._batch_start)

    def on_train_epoch_end(self) -> None:
        """Log the RL step; its number is the x axis of every logger."""
        seconds = self.stopwatch.reset()
        spent = sum(value for key, value in seconds.items() if key != "validation")
        tokens = self.rollout_metrics["tokens"]
        values = {f"time/{key}": value for key, value in seconds.items()}
        values["time/step"] = time.perf_counter() - self._epoch_start
        values["time/tokens_per_second"] = tokens / spent
        rollout = {k: v for k, v in self.rollout_metrics.items() if k not in ("entropy", "tokens")}
        values |= {f"rollout/{key}": value for key, value in rollout.items() if "/" not in key}
        values |= {key: value for key, value in rollout.items() if "/" in key}
        values |= self.update_means.reset(self.device)
        self.log_values(values)

    # ------------------------------------------------------------------ optimisation

    def configure_optimizers(self) -> Any:
        """One optimizer over everything trainable, and the schedule if there is one."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = self.optimizer(parameters)
        if self.lr_scheduler is None:
            return optimizer
        schedule = {"scheduler": self.lr_scheduler(optimizer), "interval": self.lr_interval}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def configure_model(self) -> None:
        """Shard the policy and its frozen reference where the strategy has a device mesh."""
        if self.device_mesh is None:
            return
        mesh = data_parallel_mesh(self.device_mesh)
        for policy in (self.policy, *self._reference):
            shard(policy, mesh, str(self.trainer.precision))
        check_all_sharded(self)

    def setup(self, stage: str) -> None:
        """Check what the parts need of each other."""
        check_numbers(self.trainer)
        check_strategy(self.trainer)
        self.rollout.setup(self.policy)
        if stage == "fit":
            check_group_size(self.advantage, self.trainer.datamodule.group_size)  # type: ignore[attr-defined]
            check_adapters(self.policy, [self.advantage, *self.regularizers])

    def teardown(self, stage: str) -> None:
        """Free what the rollout engine holds."""
        self.rollout.close()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note the number of finished RL steps and what the advantage estimator has learned."""
        updates = self.trainer.datamodule.updates_per_step  # type: ignore[attr-defined]
        checkpoint["rl_steps"] = self.trainer.global_step // updates
        checkpoint["advantage"] = self.advantage.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The RL step that a validation belongs to, and what the estimator has learned."""
        self.rl_step = checkpoint["rl_steps"]
        if self.trainer.state.fn == TrainerFn.FITTING:  # an evaluation needs the policy alone
            self.advantage.load_state_dict(checkpoint.get("advantage", {}))
