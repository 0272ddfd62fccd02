"""The change of entropy by an RL step's updates, measured exactly, beside every prediction."""

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_entropy.callbacks.bandit import bandit_covariances
from lit_entropy.callbacks.base import RolloutCallback, trained_module, trained_run
from lit_entropy.callbacks.on_policy import on_policy_change
from lit_entropy.callbacks.probe import (
    ProbeSource,
    Snapshot,
    from_state,
    kept_states,
    snapshot,
    tell_fewer,
    tell_fewer_held_out,
    to_state,
)
from lit_entropy.callbacks.rounding import tell_rounding
from lit_entropy.callbacks.state_change import (
    exact_change,
    run_agreements,
    step_means,
    summarise,
    summarise_theorems,
    theorem_predictions,
)
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Experience, Sequences, State


class EntropyDynamics(RolloutCallback):
    """Realised entropy change of an RL step against Lemma 1, Theorems 1 and 2 (2505.22617).

    Every ``every`` RL steps (the first always) the full-vocabulary logits z at the training
    temperature are kept before the updates and compared with those after the last one, on

    - ``fixed`` states: the prefixes of one response to each of ``probe_prompts`` held-out prompts,
      sampled from the policy of the first measurement and never changed;
    - ``own`` states: the prefixes of the responses of the rollout's first ``rollout_prompts``
      groups.

    Means are over states (tokens that the policy sampled, not those of an environment);
    predictions from sampled actions are at unit step size and over the scored tokens alone. Nats
    unless said otherwise.

    ============================================ =================================================
    key                                          formula
    ============================================ =================================================
    dynamics/<set>/delta                         H_{k+1}(s) - H_k(s); sets ``fixed`` and ``own``
    dynamics/<set>/lemma1                        -Cov_{a~pi_k}(log pi_k, z_{k+1} - z_k)
    dynamics/<set>/second_order                  -(1/2) E_{pi_k}[(1 + H + log pi)(dz - E dz)^2]
    dynamics/<set>/lemma1_<statistic>            slope, r2, sign_agreement, relative_error of delta
                                                 on lemma1 from state to state (ratios)
    dynamics/<set>/second_order_relative_error   of lemma1 + second_order (ratio)
    dynamics/own/theorem1_state                  -(log pi + H) pi A
    dynamics/own/theorem2_state                  -(log pi + H) A
    dynamics/own/theorem1_batch                  -(log pi - mean log pi)(pi A - mean pi A)
    dynamics/own/theorem2_batch                  -(log pi - mean log pi)(A - mean A)
    dynamics/own/discriminator                   -A [pi_a (log pi_a + H) - sum_b pi_b^2
                                                 (log pi_b + H)] (2602.03392)
    dynamics/own/<theorem>_<statistic>           slope, r2, sign_agreement from state to state,
                                                 states with A != 0 (ratios)
    dynamics/on_policy/delta                     H_{k+1} of responses resampled after the updates
                                                 (same prompts, same random numbers) - H_k of own
    dynamics/on_policy/fixed                     change at the own states
    dynamics/on_policy/shift                     delta - fixed: shift of the state distribution
    dynamics/<set>/<prediction>_run_<statistic>  agreement of the step means so far; sets fixed,
                                                 own, on_policy; predictions lemma1 (the own
                                                 states' for on_policy) and the theorems
    dynamics/bandit_covariance[_theorem1][/bin]  every RL step; see ``bandit_covariances``
    ============================================ =================================================

    Every rank computes the same numbers from the whole rollout. Memory: at most ``max_states``
    logit vectors a set, N V 4 bytes before and as much after the updates (float64 arithmetic goes
    in pieces), and one forward pass of at least one row, T V 4 bytes. Time: two passes over the
    measured states, and a rollout to the prompts of ``own`` after the updates with a pass over it,
    most of it where responses are long.

    Args:
        every: RL steps between measurements; the first is always measured.
        probe_prompts: Held-out prompts of the fixed states, all where there are fewer.
        rollout_prompts: Groups of the rollout whose states are measured, all where there are fewer.
        window: Last measurements over which the run's agreement is taken, at least 3; null: all.
        max_states: Most states a set whose logits are kept; more are thinned at random. The split
            ``on_policy`` always uses all of them.

    Raises:
        ValueError: an argument is out of range, or the data have no held-out problem.
    """

    _probe: dict[str, Tensor]
    _history: list[dict[str, float]]
    _step: int
    _source: ProbeSource
    _own: Experience

    def __init__(
        self,
        every: int = 5,
        probe_prompts: int = 16,
        rollout_prompts: int = 8,
        window: int | None = None,
        max_states: int = 8192,
    ) -> None:
        for name, value in (
            ("every", every),
            ("probe_prompts", probe_prompts),
            ("rollout_prompts", rollout_prompts),
            ("max_states", max_states),
        ):
            if value < 1:
                raise ValueError(f"EntropyDynamics.{name}={value} must be at least 1")
        if window is not None and window < 3:
            raise ValueError(f"EntropyDynamics.window={window} must be null or at least 3")
        self.every = every
        self.probe_prompts = probe_prompts
        self.rollout_prompts = rollout_prompts
        self.window = window
        self.max_states = max_states
        self._before: dict[str, tuple[Sequences, Tensor, Snapshot]] = {}
        self._forget()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say where the data have fewer prompts than are asked for."""
        if stage != "fit":
            return
        data = trained_run(trainer).datamodule
        tell_fewer_held_out("EntropyDynamics", self.probe_prompts, len(data.validation_problems))
        policy, mesh = trained_module(pl_module).sampler.policy, pl_module.device_mesh
        tell_rounding(
            "EntropyDynamics", trainer.precision_plugin.precision, policy, mesh is not None
        )
        prompts, name = data.plan.prompts_per_step, "EntropyDynamics.rollout_prompts"
        tell_fewer(
            name, self.rollout_prompts, prompts, "prompts per RL step (data.prompts_per_step)"
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what samples and measures."""
        data = trained_run(trainer).datamodule
        sampler = trained_module(pl_module).sampler
        problems, encode = data.validation_problems, data.source.encode
        self._source = ProbeSource(sampler, problems, encode, data.plan.seed)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        values, step = bandit_covariances(rollout, ranks), rollout.rl_step
        if step <= self._step:
            rank_zero_warn(
                f"EntropyDynamics last saw RL step {self._step} and meets {step}: "
                "its states and its history start again"
            )
            self._forget()
        self._step = step
        if (step - 1) % self.every:
            return values
        source = self._source
        if not self._probe:
            self._probe = to_state(source.states(self.probe_prompts, ranks.device))
        rows = min(self.rollout_prompts * rollout.group_size, len(rollout.experience))
        self._own = rollout.experience.rows(torch.arange(rows))
        sets = {"fixed": from_state(self._probe, ranks.device), "own": self._own.sequences}
        for name, states in sets.items():
            kept_BT = kept_states(states.sampled_BT, self.max_states, source.seed)
            self._before[name] = (states, kept_BT, snapshot(source.sampler, states, kept_BT))
        return values

    def on_updated(self) -> dict[str, float]:
        if not self._before:
            return {}
        values = self._compare()
        self._before = {}
        self._history.append(step_means(values))
        if self.window is not None:
            self._history = self._history[-self.window :]
        return values | run_agreements(self._history)

    def _compare(self) -> dict[str, float]:
        values: dict[str, float] = {}
        sampler = self._source.sampler
        for name, (states, kept_BT, before) in self._before.items():
            after = snapshot(sampler, states, kept_BT)
            change = exact_change(before, after)
            values |= summarise(f"dynamics/{name}", change)
            if name == "own":
                predicted = theorem_predictions(before, self._own, kept_BT)
                values |= summarise_theorems("dynamics/own", predicted, change["delta"])
                keys = (self._source.seed, "rollout", self._step, 0)
                values |= on_policy_change(sampler, self._own, before, after, keys)
        return values

    def _forget(self) -> None:
        self._probe, self._history, self._step = {}, [], 0

    def state_dict(self) -> State:
        return {
            "probe": {name: tensor.clone() for name, tensor in self._probe.items()},
            "history": [dict(row) for row in self._history],
            "step": self._step,
        }

    def load_state_dict(self, state_dict: State) -> None:
        self._probe = {name: tensor.clone() for name, tensor in state_dict["probe"].items()}
        self._history = [dict(row) for row in state_dict["history"]]
        self._step = state_dict["step"]
