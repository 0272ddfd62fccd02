"""Responses to held-out problems: decoded by the rollout engine, scored by the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from lit_entropy.errors import ensure_finite
from lit_entropy.evaluation.entropies import known_entropies
from lit_entropy.tasks.rewards import answer_codes, score
from lit_entropy.types import Problem

if TYPE_CHECKING:
    from lit_entropy.evaluation.module import EvaluatedModule


def decode_rows(
    module: EvaluatedModule,
    problems: Sequence[Problem],
    count: int,
    temperature: float,
    max_new_tokens: int | None,
) -> list[dict[str, Any]]:
    """Sample ``count`` responses a problem; one row a response, problem by problem.

    A response depends on the problem's id and its own number alone, whatever else is decoded.

    Args:
        module: gives policy, engine, task and precision.
        problems: the problems.
        count: responses a problem.
        temperature: 0 decodes greedily.
        max_new_tokens: longest response; None for that of training.

    Returns:
        ``prompt`` (token ids), ``response``, ``reward``, ``correct``, ``checked`` (False where the
        response could not be scored), ``length``, ``truncated``, of a sampled response ``entropy``
        (summed, nats) and, for a task that names answers, ``answer`` (its code).

    Raises:
        NonFiniteError: a log-prob or a reward is NaN or infinite.
    """
    data: Any = module.trainer.datamodule  # type: ignore[attr-defined]
    rows = [problem for problem in problems for _ in range(count)]
    encoded = data.source.encode(problems)
    prompts = [tokens for tokens in encoded for _ in range(count)]
    limit = module.max_new_tokens if max_new_tokens is None else max_new_tokens
    with module.forward_context():
        completions = module.engine.generate(
            module.policy,
            prompts,
            torch.tensor([problem.id for problem in rows]),
            torch.arange(len(rows)) % count,
            max_new_tokens=limit,
            temperature=temperature,
            keys=("evaluation",),
        )
    ensure_finite("log-probs of the evaluation", completions.logprobs_BT, module.rl_step)
    texts = module.policy.decode(completions.tokens_BT, completions.mask_BT)
    rewards, correct = score(data.task, rows, texts, module.rl_step)
    columns = {
        "prompt": prompts,
        "response": texts,
        "reward": rewards,
        "correct": correct,
        "checked": [reward is not None for reward in rewards],
        "length": completions.mask_BT.sum(1).tolist(),
        "truncated": completions.truncated_B.tolist(),
    }
    if temperature > 0:
        entropies_BT = known_entropies(module, prompts, completions, temperature)
        columns["entropy"] = entropies_BT.double().sum(1).tolist()
    answers_B = answer_codes(data.task, texts)
    if answers_B is not None:
        columns["answer"] = answers_B.tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
