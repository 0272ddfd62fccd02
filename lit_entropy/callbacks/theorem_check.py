"""Theorems 1 and 2 with the known step size, at every state of a one-token task."""

from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from lit_entropy.callbacks.base import RolloutCallback, trained_module, trained_run
from lit_entropy.callbacks.probe import Snapshot, snapshot
from lit_entropy.callbacks.rounding import tell_rounding
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    log_policy_covariance,
    theorem1_prediction,
    theorem2_prediction,
)
from lit_entropy.functional.enumeration import centred_rewards
from lit_entropy.functional.sampled_dynamics import state_centred_theorem1
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.sampler import Sampler
from lit_entropy.tasks.base import Task
from lit_entropy.tracking.state_table import write_states
from lit_entropy.types import Experience, Problem, Sequences, State


class TheoremCheck(RolloutCallback):
    """Predicted against realised change of entropy at each prompt's state, exactly.

    For tasks whose response is one token (``model.max_new_tokens: 1``): a prompt is a state, a
    token an action, and the task is asked for the reward of every one. Predictions are made before
    the updates from the policy, the rewards and the step size eta(s): lr times the updates of the
    RL step times the share d(s) of the prompt in the rollout. Nothing is fitted. At held-out
    prompts d(s) is the mean share of the training prompts.

    =========================== =================================================================
    key                         formula, mean over training prompts, nats unless said otherwise
    =========================== =================================================================
    theorems/entropy            H before the updates
    theorems/reward             E_pi[r] before the updates, mean reward
    theorems/covariance         Cov_pi(log pi, A), exact advantages
    theorems/delta              H after the updates - H before
    theorems/lemma1             -Cov_pi(log pi, dz) of the realised change of the logits
    theorems/theorem1           -eta Cov_pi(log pi, pi A)
    theorems/theorem2           -eta Cov_pi(log pi, A); eta = lr with ``natural``
    theorems/sampled            as theorem1, estimated from the rollout's own responses; mean over
                                the prompts that have some
    theorems/held_out_<name>    delta and the predictions, mean over held-out prompts
    =========================== =================================================================

    File: ``<trainer.log_dir>/theorem_states.csv``, written at the end, one line per RL step and
    state with the same columns; ``sampled`` is empty where there are no samples.

    Args:
        natural: the update is ``ExactGradient(natural=True)``, whose step has no share d(s).
        sampled: the rollout holds samples, so that Theorem 1 is also estimated from them.

    Raises:
        ValueError: responses may have more than one token.
    """

    def __init__(self, natural: bool = False, sampled: bool = False) -> None:
        self.natural, self.sampled = natural, sampled
        self._rows: list[list[float]] = []
        self._pending: tuple[int, Snapshot, dict[str, Tensor]] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check the length of responses."""
        if stage != "fit":
            return
        limit = trained_module(pl_module).sampler.max_new_tokens
        if limit != 1:
            raise ValueError(
                f"model.max_new_tokens={limit}, and TheoremCheck enumerates responses of one "
                "token: set it to 1, or leave the callback out"
            )
        policy, mesh = trained_module(pl_module).sampler.policy, pl_module.device_mesh
        tell_rounding("TheoremCheck", trainer.precision_plugin.precision, policy, mesh is not None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the states, and the reward of every action in them."""
        data = trained_run(trainer).datamodule
        self._sampler = trained_module(pl_module).sampler
        self._optimizer: Optimizer = trainer.optimizers[0]
        self._updates = data.plan.updates_per_step
        source = data.source
        problems = [*source.problems, *data.validation_problems]
        self._training = len(source.problems)
        self._ids_N = torch.tensor([problem.id for problem in problems])
        self._states = prompt_states(source.encode(problems), self._sampler)
        self._rewards_NV = every_reward(source.task, problems, self._sampler)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        experience = rollout.experience
        before = snapshot(self._sampler, self._states, self._states.mask_BT)
        logits_NV = before.logits_NV.double()
        advantages_NV = centred_rewards(self._rewards_NV, logits_NV.log_softmax(-1))
        share_N = prompt_shares(experience, self._ids_N)
        share_N[self._training :] = share_N[: self._training].mean()
        rate = float(self._optimizer.param_groups[0]["lr"]) * self._updates
        eta_N = rate * (torch.ones_like(share_N) if self.natural else share_N)
        values = {
            "theorem1": eta_N * theorem1_prediction(logits_NV, advantages_NV),
            "theorem2": eta_N * theorem2_prediction(logits_NV, advantages_NV),
            "sampled": torch.full_like(eta_N, torch.nan),
        }
        if self.sampled:
            values["sampled"] = eta_N * sampled_estimates(experience, self._ids_N, logits_NV)
        self._pending = rollout.rl_step, before, values
        reward_N = (logits_NV.softmax(-1) * self._rewards_NV).sum(-1)
        covariance_N = log_policy_covariance(logits_NV, advantages_NV)
        means = {"entropy": entropy(logits_NV), "reward": reward_N, "covariance": covariance_N}
        return {f"theorems/{k}": float(v[: self._training].mean()) for k, v in means.items()}

    def on_updated(self) -> dict[str, float]:
        assert self._pending is not None  # on_rollout has measured
        step, before, values = self._pending
        after = snapshot(self._sampler, self._states, self._states.mask_BT)
        old_NV, new_NV = before.logits_NV.double(), after.logits_NV.double()
        delta_N = entropy(new_NV) - entropy(old_NV)
        values = {"delta": delta_N, "lemma1": lemma1_prediction(old_NV, new_NV - old_NV), **values}
        columns = [value_N.tolist() for value_N in values.values()]
        for number, row in enumerate(zip(*columns, strict=True)):
            place = [step, float(number >= self._training), float(self._ids_N[number])]
            self._rows.append([*place, *row])
        parts = {"": slice(self._training), "held_out_": slice(self._training, None)}
        means = {
            f"theorems/{prefix}{name}": float(value_N[part].nanmean())
            for prefix, part in parts.items()
            for name, value_N in values.items()
        }
        return {key: mean for key, mean in means.items() if mean == mean}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the states' file, also of a run that was over when it was continued."""
        folder = trainer.log_dir  # a broadcast: every rank must ask
        if trainer.is_global_zero and self._rows:
            write_states(Path(folder or "."), self._rows)

    def state_dict(self) -> State:
        return {"rows": [list(row) for row in self._rows]}

    def load_state_dict(self, state_dict: State) -> None:
        self._rows = [list(row) for row in state_dict["rows"]]


def prompt_states(prompts: Sequence[list[int]], sampler: Sampler) -> Sequences:
    """Each prompt with one token after it, which no distribution depends on."""
    device = next(sampler.policy.parameters()).device
    width = max(map(len, prompts))
    pad = sampler.policy.pad_token_id
    tokens_NS = torch.tensor([[pad] * (width - len(row)) + row for row in prompts], device=device)
    lengths_N = torch.tensor([len(row) for row in prompts], device=device)
    mask_NS = torch.arange(width, device=device) >= width - lengths_N[:, None]
    one_N1 = torch.full((len(prompts), 1), pad, device=device)
    return Sequences(one_N1, torch.ones_like(one_N1, dtype=torch.bool), tokens_NS, mask_NS)


def every_reward(task: Task, problems: Sequence[Problem], sampler: Sampler) -> Tensor:
    """float64 [N, V]: what the task gives each token as a response to each problem.

    Raises:
        ValueError: a response could not be checked.
    """
    policy = sampler.policy
    tokens_V1 = torch.arange(policy.vocab_size)[:, None]
    texts = policy.decode(tokens_V1, torch.ones_like(tokens_V1, dtype=torch.bool))
    rewards = [task.rewards([problem] * len(texts), texts) for problem in problems]
    if any(reward is None for row in rewards for reward in row):
        raise ValueError("data.task gave a response no reward, and TheoremCheck needs every one")
    device = next(policy.parameters()).device
    return torch.tensor(rewards, dtype=torch.float64, device=device)


def prompt_shares(experience: Experience, ids_N: Tensor) -> Tensor:
    """float64 [N]: share of each prompt in the tokens of the objective."""
    tokens_B = experience.mask_BT.sum(1).double()
    same_NB = ids_N.to(tokens_B.device)[:, None] == experience.prompt_ids_B
    return (same_NB * tokens_B).sum(1) / tokens_B.sum()


def sampled_estimates(experience: Experience, ids_N: Tensor, logits_NV: Tensor) -> Tensor:
    """float64 [N]: -(log pi + H) pi A, mean over each prompt's responses; NaN without any."""
    same_NB = (
        ids_N.to(experience.prompt_ids_B.device)[:, None] == experience.prompt_ids_B
    ).double()
    entropies_B = same_NB.T @ entropy(logits_NV)
    estimate_B = state_centred_theorem1(
        experience.old_logprobs_BT[:, 0].double(),
        entropies_B,
        experience.advantages_BT[:, 0].double(),
    )
    return (same_NB @ estimate_B) / same_NB.sum(1)
