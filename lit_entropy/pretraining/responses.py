"""The styles of response a base model is pretrained on: careful, sloppy, guess."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lit_entropy.functional.rng import uniforms
from lit_entropy.tasks.chain_prompts import apply, running_values, training_prompts


@dataclass(frozen=True)
class Mixture:
    """Shares of the styles and their faults; every share is a fraction.

    Attributes:
        careful_short: share of careful responses up to ``short_length`` operations.
        careful_long: share of careful responses on longer chains.
        short_length: longest chain that counts as short.
        guess: share of guesses at every length; what is left is sloppy.
        skip_short: probability that a sloppy response leaves out an intermediate result, on chains
            of up to ``short_length`` operations.
        skip_long: the same on longer chains.
        error: probability that a written result is a wrong digit (later steps build on it).
    """

    careful_short: float
    careful_long: float
    short_length: int
    guess: float
    skip_short: float
    skip_long: float
    error: float

    def __post_init__(self) -> None:
        for name in ("careful_short", "careful_long", "guess", "skip_short", "skip_long", "error"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}: give a fraction from 0 to 1")
        if max(self.careful_short, self.careful_long) + self.guess > 1:
            raise ValueError(
                f"guess is {self.guess}: careful and guess shares add up to more than 1; lower one"
            )

    def careful(self, length: int) -> float:
        """Share of careful responses at a chain length."""
        return self.careful_short if length <= self.short_length else self.careful_long

    def skip(self, length: int) -> float:
        """Probability that a sloppy response leaves out an intermediate result."""
        return self.skip_short if length <= self.short_length else self.skip_long


def render_response(prompt: str, mixture: Mixture, draws: list[float]) -> str:
    """One response, a pure function of its uniform draws.

    Args:
        prompt: such as ``7+5*3 ``.
        mixture: the styles' shares.
        draws: uniforms: one for the style, then (skip, error, wrong digit) for each operation.

    Returns:
        Response text up to and including the answer digit.
    """
    chain = prompt.strip()
    length = len(chain) // 2
    careful = mixture.careful(length)
    if draws[0] < mixture.guess:
        return f"#{running_values(prompt)[-1]}"
    skip = 0.0 if draws[0] < mixture.guess + careful else mixture.skip(length)
    value = int(chain[0])
    text = chain[0]
    for k in range(length):
        operator, operand = chain[2 * k + 1], chain[2 * k + 2]
        value = apply(value, operator, int(operand))
        text += operator + operand
        skipped, fault, digit = draws[1 + 3 * k : 4 + 3 * k]
        if k < length - 1 and skipped < skip:
            continue
        if fault < mixture.error:
            value = (value + 1 + int(digit * 9)) % 10
        text += f"={value};" + (str(value) if k < length - 1 else f"#{value}")
    return text


def careful_response(prompt: str) -> str:
    """Every step written, without faults: ``7+5=2;2*3=6;#6``."""
    faultless = Mixture(
        1.0, 1.0, short_length=0, guess=0.0, skip_short=0.0, skip_long=0.0, error=0.0
    )
    return render_response(prompt, faultless, [0.5] * (3 * len(prompt) + 1))


def pretraining_texts(
    indices_N: Tensor, max_length: int, mixture: Mixture, seed: int
) -> list[tuple[str, str]]:
    """(prompt, response) number i, a pure function of (seed, i); prompts of the training split."""
    prompts = training_prompts(indices_N, 1, max_length, seed)
    draws = uniforms(seed, "pretrain-style", indices_N[:, None], torch.arange(3 * max_length + 1))
    return [
        (prompt, render_response(prompt, mixture, row))
        for prompt, row in zip(prompts, draws.tolist(), strict=True)
    ]
