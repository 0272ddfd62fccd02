"""The LightningModule: collects a rollout each epoch and trains on its microbatches."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from lightning.pytorch.utilities.types import STEP_OUTPUT, OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.serialization import MAP_LOCATION

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.callbacks.checkpoint_checks import check_whole_step
from lit_entropy.checkpoints.build import configuration_in, module_arguments
from lit_entropy.checkpoints.complete import require_complete, require_parts
from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.contracts import checked_loss, no_stop, require_gradient
from lit_entropy.data import PromptDataModule
from lit_entropy.distributed.sharding import data_parallel_mesh, full, shard
from lit_entropy.distributed.signals import end_together
from lit_entropy.distributed.strategy import check_all_sharded, check_numbers, check_strategy
from lit_entropy.errors import ensure_finite
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.module import EvaluatedModule
from lit_entropy.functional.checks import require_rates, require_temperature
from lit_entropy.functional.fused import fused
from lit_entropy.functional.masked import masked_sum
from lit_entropy.losses.base import PolicyLoss
from lit_entropy.policy.checks import check_adapters
from lit_entropy.policy.policy import Policy
from lit_entropy.regularizers.base import Regularizer
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.local import LocalEngine
from lit_entropy.step.alarm import LearningAlarm
from lit_entropy.step.collector import Collector, checked_rollout
from lit_entropy.step.context import StepContext
from lit_entropy.step.minibatch import Microbatch, microbatches
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.settings import (
    check_deterministic,
    check_lengths,
    check_trainer,
    compiled_note,
    selection_note,
)
from lit_entropy.tracking.means import UpdateMeans
from lit_entropy.types import LossBatch, LossOutput, State


class EntropyModule(EvaluatedModule):
    """Reinforcement learning of a language model, one RL step per epoch.

    The objective is the sum of the token losses over the tokens of the whole optimizer
    minibatch, divided by their number: exactly, for any accumulation and any number of ranks.
    """

    def __init__(
        self,
        policy: Policy,
        loss: PolicyLoss,
        advantage: AdvantageEstimator,
        engine: RolloutEngine | None = None,
        collector: Collector | None = None,
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
            engine: where responses are sampled; by default the policy's own forward pass.
            collector: what makes the rollout of an RL step; a subclass may change the rollout.
            regularizers: losses that are added, an entropy bonus or a reference KL say.
            evaluation: how held-out problems are evaluated.
            optimizer: optimizer class and its arguments; AdamW with lr 5e-7 and no weight decay by
                default. Adam and AdamW take torch's fused step, unless ``fused`` or ``foreach`` is
                set.
            lr_scheduler: learning rate schedule and its arguments; constant by default.
            lr_interval: the schedule advances every RL step (epoch) or every update (step).
            temperature: softmax temperature of sampling, of ratios and of entropies.
            max_new_tokens: longest response, end-of-sequence token included.
        """
        super().__init__(evaluation or Evaluation())
        require_temperature("model.temperature", temperature)
        if max_new_tokens < 1:
            raise ValueError(f"model.max_new_tokens={max_new_tokens} must be at least 1")
        self.policy = policy
        self.loss = loss
        self.advantage = advantage
        self.engine = engine or LocalEngine()
        self.collector = collector or Collector()
        self.regularizers = nn.ModuleList(regularizers or [])
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens
        self.update_means = UpdateMeans()
        self._stops = False  # once the RL step has ended
        self.alarm = LearningAlarm()
        self.rollout: Rollout | None = None  # of the RL step under way
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

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, map_location: MAP_LOCATION = None, **parts: Any
    ) -> Self:
        """The module of a run with the weights of a checkpoint, built as the run built it.

        Args:
            checkpoint_path: a checkpoint file of ``lit-entropy fit``, or a folder of several ranks.
            map_location: device of the module; the CPU by default.
            parts: arguments of the constructor in place of configured ones; needed for parts that
                lie outside of this project, whose code a checkpoint's text must not import.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            CheckpointError: it is damaged, records no configuration, is of another class, or names
                a part from outside of this project that is not given.
        """
        state = AtomicCheckpointIO().load_checkpoint(checkpoint_path)
        config = configuration_in(state, checkpoint_path)["model"]
        module = cls(**module_arguments(cls, config, parts, checkpoint_path))
        module.load_state_dict(state["state_dict"])
        module.rl_step = state["rl_steps"]
        module.advantage.load_state_dict(state.get("advantage", {}))
        return module if map_location is None else module.to(map_location)

    # ------------------------------------------------------------------ rollout

    @property
    def data(self) -> PromptDataModule:
        """The data module of the run."""
        return cast(PromptDataModule, self.trainer.datamodule)  # type: ignore[attr-defined]

    @property
    def context(self) -> StepContext:
        """What the parts of an RL step share."""
        return StepContext(self.data.plan, self.sampler, self.ranks, self.stopwatch)

    def collect(self) -> Rollout:
        """Sample, reward and prepare the rollout of this RL step, and keep it as ``rollout``."""
        rollout = self.collector.collect(
            self.context, self.data.source, self.advantage, self.reference, self.rl_step
        )
        self.rollout = checked_rollout(self.collector, rollout, self.data.plan)
        self.alarm.observe(rollout, self.data.source.task, self.policy.decode)
        for regularizer in self.regularizers:
            cast(Regularizer, regularizer).on_rollout(self.rollout.entropy)
        return rollout

    def microbatches(self, rollout: Rollout, rows: Tensor, update: int) -> Iterator[Microbatch]:
        """This rank's microbatches of a minibatch; see :func:`step.minibatch.microbatches`."""
        return microbatches(self.context, self.loss, rollout, rows, update)

    @property
    def _finished(self) -> Rollout:
        assert self.rollout is not None  # the loader has collected it
        return self.rollout

    @property
    def reference(self) -> Policy | None:
        """The frozen copy of the base policy, on the policy's device and dtype, if one is used."""
        return self._reference[0].to(next(self.policy.parameters())) if self._reference else None

    # ------------------------------------------------------------------ updates

    def training_step(self, microbatch: Microbatch, batch_idx: int) -> dict[str, Tensor]:
        """The token losses of a microbatch, normalised over its whole optimizer minibatch."""
        batch = microbatch.loss_batch
        if batch.minibatch_tokens is None:
            raise ValueError("minibatch_tokens is None: the objective's denominator is missing")
        output = self.policy(microbatch.sequences, self.temperature)
        ensure_finite("log-probs of the policy", output.logprobs_BT, self.rl_step)
        parts: list[nn.Module] = [self.loss, *self.regularizers]
        terms = {}
        for name, part in zip(("policy", *self._term_names), parts, strict=True):
            with no_stop(part, "forward"):
                terms[name] = checked_loss(part, part(output, batch), batch.mask_BT)
            require_gradient(part, terms[name].token_loss_BT, may_be_off=part is not self.loss)
        losses = [term.token_loss_BT for term in terms.values()]
        total = masked_sum(sum(losses[1:], losses[0]), batch.mask_BT)
        ensure_finite("loss", total, self.rl_step)
        self._record(terms, batch)
        # Lightning divides by the microbatches and DDP by the ranks: undo both
        shares = self.trainer.accumulate_grad_batches * self.trainer.world_size
        return {"loss": total * (shares / max(batch.minibatch_tokens, 1))}

    def _record(self, terms: dict[str, LossOutput], batch: LossBatch) -> None:
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
        """Start the clock of the RL step, which is made whole also where a callback would stop."""
        self.rl_step = self.current_epoch + 1
        self._stop_later()
        self.stopwatch.reset()
        self._epoch_start = time.perf_counter()

    def on_train_batch_start(self, batch: Microbatch, batch_idx: int) -> None:
        """Start the clock of the update, after the callbacks' diagnostics."""
        self._batch_start = time.perf_counter()

    def on_train_batch_end(self, outputs: STEP_OUTPUT, batch: Microbatch, batch_idx: int) -> None:
        """Stop the clock of the update; a wish to stop waits for the end of the RL step.

        A checkpoint in its middle could not be continued exactly, and its row would be half one.
        """
        self.stopwatch.add("update", time.perf_counter() - self._batch_start)
        if batch_idx + 1 < int(self.trainer.num_training_batches):
            self._stop_later()

    def _stop_later(self) -> None:
        if self.trainer.should_stop:
            self._stops, self.trainer.should_stop = True, False

    def on_train_epoch_end(self) -> None:
        """Log the RL step; its number is the x axis of every logger.

        Raises:
            PartError: a part has cut the RL step short.
        """
        check_whole_step(
            self.rl_step,
            self.trainer.global_step,
            self.data.plan.updates_per_step,
            # what a checkpoint of now would say
            self.trainer.fit_loop.epoch_loop.on_save_checkpoint()["_batches_that_stepped"],
        )
        seconds = self.stopwatch.reset()
        spent = sum(value for key, value in seconds.items() if key != "validation")
        values = {f"time/{key}": value for key, value in seconds.items()}
        values["time/step"] = time.perf_counter() - self._epoch_start
        values["time/tokens_per_second"] = self._finished.tokens / spent
        values |= self._finished.metrics
        values |= self.update_means.reset(self.device)
        self.log_values(values)
        self.step_axis.write(self.trainer.loggers, self.rl_step, self.trainer.global_step)
        if self._stops:
            self._stops, self.trainer.should_stop = False, True

    # ------------------------------------------------------------------ optimisation

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer over everything trainable, and the schedule if there is one."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = fused(self.optimizer(parameters))
        require_rates("model.optimizer", optimizer.param_groups)
        # Lightning will not clip for an optimizer that unscales gradients; none are scaled here
        if hasattr(optimizer, "_step_supports_amp_scaling"):
            optimizer._step_supports_amp_scaling = False
        if self.lr_scheduler is None:
            return optimizer
        scheduler = self.lr_scheduler(optimizer)
        check_lengths(scheduler)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": self.lr_interval},
        }

    def configure_model(self) -> None:
        """Shard the policy and its frozen reference where the strategy has a device mesh."""
        if self.device_mesh is None:
            return
        mesh = data_parallel_mesh(self.device_mesh)
        for policy in (self.policy, *self._reference):
            shard(policy, mesh, str(self.trainer.precision))
        check_all_sharded(self.named_parameters())

    def setup(self, stage: str) -> None:
        """Check what the parts need of each other."""
        strategy = self.trainer.strategy
        check_numbers(strategy.root_device.type, str(self.trainer.precision_plugin.precision))
        check_strategy(strategy)
        check_deterministic(strategy.root_device.type, torch.get_deterministic_debug_mode())
        if strategy.root_device.type == "cuda":
            # under a mask its gradients are NaN at some lengths: pytorch/pytorch#196678
            torch.backends.cuda.enable_cudnn_sdp(False)
        self.engine.setup(self.policy)
        if self.trainer.world_size > 1:
            connector, loop = self.trainer._signal_connector, self.trainer.fit_loop.epoch_loop
            end_together(connector, loop, strategy.root_device)
        if stage == "fit":
            check_trainer(self.trainer.check_val_every_n_epoch, self.trainer.gradient_clip_val)
            precision = str(self.trainer.precision_plugin.precision)
            notes = [
                selection_note(self.loss, precision, self.policy.parameters()),
                compiled_note([self.loss, *self.regularizers], self.policy.compiled),
            ]
            for note in filter(None, notes):
                rank_zero_info(note)
            self.step_axis.attach(self.trainer.loggers)
            self.advantage.check_group_size(self.data.plan.group_size)
            check_adapters(self.policy, [self.advantage, *self.regularizers])

    def teardown(self, stage: str) -> None:
        """Free what the rollout engine holds, and log what other callbacks logged last."""
        self.engine.close()
        if stage == "fit":
            self.step_axis.detach(self.trainer.loggers)

    def on_save_checkpoint(self, checkpoint: State) -> None:
        """Note the number of finished RL steps and what the advantage estimator has learned."""
        checkpoint["rl_steps"] = self.trainer.global_step // self.data.plan.updates_per_step
        checkpoint["advantage"] = self.advantage.state_dict()

    def on_load_checkpoint(self, checkpoint: State) -> None:
        """The RL step that a validation belongs to, and what the estimator has learned.

        Raises:
            CheckpointError: a fit could not go on from it where it was written.
        """
        if self.trainer.state.fn == TrainerFn.FITTING:  # an evaluation needs the policy alone
            sharded = self.trainer.strategy.restore_checkpoint_after_setup
            apart = ["optimizer_states"] if sharded else []
            apart += [] if self.advantage.state_dict() else ["advantage"]
            require_complete(checkpoint, str(self.trainer.ckpt_path), apart)
            self.advantage.load_state_dict(checkpoint.get("advantage", {}))
        require_parts(checkpoint, str(self.trainer.ckpt_path), ["rl_steps"])
        self.rl_step = checkpoint["rl_steps"]
