"""How an update and a rollout grow: the power of batch, length, vocabulary and model size.

Models are of Qwen2's shape with random weights. No response ends before its limit, so that a
rollout decodes as many tokens at every size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from benchmarks.plan_cases import update
from benchmarks.records import Outcome, Series, Size, growth
from benchmarks.rounds import alternate, clocked
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import Sequences

Along = Literal["rows", "response", "vocab", "hidden"]
#: Names of what grows; a model's size is its number of parameters.
NAMES: dict[Along, str] = {
    "rows": "batch",
    "response": "length",
    "vocab": "vocabulary",
    "hidden": "model size",
}
PROMPT = 8


@dataclass(frozen=True)
class Work:
    """An update, or a rollout, of a model with random weights.

    Attributes:
        rows: sequences.
        response: tokens of each response; prompts have 8.
        vocab: rows of the head.
        hidden: width of the model, which has two layers.
    """

    rows: int = 32
    response: int = 64
    vocab: int = 1024
    hidden: int = 64


#: The sizes along which everything else is as in ``Work``, which all of them contain.
GRID: dict[Size, dict[Along, tuple[int, ...]]] = {
    "smoke": {"rows": (1, 2)},
    "full": {
        "rows": (8, 32, 128, 512),
        "response": (16, 64, 256, 1024),
        "vocab": (1024, 4096, 16384, 65536),
        "hidden": (64, 128, 256, 512),
    },
}
BASE: dict[Size, Work] = {"smoke": Work(1, 2, 16, 8), "full": Work()}


def measure(size: Size, rounds: int) -> Outcome:
    """Exponents of the seconds of an update and of a rollout."""
    found: list[Series] = []
    for along, sizes in GRID[size].items():
        works = [replace(BASE[size], **{along: value}) for value in sizes]
        policies = [policy_of(work) for work in works]
        xs = [float(value) for value in sizes]
        if along == "hidden":
            xs = [float(sum(p.numel() for p in policy.parameters())) for policy in policies]
        for name, make in (("update", _update), ("rollout", _rollout)):
            contenders = {
                str(x): clocked(make(policy, work))
                for x, policy, work in zip(xs, policies, works, strict=True)
            }
            series = list(alternate(contenders, rounds).values())
            found.append(growth(f"{name}, {NAMES[along]}", xs, series))
    return Outcome(tuple(found))


def policy_of(work: Work) -> Policy:
    """A policy of the size, which never ends a response."""
    policy = Policy("chain-xs")
    config = Qwen2Config(
        vocab_size=work.vocab,
        hidden_size=work.hidden,
        intermediate_size=4 * work.hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    policy.model = cast(PreTrainedModel, AutoModelForCausalLM.from_config(config))
    policy.vocab_size, policy.eos_token_ids = work.vocab, [work.vocab]
    return policy


def _update(policy: Policy, work: Work) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    shape = (work.rows, PROMPT + work.response)
    tokens_BL = torch.randint(0, work.vocab, shape, generator=generator)
    whole_BL = torch.ones_like(tokens_BL, dtype=torch.bool)
    batch = Sequences(
        tokens_BL[:, PROMPT:], whole_BL[:, PROMPT:], tokens_BL[:, :PROMPT], whole_BL[:, :PROMPT]
    )
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-6)
    return lambda: update(policy, optimizer, batch)


def _rollout(policy: Policy, work: Work) -> Callable[[], object]:
    rows = torch.arange(work.rows)
    prompts = [[3 + row % 7] * PROMPT for row in rows.tolist()]
    return lambda: LocalEngine().generate(
        policy, prompts, rows, rows, max_new_tokens=work.response, temperature=1.0,
        keys=(0, "benchmark", 1),
    )  # fmt: skip
