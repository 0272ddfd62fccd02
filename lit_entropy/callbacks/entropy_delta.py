"""The change of entropy over each RL step, beside what the theorems predicted for it."""

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_entropy.callbacks.base import RolloutCallback, trained_module, trained_run
from lit_entropy.callbacks.predictions import BANDIT_LEVEL, TOKEN_LEVEL, rollout_predictions
from lit_entropy.callbacks.probe import (
    ProbeSource,
    from_state,
    snapshot,
    tell_fewer_held_out,
    to_state,
)
from lit_entropy.callbacks.rounding import tell_rounding
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional import agreement
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import State

STATISTICS = {
    "slope": agreement.slope_through_origin,
    "r2": agreement.squared_correlation,
    "sign_agreement": agreement.sign_agreement,
}


class EntropyDelta(RolloutCallback):
    """Realised against predicted change of entropy (arXiv 2505.22617, Theorems 1 and 2, Fig. 8).

    At RL step k + 1 every key speaks of the step k -> k + 1: H_k is the mean exact entropy of pi_k
    at states that never change, the prefixes of one response of the first policy to each of
    ``probe_prompts`` held-out prompts; the predictions are made from rollout k's scored tokens
    under pi_k, at unit step size. The first rollout logs nothing. It costs one forward pass of
    these responses per RL step.

    ================================== ========================================================
    key (nats unless said otherwise)   formula
    ================================== ========================================================
    dynamics/delta                     H_{k+1} - H_k
    dynamics/predicted_theorem1        -Cov(log pi, pi A) over tokens
    dynamics/predicted_theorem2        -Cov(log pi, A) over tokens
    dynamics/predicted_theorem1_bandit the same with responses as actions (eq. 8, 9): log pi is
    dynamics/predicted_theorem2_bandit the mean token log-prob, Cov within a group, prompt mean
    dynamics/slope                     sum xy / sum xx of delta (y) on predicted_theorem2 (x):
                                       the effective step size (ratio)
    dynamics/r2                        squared correlation of the two, from 3 steps on (ratio)
    dynamics/sign_agreement            share of steps where both have the same sign (ratio)
    dynamics/slope_theorem1            the three for predicted_theorem1
    dynamics/r2_theorem1
    dynamics/sign_agreement_theorem1
    ================================== ========================================================

    A rollout without scored tokens predicts nothing: its step logs ``delta`` alone. Statistics
    run over the last ``window`` steps that had a prediction.

    Args:
        probe_prompts: Held-out prompts of the fixed states, all where there are fewer. 0 takes each
            rollout's own states (all response tokens), whose change is also that of the responses
            and has their sampling noise.
        window: Number of last steps over which agreement is measured, at least 3; null for all.

    Raises:
        ValueError: the window is below 3, or the number of prompts below 0.
    """

    _source: ProbeSource
    _probe: dict[str, Tensor]

    _step: int | None
    _entropy: float
    _predicted: dict[str, float]
    _history: list[dict[str, float]]

    def __init__(self, probe_prompts: int = 16, window: int | None = None) -> None:
        if probe_prompts < 0:
            raise ValueError(f"probe_prompts={probe_prompts}: give 0 or more")
        if window is not None and window < 3:
            raise ValueError(f"window must be null or at least 3, got {window}")
        self.probe_prompts, self.window = probe_prompts, window
        self._forget()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say where the data have fewer held-out prompts than are asked for."""
        if stage == "fit" and self.probe_prompts:
            problems = trained_run(trainer).datamodule.validation_problems
            tell_fewer_held_out("EntropyDelta", self.probe_prompts, len(problems))
            policy, mesh = trained_module(pl_module).sampler.policy, pl_module.device_mesh
            tell_rounding(
                "EntropyDelta", trainer.precision_plugin.precision, policy, mesh is not None
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what samples and measures the fixed states."""
        if self.probe_prompts:
            data, sampler = trained_run(trainer).datamodule, trained_module(pl_module).sampler
            problems, encode = data.validation_problems, data.source.encode
            self._source = ProbeSource(sampler, problems, encode, data.plan.seed)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may be logged."""
        predicted = (f"dynamics/predicted_{name}" for name in (*TOKEN_LEVEL, *BANDIT_LEVEL))
        statistics = (f"dynamics/{name}{end}" for end in ("", "_theorem1") for name in STATISTICS)
        return ("dynamics/delta", *predicted, *statistics)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        step = rollout.rl_step
        if self._step is not None and step != self._step + 1:
            rank_zero_warn(
                f"EntropyDelta last saw RL step {self._step} and now {step}: "
                "its states and its history start again"
            )
            self._forget()
        entropy = self._entropy_at_states(ranks) if self.probe_prompts else rollout.entropy
        predicted = rollout_predictions(rollout, ranks)
        first = self._step is None
        values = {} if first else self._compare(entropy - self._entropy)
        self._step, self._entropy, self._predicted = step, entropy, predicted
        return values

    def _entropy_at_states(self, ranks: Ranks) -> float:
        """Mean entropy at the fixed states, sampled by the first call; equal on every rank."""
        source = self._source
        if not self._probe:
            self._probe = to_state(source.states(self.probe_prompts, ranks.device))
        states = from_state(self._probe, ranks.device)
        return float(snapshot(source.sampler, states).entropies_M.mean())

    def _compare(self, delta: float) -> dict[str, float]:
        values = {"dynamics/delta": delta}
        values |= {f"dynamics/predicted_{name}": value for name, value in self._predicted.items()}
        if self._predicted:
            self._history.append({"delta": delta, **self._predicted})
            if self.window is not None:
                self._history = self._history[-self.window :]
        for theorem, end in (("theorem2", ""), ("theorem1", "_theorem1")):
            predicted_N, realised_N = (
                torch.tensor([row[name] for row in self._history], dtype=torch.float64)
                for name in (theorem, "delta")
            )
            for name, statistic in STATISTICS.items():
                value = statistic(predicted_N, realised_N)
                if self._predicted and value is not None:
                    values[f"dynamics/{name}{end}"] = value
        return values

    def _forget(self) -> None:
        self._probe, self._step, self._entropy = {}, None, 0.0
        self._predicted, self._history = {}, []

    def state_dict(self) -> State:
        return {
            "probe": {name: tensor.clone() for name, tensor in self._probe.items()},
            "rl_step": self._step,
            "entropy": self._entropy,
            "predicted": dict(self._predicted),
            "history": [dict(row) for row in self._history],
        }

    def load_state_dict(self, state_dict: State) -> None:
        probe = state_dict.get("probe", {})
        self._probe = {name: tensor.clone() for name, tensor in probe.items()}
        self._step = state_dict.get("rl_step")
        if state_dict.get("step") is not None:  # a checkpoint that counts RL steps from 0
            self._step = state_dict["step"] + 1
        self._entropy = state_dict["entropy"]
        self._predicted = dict(state_dict["predicted"])
        self._history = [dict(row) for row in state_dict["history"]]
