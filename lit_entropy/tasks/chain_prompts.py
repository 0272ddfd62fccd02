"""Prompts of chain arithmetic: their values, their split and their counter-based draw."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from lit_entropy.functional.rng import uniforms

OPERATORS = "+-*"
#: Share of all prompts that is held out; the split is a hash of the text, whatever the seed.
HELD_OUT_FRACTION = 0.2


def apply(value: int, operator: str, operand: int) -> int:
    """One operation modulo 10."""
    if operator == "*":
        return value * operand % 10
    return (value + operand if operator == "+" else value - operand) % 10


def running_values(prompt: str) -> list[int]:
    """The first operand and the value after each operation of ``7+5*3 ``: [7, 2, 6]."""
    chain = prompt.strip()
    values = [int(chain[0])]
    for position in range(1, len(chain), 2):
        values.append(apply(values[-1], chain[position], int(chain[position + 1])))
    return values


def is_held_out(prompt: str) -> bool:
    """Whether a prompt belongs to validation: a pure function of its text (blake2b)."""
    digest = hashlib.blake2b(prompt.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < HELD_OUT_FRACTION * 2**64


def draw_prompts(lengths_N: Tensor, indices_N: Tensor, *keys: int | str) -> list[str]:
    """One prompt for each (length, index), a pure function of the keys.

    Args:
        lengths_N: int64 number of operations of each prompt.
        indices_N: int64 index of each prompt, one of its counter's keys.
        keys: prefix of the counter, e.g. (seed, purpose, attempt).

    Returns:
        N prompts such as ``7+5*3-2 ``, from either split.
    """
    places = torch.arange(int(lengths_N.max()) + 1)
    digits = (uniforms(*keys, "digit", indices_N[:, None], places) * 10).long().tolist()
    operators = (uniforms(*keys, "operator", indices_N[:, None], places) * 3).long().tolist()
    prompts = []
    for row, length in enumerate(lengths_N.tolist()):
        steps = (OPERATORS[operators[row][k]] + str(digits[row][k]) for k in range(1, length + 1))
        prompts.append(f"{digits[row][0]}{''.join(steps)} ")
    return prompts


def training_prompts(indices_N: Tensor, min_length: int, max_length: int, seed: int) -> list[str]:
    """Training prompts of uniform length: number i is a pure function of (seed, i).

    A prompt of the held-out split is drawn again with the next attempt number.

    Args:
        indices_N: int64 indices i.
        min_length: fewest operations.
        max_length: most operations.
        seed: seed of the problem set.

    Returns:
        N prompts, none of which is held out.
    """
    span = max_length - min_length + 1
    lengths_N = min_length + (uniforms(seed, "chain-length", indices_N) * span).long()
    prompts = [""] * len(indices_N)
    pending, attempt = torch.arange(len(indices_N)), 0
    while len(pending):
        drawn = draw_prompts(lengths_N[pending], indices_N[pending], seed, "chain-train", attempt)
        for row, prompt in zip(pending.tolist(), drawn, strict=True):
            prompts[row] = prompt
        pending = torch.tensor([r for r in pending.tolist() if is_held_out(prompts[r])]).long()
        attempt += 1
    return prompts


def held_out_prompts(length: int, count: int, seed: int) -> list[str]:
    """The first ``count`` distinct held-out prompts of one length, in an order set by the seed.

    Args:
        length: number of operations.
        count: prompts wanted; the caller makes sure that so many exist.
        seed: seed of the problem set.

    Returns:
        ``count`` distinct prompts; a larger count only appends.
    """
    found: dict[str, None] = {}
    start, block = 0, 256
    while len(found) < count:
        indices_N = torch.arange(start, start + block)
        drawn = draw_prompts(
            torch.full((block,), length), indices_N, seed, "chain-held-out", length
        )
        found.update((prompt, None) for prompt in drawn if is_held_out(prompt))
        start += block
    return list(found)[:count]


def count_held_out(length: int) -> int:
    """How many held-out prompts of one length exist; only lengths 1 and 2 are counted out."""
    prompts = [str(digit) for digit in range(10)]
    for _ in range(length):
        prompts = [
            f"{p}{operator}{digit}"
            for p in prompts
            for operator in OPERATORS
            for digit in range(10)
        ]
    return sum(is_held_out(f"{prompt} ") for prompt in prompts)
