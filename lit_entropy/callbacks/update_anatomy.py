"""What clipping, the optimizer and several updates per rollout add to the change of entropy."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch import Tensor
from torch.optim import Optimizer

from lit_entropy.callbacks.base import RolloutCallback, trained_module, trained_run
from lit_entropy.callbacks.counterfactual import Counterfactual, Updates, trainable
from lit_entropy.callbacks.probe import (
    ProbeSource,
    from_state,
    snapshot,
    tell_fewer_held_out,
    to_state,
)
from lit_entropy.callbacks.rounding import tell_rounding
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.distributed.sharding import require_replicas
from lit_entropy.policy import Policy
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.sampler import Sampler
from lit_entropy.types import Sequences, State


class Pending(NamedTuple):
    """What was measured before the updates of an RL step."""

    states: Sequences
    entropy: float
    values: dict[str, float]
    copy: Counterfactual
    start: list[Tensor]
    gradient: list[Tensor]
    one_step: list[Tensor]


class UpdateAnatomy(RolloutCallback):
    """Entropy change at fixed states by the actual updates and by ones that were not made.

    Every variant starts from the policy and the optimizer state before the updates and uses the
    same rollout; the states are those of ``EntropyDynamics`` (prefixes of one response to each
    held-out prompt, sampled at the first measurement). Nats, mean over states, unless said
    otherwise.

    ============================== =================================================================
    key                            formula
    ============================== =================================================================
    dynamics/anatomy/actual        change by the updates that were made
    dynamics/anatomy/unclipped     the same minibatches, optimizer and gradient clipping, with the
                                   ratio loss -r A instead of the policy loss
    dynamics/anatomy/one_step      the optimizer's step on the whole rollout's policy gradient,
                                   rescaled to the norm of the actual parameter change
    dynamics/anatomy/one_step_raw  the same step, not rescaled
    dynamics/anatomy/sgd           the negative policy gradient, rescaled to the same norm
    dynamics/anatomy/optimizer     one_step - sgd
    dynamics/anatomy/updates       unclipped - one_step
    dynamics/anatomy/clipping      actual - unclipped: what the policy loss adds to -r A
    dynamics/anatomy/norm          Euclidean norm of the actual parameter change (not nats)
    ============================== =================================================================

    sgd + optimizer + updates + clipping = actual. Regularizers are part of every variant. Nothing
    of the training is touched. Cost: the rollout's updates twice more a measurement, two copies of
    policy and optimizer state and three of the parameters; single-process or replicated (DDP)
    parameters only; fp16 loss scaling is not imitated.

    Args:
        every: RL steps between measurements; the first is always measured.
        probe_prompts: Held-out prompts of the fixed states, all where there are fewer.

    Raises:
        ValueError: an argument is out of range, or the data have no held-out problem.
    """

    def __init__(self, every: int = 10, probe_prompts: int = 16) -> None:
        for name, value in (("every", every), ("probe_prompts", probe_prompts)):
            if value < 1:
                raise ValueError(f"UpdateAnatomy.{name}={value} must be at least 1")
        self.every = every
        self.probe_prompts = probe_prompts
        self._probe: dict[str, Tensor] = {}
        self._pending: Pending | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check strategy and number of prompts."""
        if stage == "fit":
            require_replicas(pl_module.device_mesh is not None, "UpdateAnatomy")
            problems = trained_run(trainer).datamodule.validation_problems
            tell_fewer_held_out("UpdateAnatomy", self.probe_prompts, len(problems))
            policy, mesh = trained_module(pl_module).sampler.policy, pl_module.device_mesh
            tell_rounding(
                "UpdateAnatomy", trainer.precision_plugin.precision, policy, mesh is not None
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what samples, measures and updates; another fit has states of its own."""
        if trainer.current_epoch == 0:
            self._probe = {}
        data = trained_run(trainer).datamodule
        sampler = trained_module(pl_module).sampler
        problems, encode = data.validation_problems, data.source.encode
        self._source = ProbeSource(sampler, problems, encode, data.plan.seed)
        self._plan = data.plan
        self._updates = Updates(
            regularizers=trained_module(pl_module).regularizers,
            optimizer=trainer.optimizers[0],
            clip=gradient_clipping(
                trainer.precision_plugin, trainer.gradient_clip_val, trainer.gradient_clip_algorithm
            ),
        )

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        if (rollout.rl_step - 1) % self.every:
            return {}
        source, plan, sampler = self._source, self._plan, self._source.sampler
        if not self._probe:
            self._probe = to_state(source.states(self.probe_prompts, ranks.device))
        states = from_state(self._probe, ranks.device)
        before = float(snapshot(sampler, states).entropies_M.mean())

        def change(copy: Counterfactual) -> float:
            after = snapshot(sampler, states, policy=copy.policy)
            return float(after.entropies_M.mean()) - before

        size = plan.microbatch_size(ranks.world_size)
        start = [value.detach().clone() for value in trainable(sampler.policy)]
        replayed = Counterfactual(sampler, self._updates)
        minibatches = [
            rows
            for epoch in range(plan.update_epochs)
            for rows in plan.minibatches(rollout.train_rows, rollout.rl_step, epoch)
        ]
        replayed.train(rollout.experience, minibatches, size)
        values = {"unclipped": change(replayed)}
        copy = Counterfactual(sampler, self._updates)
        gradient = copy.train(rollout.experience, [rollout.train_rows], size)
        values["one_step_raw"] = change(copy)
        one_step = _difference(copy.parameters(), start)
        self._pending = Pending(states, before, values, copy, start, gradient, one_step)
        return {}

    def on_updated(self) -> dict[str, float]:
        if self._pending is None:
            return {}
        values = self._finish(self._source.sampler, self._pending)
        self._pending = None
        return {f"dynamics/anatomy/{key}": value for key, value in values.items()}

    @staticmethod
    def _finish(sampler: Sampler, pending: Pending) -> dict[str, float]:
        def change(policy: Policy) -> float:
            after = snapshot(sampler, pending.states, policy=policy)
            return float(after.entropies_M.mean()) - pending.entropy

        moved = _difference(trainable(sampler.policy), pending.start)
        norm = float(torch.nn.utils.get_total_norm(moved))
        values = pending.values | {"actual": change(sampler.policy), "norm": norm}
        downhill = [-value for value in pending.gradient]
        for name, direction in (("sgd", downhill), ("one_step", pending.one_step)):
            pending.copy.move(pending.start, direction, norm)
            values[name] = change(pending.copy.policy)
        values["optimizer"] = values["one_step"] - values["sgd"]
        values["updates"] = values["unclipped"] - values["one_step"]
        values["clipping"] = values["actual"] - values["unclipped"]
        return values

    def state_dict(self) -> State:
        return {"probe": {name: tensor.clone() for name, tensor in self._probe.items()}}

    def load_state_dict(self, state_dict: State) -> None:
        self._probe = {name: tensor.clone() for name, tensor in state_dict["probe"].items()}


def _difference(values: list[Tensor], origin: list[Tensor]) -> list[Tensor]:
    return [value.detach() - start for value, start in zip(values, origin, strict=True)]


def gradient_clipping(
    plugin: Precision, clip: float | None, algorithm: str | None
) -> Callable[[Optimizer], None]:
    """A trainer's gradient clipping, or nothing where it has none."""
    arguments = () if algorithm is None else (GradClipAlgorithmType(algorithm),)

    def apply(optimizer: Optimizer) -> None:
        if clip is not None:
            plugin.clip_gradients(optimizer, clip, *arguments)

    return apply
