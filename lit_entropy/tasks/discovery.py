"""Strategy discovery: a task that exploration limits, not skill.

The prompt ``17 `` names a context. The first token of the response picks a strategy, a letter, and
fixed working follows: ``c1;2;3;4;#``. One strategy is the context's true one and always succeeds,
its decoy succeeds half of the time, the others seldom; whether a strategy succeeds on a problem is
drawn once, for all samples of the problem. The base prefers the decoy, so that early reward spends
the entropy on it, and what is not sampled any more is never found.

With ``working: arithmetic`` the prompt ``17:7+5*3 `` also asks for chain arithmetic, which must
come out right after the letter (``c7+5=2;2*3=6;#6``): skill and exploration together.
"""

import re
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lit_entropy.functional.checks import require_at_most
from lit_entropy.functional.rng import uniforms
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.chain import extract_answer
from lit_entropy.tasks.chain_prompts import held_out_prompts, running_values, training_prompts
from lit_entropy.tasks.discovery_world import LETTERS, Odds, World, succeeds
from lit_entropy.tasks.lazy import LazyProblems
from lit_entropy.tasks.reward_functions import Reward, reward_function
from lit_entropy.types import Problem

#: Validation ids are ``VALIDATION_ID + k``; training ids are the index, below it.
VALIDATION_ID = 1_000_000_000
#: What follows the strategy where the working is fixed.
WORKING = "1;2;3;4;#"
#: Operations of a chain where the working is arithmetic.
LENGTHS = (1, 3)
Working = Literal["fixed", "arithmetic"]

_CONTEXT = re.compile(r"(\d\d)[: ]")


def context_prompt(context: int, chain: str = " ") -> str:
    """The prompt of a context, ``17 ``; with a chain ``7+5 `` it is ``17:7+5 ``."""
    return f"{context:02d}{chain if chain == ' ' else ':' + chain}"


def context_of(prompt: str) -> int:
    """The context that a prompt names.

    Raises:
        ValueError: it is no prompt of this task.
    """
    match = _CONTEXT.match(prompt)
    if match is None:
        raise ValueError(f"prompt {prompt!r} names no context: it starts with two digits")
    return int(match.group(1))


class StrategyDiscovery(Task):
    """Find the true strategy of each context; a decoy is rewarded half of the time.

    Args:
        contexts: S, number of contexts, at most 100.
        strategies: K, number of strategies, at most 12.
        true_reward: Probability that a context's true strategy succeeds on a problem.
        decoy_reward: Probability that its decoy does.
        other_reward: Probability that any other strategy does.
        working: What follows the strategy: fixed text, or chain arithmetic that must be right.
        shared: Whether contexts with the same last digit have the same strategies.
        held_out_contexts: The last so many contexts are never trained on; they are validated on
            apart, as the source ``unseen`` beside ``seen``. Needs ``shared``.
        world: Seed of which strategy is right where; a base model is pretrained for one world.
        train_size: Number of training problems; they are made lazily.
        validation_size: Number of validation problems, balanced over contexts.
        seed: Seed of the problem set: contexts and successes.
        reward: A function that gives the rewards, see
            :mod:`lit_entropy.tasks.reward_functions`; the task still says what counts as right.

    Raises:
        ValueError: a number out of range.
    """

    def __init__(
        self,
        contexts: int = 40,
        strategies: int = 12,
        true_reward: float = 1.0,
        decoy_reward: float = 0.5,
        other_reward: float = 0.1,
        working: Working = "fixed",
        shared: bool = False,
        held_out_contexts: int = 0,
        world: int = 0,
        train_size: int = 100_000,
        validation_size: int = 1000,
        seed: int = 0,
        reward: str | Reward | None = None,
    ) -> None:
        self.reward_function = reward_function(reward)
        self.world = World(contexts, strategies, world, shared)
        self.odds = Odds(true_reward, decoy_reward, other_reward).table(self.world)
        self.working, self.seed = working, seed
        self.trained_contexts = contexts - held_out_contexts
        _check(contexts, held_out_contexts, shared, working, train_size, validation_size)
        self.train_size, self.validation_size = train_size, validation_size

    def train_problems(self) -> Sequence[Problem]:
        """Lazy sequence: problem i is a pure function of (seed, i), its context uniform."""
        return LazyProblems(self.train_size, self._training)

    def validation_problems(self) -> Sequence[Problem]:
        """Problems with their own draws of success, one context after the other and again."""
        places = range(self.validation_size)
        contexts = [place % self.world.contexts for place in places]
        chains = [" "] * self.validation_size
        if self.working == "arithmetic":
            chains = self._held_out_chains()
        return self._make([VALIDATION_ID + place for place in places], contexts, chains)

    def _training(self, indices: Sequence[int]) -> list[Problem]:
        indices_N = torch.tensor(indices, dtype=torch.int64)
        draws = uniforms(self.seed, "discovery-context", indices_N).tolist()
        contexts = [int(draw * self.trained_contexts) for draw in draws]
        chains = [" "] * len(indices)
        if self.working == "arithmetic":
            chains = training_prompts(indices_N, *LENGTHS, self.seed)
        return self._make(indices, contexts, chains)

    def reward(self, problem: Problem, response: str) -> float:
        """1.0 for a strategy that succeeds on the problem, with the working right; else 0.0."""
        letter = self.answer_of(response)
        letters, _, result = problem.answer.partition("=")
        if letter is None or letter not in letters:
            return 0.0
        return float(not result or extract_answer(response) == result)

    def answer_of(self, response: str) -> str | None:
        """The letter of the strategy; None where none of the task's or the working is malformed."""
        letter, working = response[:1], response[1:]
        if letter not in set(LETTERS[: self.world.strategies]):
            return None
        whole = working == WORKING if self.working == "fixed" else extract_answer(working)
        return letter if whole else None

    def _held_out_chains(self) -> list[str]:
        """As many held-out chains as validation problems, lengths in turn."""
        lengths = range(LENGTHS[0], LENGTHS[1] + 1)
        each = -(-self.validation_size // len(lengths))
        # short ones are few: they are used again in other contexts
        found = [held_out_prompts(length, min(each, 50), self.seed) for length in lengths]
        return [
            found[place % len(lengths)][place // len(lengths) % len(found[place % len(lengths)])]
            for place in range(self.validation_size)
        ]

    def _make(
        self, identities: Sequence[int], contexts: Sequence[int], chains: Sequence[str]
    ) -> list[Problem]:
        ids_N: Tensor = torch.tensor(identities, dtype=torch.int64)
        problems = []
        for identity, context, chain, row in zip(
            identities, contexts, chains, succeeds(self.odds, contexts, ids_N, self.seed),
            strict=True,
        ):  # fmt: skip
            answer = "".join(LETTERS[k] for k, good in enumerate(row) if good)
            difficulty = 0
            if self.working == "arithmetic":
                values = running_values(chain)
                answer, difficulty = f"{answer}={values[-1]}", len(values) - 1
            source = ""
            if self.trained_contexts < self.world.contexts:
                source = "seen" if context < self.trained_contexts else "unseen"
            prompt = context_prompt(context, chain)
            problems.append(Problem(identity, prompt, answer, difficulty, source))
        return problems


def _check(
    contexts: int,
    held_out: int,
    shared: bool,
    working: str,
    train_size: int,
    validation_size: int,
) -> None:
    if working not in ("fixed", "arithmetic"):
        raise ValueError(f"working is {working!r}: choose fixed or arithmetic")
    if not 0 <= held_out < contexts:
        raise ValueError(f"held_out_contexts is {held_out}: choose 0 to {contexts - 1}")
    if held_out and not shared:
        raise ValueError(
            f"held_out_contexts is {held_out}: without shared=true nothing learnt elsewhere tells "
            "their strategy; set shared or leave it 0"
        )
    if not 1 <= train_size < VALIDATION_ID:
        raise ValueError(f"train_size is {train_size}: choose 1 to {VALIDATION_ID - 1}")
    require_at_most("validation_size", validation_size, VALIDATION_ID - 1)
    if validation_size < contexts:
        raise ValueError(
            f"validation_size is {validation_size}: give at least one problem for each of the "
            f"{contexts} contexts"
        )
