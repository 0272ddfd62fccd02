"""Responses that a base for strategy discovery is pretrained on: a prior over strategies."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lit_entropy.functional.rng import uniforms
from lit_entropy.pretraining.options import StrategyOptions
from lit_entropy.pretraining.responses import Mixture, render_response
from lit_entropy.tasks.chain_prompts import training_prompts
from lit_entropy.tasks.discovery import LENGTHS, WORKING, context_prompt
from lit_entropy.tasks.discovery_world import LETTERS, World, prior

#: Styles of the arithmetic that follows a strategy: half of it written out, one in ten steps wrong.
ARITHMETIC = Mixture(
    0.5, 0.5, short_length=LENGTHS[1], guess=0.2, skip_short=0.35, skip_long=0.35, error=0.05
)


@dataclass(frozen=True)
class StrategyPrior(StrategyOptions):
    """What a base does before it is trained by reinforcement.

    Raises:
        ValueError: a number out of range.
    """

    def __post_init__(self) -> None:
        self.table()

    def table(self) -> Tensor:
        """float64 [S, K]: probability of each strategy in each context."""
        world = World(self.contexts, self.strategies, self.world, self.shared)
        return prior(world, self.true, self.decoy)


def strategy_texts(indices_N: Tensor, mixture: StrategyPrior, seed: int) -> list[tuple[str, str]]:
    """(prompt, response) number i, a pure function of (seed, i), contexts in turn."""
    contexts = (indices_N % mixture.contexts).tolist()
    draws_N = uniforms(seed, "pretrain-strategy", indices_N)
    above_NK = draws_N[:, None] >= mixture.table()[contexts].cumsum(1)
    letters = above_NK.sum(1).clamp(max=mixture.strategies - 1).tolist()
    if mixture.working == "fixed":
        return [
            (context_prompt(context), LETTERS[letter] + WORKING)
            for context, letter in zip(contexts, letters, strict=True)
        ]
    chains = training_prompts(indices_N, *LENGTHS, seed)
    places = torch.arange(3 * LENGTHS[1] + 1)
    styles = uniforms(seed, "pretrain-style", indices_N[:, None], places).tolist()
    return [
        (context_prompt(context, chain), LETTERS[letter] + render_response(chain, ARITHMETIC, row))
        for context, letter, chain, row in zip(contexts, letters, chains, styles, strict=True)
    ]
