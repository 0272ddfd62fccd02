"""The change of entropy from one rollout to the next, beside what the theorems predicted for it."""

import torch
from lightning.pytorch.utilities import rank_zero_warn

from lit_entropy.callbacks.base import RolloutCallback
from lit_entropy.callbacks.predictions import BANDIT_LEVEL, TOKEN_LEVEL, rollout_predictions
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

    At RL step k + 1 every key speaks of the step k -> k + 1: H_k is the token mean of rollout k's
    exact entropies (all response tokens), the predictions are made from rollout k's scored tokens
    under pi_k, at unit step size. The first rollout logs nothing.

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
        window: Number of last steps over which agreement is measured, at least 3; null for all.

    Raises:
        ValueError: the window is below 3.
    """

    _step: int | None
    _entropy: float
    _predicted: dict[str, float]
    _history: list[dict[str, float]]

    def __init__(self, window: int | None = None) -> None:
        if window is not None and window < 3:
            raise ValueError(f"window must be null or at least 3, got {window}")
        self.window = window
        self._forget()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may be logged."""
        predicted = (f"dynamics/predicted_{name}" for name in (*TOKEN_LEVEL, *BANDIT_LEVEL))
        statistics = (f"dynamics/{name}{end}" for end in ("", "_theorem1") for name in STATISTICS)
        return ("dynamics/delta", *predicted, *statistics)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        step, entropy = rollout.rl_step, rollout.entropy
        predicted = rollout_predictions(rollout, ranks)
        if self._step is not None and step != self._step + 1:
            rank_zero_warn(
                f"EntropyDelta last saw RL step {self._step} and now {step}: "
                "its history starts again"
            )
            self._forget()
        first = self._step is None
        values = {} if first else self._compare(entropy - self._entropy)
        self._step, self._entropy, self._predicted = step, entropy, predicted
        return values

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
        self._step, self._entropy, self._predicted, self._history = None, 0.0, {}, []

    def state_dict(self) -> State:
        return {
            "rl_step": self._step,
            "entropy": self._entropy,
            "predicted": dict(self._predicted),
            "history": [dict(row) for row in self._history],
        }

    def load_state_dict(self, state_dict: State) -> None:
        self._step = state_dict.get("rl_step")
        if state_dict.get("step") is not None:  # a checkpoint that counts RL steps from 0
            self._step = state_dict["step"] + 1
        self._entropy = state_dict["entropy"]
        self._predicted = dict(state_dict["predicted"])
        self._history = [dict(row) for row in state_dict["history"]]
