"""The styles of response a countdown base is pretrained on: direct, and attempts with a check."""

import torch
from torch import Tensor

from lit_entropy.functional.rng import uniforms
from lit_entropy.pretraining.options import AttemptMixture
from lit_entropy.tasks.countdown_prompts import (
    apply,
    parse_prompt,
    random_expression,
    training_puzzles,
)

#: Most attempts that a response writes: 80 tokens hold three of four numbers.
ATTEMPTS = 3


def draws_needed(max_numbers: int) -> int:
    """Uniforms of a response: 2, and for each attempt 2, n - 1 operators and 2 (n - 1) faults."""
    return 2 + ATTEMPTS * (3 * max_numbers - 1)


def worked(expression: str, error: float, draws: list[float]) -> tuple[str, int]:
    """An expression with its running values, ``5*2=10-3=7``, and the last value as written.

    Args:
        expression: such as ``5*2-3``.
        error: probability that a value is written wrong: 1 to 9 too large.
        draws: (fault, size of the fault) for each operation.
    """
    value, text = int(expression[0]), expression[0]
    for k in range(len(expression) // 2):
        operator, digit = expression[2 * k + 1], expression[2 * k + 2]
        value = apply(value, operator, int(digit))
        if draws[2 * k] < error:
            value += 1 + int(draws[2 * k + 1] * 9)
        text += f"{operator}{digit}={value}"
    return text, value


def render_attempts(prompt: str, solution: str, mixture: AttemptMixture, draws: list[float]) -> str:
    """One response, a pure function of its uniform draws.

    Args:
        prompt: such as ``5;2;3=7 ``.
        solution: an expression that solves it.
        mixture: the styles' shares.
        draws: ``draws_needed`` uniforms for the count of numbers or more: two for the style, then
            for each attempt (miss, give up), a random expression's, and those of ``worked``.

    Returns:
        Response text up to and including the final expression. An attempt restates the target
        after its last value, so that what is to be compared stands side by side.
    """
    numbers, target = parse_prompt(prompt)
    width, steps = (len(draws) - 2) // ATTEMPTS, len(numbers) - 1
    attempts = [draws[2 + k * width : 2 + (k + 1) * width] for k in range(ATTEMPTS)]
    if draws[0] < mixture.direct:
        guessed = random_expression(numbers, attempts[0][2 : 2 + steps])
        return "#" + (guessed if draws[1] < mixture.guess else solution)
    text, expression = "", ""
    for miss, give_up, *rest in attempts:
        missed = random_expression(numbers, rest[:steps])
        expression = missed if miss < mixture.miss else solution
        written, value = worked(expression, mixture.error, rest[steps:])
        text += f"{written} {target};"
        if value == target or give_up < mixture.give_up:
            break
    return f"{text}#{expression}"


def attempt_texts(
    indices_N: Tensor, min_numbers: int, max_numbers: int, mixture: AttemptMixture, seed: int
) -> list[tuple[str, str]]:
    """(prompt, response) number i, a pure function of (seed, i); prompts of the training split."""
    puzzles = training_puzzles(indices_N, min_numbers, max_numbers, seed)
    places = torch.arange(draws_needed(max_numbers))
    draws = uniforms(seed, "pretrain-attempts", indices_N[:, None], places)
    return [
        (puzzle.prompt, render_attempts(puzzle.prompt, puzzle.solution, mixture, row))
        for puzzle, row in zip(puzzles, draws.tolist(), strict=True)
    ]
