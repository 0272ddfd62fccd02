"""What a policy does in each context of strategy discovery, exactly."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_entropy.callbacks.base import RolloutCallback, trained_module, trained_run
from lit_entropy.callbacks.probe import snapshot
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.functional.padding import left_pad
from lit_entropy.step.rollout import Rollout
from lit_entropy.step.sampler import Sampler
from lit_entropy.tasks.discovery import StrategyDiscovery
from lit_entropy.tasks.discovery_world import LETTERS
from lit_entropy.types import Sequences


class StrategyShares(RolloutCallback):
    """Probabilities of the strategies in every context of ``StrategyDiscovery``.

    They are those of the first token at the training temperature, one forward pass of S prompts,
    and describe the policy before the updates of the RL step, as the rollout does.

    ======================= ===================================================================
    key                     mean over contexts
    ======================= ===================================================================
    strategies/true         probability of the true strategy (fraction)
    strategies/decoy        probability of its decoy (fraction)
    strategies/found        share of contexts whose most likely strategy is the true one
    strategies/effective    exp of the entropy over strategies: how many are still tried
    strategies/reward       probability of a reward, the working taken for right (fraction)
    ======================= ===================================================================

    Args:
        every: RL steps between measurements; the first is always measured.

    Raises:
        ValueError: every is below 1; or at the start of a fit: another task, or a letter that is
            not one token of the policy's tokenizer.
    """

    _sampler: Sampler
    _states: Sequences

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"StrategyShares.every={every} must be at least 1")
        self.every = every

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trained_run(trainer).datamodule
        source, task = data.source, data.source.task
        if not isinstance(task, StrategyDiscovery):
            raise ValueError(
                f"StrategyShares measures StrategyDiscovery, and data.task is "
                f"{type(task).__name__}: leave the callback out"
            )
        ids = [
            source.tokenizer.encode(letter, add_special_tokens=False)
            for letter in LETTERS[: task.world.strategies]
        ]
        if any(len(tokens) != 1 for tokens in ids):
            raise ValueError("StrategyShares: a strategy's letter is not one token of model.policy")
        self._letters_K = torch.tensor([tokens[0] for tokens in ids])
        self._sampler = trained_module(pl_module).sampler
        # validation goes through the contexts in their order
        problems = data.validation_problems[: task.world.contexts]
        prompt_SS, mask_SS = left_pad(source.encode(problems), self._sampler.policy.pad_token_id)
        first_S1 = self._letters_K[:1].expand(len(problems), 1)
        self._states = Sequences(first_S1, torch.ones_like(first_S1).bool(), prompt_SS, mask_SS)
        self._odds_SK = task.odds
        true, decoy = task.world.assignment()
        self._true_S, self._decoy_S = torch.tensor(true), torch.tensor(decoy)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        if (rollout.rl_step - 1) % self.every:
            return {}
        states = self._states.to(ranks.device)
        logits_SV = snapshot(self._sampler, states, states.mask_BT).logits_NV
        return strategy_shares(
            logits_SV.double().softmax(-1).cpu()[:, self._letters_K],
            self._true_S,
            self._decoy_S,
            self._odds_SK,
        )


def strategy_shares(
    probabilities_SK: Tensor, true_S: Tensor, decoy_S: Tensor, odds_SK: Tensor
) -> dict[str, float]:
    """The metrics of :class:`StrategyShares`.

    Args:
        probabilities_SK: float64, probability of each strategy in each context; what a policy
            gives to other tokens is missing from a row's sum.
        true_S: int64, number of each context's true strategy.
        decoy_S: int64, of its decoy.
        odds_SK: float64, probability that a strategy succeeds.
    """
    among_SK = probabilities_SK / probabilities_SK.sum(1, keepdim=True)
    entropy_S = -torch.xlogy(among_SK, among_SK).sum(1)
    values_S = {
        "true": probabilities_SK.gather(1, true_S[:, None]),
        "decoy": probabilities_SK.gather(1, decoy_S[:, None]),
        "found": (probabilities_SK.argmax(1) == true_S).double(),
        "effective": entropy_S.exp(),
        "reward": (probabilities_SK * odds_SK).sum(1),
    }
    return {f"strategies/{name}": float(value.mean()) for name, value in values_S.items()}
