"""Prompts of chain arithmetic: their values, their split and their counter-based draw."""

import hashlib
from functools import cache

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


def draw_prompts(
    indices_N: Tensor, min_length: int, max_length: int, *keys: int | str
) -> list[str]:
    """One prompt for each index, of uniform length, a pure function of the keys and the index.

    Args:
        indices_N: int64 index of each prompt, one of its counter's keys.
        min_length: fewest operations.
        max_length: most operations.
        keys: prefix of the counter, e.g. (seed, purpose, attempt).

    Returns:
        N prompts such as ``7+5*3-2 ``, from either split.
    """
    # Place 0 draws the length; places 2k + 1 and 2k + 2 draw digit k and operator k + 1.
    places = torch.arange(2 * max_length + 2)
    prompts = []
    for draws in uniforms(*keys, indices_N[:, None], places).tolist():
        length = min_length + int(draws[0] * (max_length - min_length + 1))
        text = str(int(draws[1] * 10))
        for k in range(1, length + 1):
            text += OPERATORS[int(draws[2 * k] * 3)] + str(int(draws[2 * k + 1] * 10))
        prompts.append(text + " ")
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
    prompts = [""] * len(indices_N)
    pending, attempt = list(range(len(indices_N))), 0
    while pending:
        keys = (seed, "chain-train", attempt)
        drawn = draw_prompts(indices_N[pending], min_length, max_length, *keys)
        for row, prompt in zip(pending, drawn, strict=True):
            prompts[row] = prompt
        pending = [row for row in pending if is_held_out(prompts[row])]
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
        drawn = draw_prompts(indices_N, length, length, seed, "chain-held-out", length)
        found.update((prompt, None) for prompt in drawn if is_held_out(prompt))
        start += block
    return list(found)[:count]


def most_held_out(length: int) -> int:
    """How many held-out prompts of one length may be asked for: all, or half of very many."""
    if length <= 2:
        return count_held_out(length)
    prompts = 10 * (10 * len(OPERATORS)) ** length  # more than any float from length 208 on
    return prompts // round(2 / HELD_OUT_FRACTION)


@cache
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
