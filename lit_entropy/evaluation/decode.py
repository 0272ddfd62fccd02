"""Responses to held-out problems: sampled by the rollout engine, rewarded by the task."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from lit_entropy.errors import ensure_finite
from lit_entropy.evaluation.prompts import Encode, HeldOutPrompts
from lit_entropy.evaluation.records import Response
from lit_entropy.step.sampler import Sampler
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.rewards import answer_codes, reward_responses
from lit_entropy.types import Problem


@dataclass(frozen=True)
class Responder:
    """Who answers held-out problems and who says what the answers are worth.

    Attributes:
        sampler: the policy and the engine that samples from it.
        task: gives rewards, and codes of final answers where it names answers.
        encoder: token ids of each problem's prompt.
        rl_step: finished RL steps, for errors.
        known: prompts that were asked for before.
    """

    sampler: Sampler
    task: Task
    encoder: Encode
    rl_step: int = 0
    known: HeldOutPrompts = field(default_factory=HeldOutPrompts)

    def encode(self, problems: Sequence[Problem]) -> list[list[int]]:
        """Token ids of each problem's prompt."""
        return self.known.encode(problems, self.encoder)

    def prompt_text(self, tokens: list[int]) -> str:
        """A prompt as the policy reads it, special tokens included."""
        return self.known.text(tokens, lambda ids: str(self.sampler.policy.tokenizer.decode(ids)))


def decode_responses(
    responder: Responder,
    problems: Sequence[Problem],
    count: int,
    temperature: float,
    max_new_tokens: int | None,
) -> list[Response]:
    """Sample ``count`` responses per problem, problem by problem.

    A response depends on the problem's id and its own number alone, whatever else is decoded.

    Args:
        responder: samples and rewards.
        problems: the problems.
        count: responses per problem.
        temperature: 0 decodes greedily; such responses have no entropy.
        max_new_tokens: longest response; None for that of training.

    Raises:
        NonFiniteError: a log-prob or a reward is NaN or infinite.
    """
    sampler, task = responder.sampler, responder.task
    rows = [problem for problem in problems for _ in range(count)]
    prompts = [tokens for tokens in responder.encode(problems) for _ in range(count)]
    completions = sampler.sample(
        prompts,
        torch.tensor([problem.id for problem in rows]),
        torch.arange(len(rows)) % count,
        keys=("evaluation",),
        temperature=temperature,
        max_new_tokens=max_new_tokens,
    )
    ensure_finite("log-probs of the evaluation", completions.logprobs_BT, responder.rl_step)
    texts = sampler.policy.decode(completions.tokens_BT, completions.mask_BT)
    rewards, correct = reward_responses(task, rows, texts, responder.rl_step)
    entropies: list[float] | list[None] = [None] * len(rows)
    if temperature > 0:
        entropies_BT = sampler.entropies(prompts, completions, temperature)
        entropies = entropies_BT.double().sum(1).tolist()
    answers_B = answer_codes(task, texts)
    answers = [None] * len(rows) if answers_B is None else answers_B.tolist()
    lengths, truncated = completions.sampled_BT.sum(1).tolist(), completions.truncated_B.tolist()
    columns = (prompts, texts, rewards, correct, lengths, truncated, entropies, answers)
    return [Response(*row) for row in zip(*columns, strict=True)]
