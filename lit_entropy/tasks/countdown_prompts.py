"""Countdown: expressions, their values and canonical form, the split and the draw of prompts."""

import hashlib
import itertools
import re
from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.rng import uniforms

OPERATORS = "+-*"
#: Numbers are 1 to this one.
LARGEST_NUMBER = 9
#: Targets, and the running values of drawn expressions, are 0 to this number.
LARGEST_TARGET = 30
#: Share of all problems that is held out; the split is a hash of the problem, whatever the seed.
HELD_OUT_FRACTION = 0.2

_EXPRESSION = re.compile(r"[1-9](?:[-+*][1-9])*")


class Puzzle(NamedTuple):
    """A prompt such as ``5;2;3=7 `` and an expression that solves it, ``5*2-3``."""

    prompt: str
    solution: str


def is_expression(text: str) -> bool:
    """Whether a text is digits 1 to 9 joined by ``+ - *``, without spaces or parentheses."""
    return _EXPRESSION.fullmatch(text) is not None


def apply(value: int, operator: str, operand: int) -> int:
    """One operation."""
    if operator == "*":
        return value * operand
    return value + operand if operator == "+" else value - operand


def evaluate(expression: str) -> int:
    """The value of an expression from left to right: 3 of ``1+2*3-6`` ((1 + 2) * 3 - 6)."""
    value = int(expression[0])
    for operator, digit in zip(expression[1::2], expression[2::2], strict=True):
        value = apply(value, operator, int(digit))
    return value


def numbers_of(expression: str) -> list[int]:
    """The numbers of an expression, ascending."""
    return sorted(int(digit) for digit in expression[::2])


def canonical(expression: str) -> str:
    """One text for expressions that differ in the order of a run of sums or of products.

    ``2*3+5-1`` and ``3*2-1+5`` both become ``*2*3+5-1``: from left to right the numbers of a run
    of ``+`` and ``-``, or of ``*``, may change places, the first number with those of its run.
    """
    first = expression[1] if len(expression) > 1 and expression[1] == "*" else "+"
    steps = [first + expression[0]]
    steps += [a + b for a, b in zip(expression[1::2], expression[2::2], strict=True)]
    runs = itertools.groupby(steps, key=lambda step: step[0] == "*")
    return "".join("".join(sorted(run)) for _, run in runs)


def random_expression(numbers: list[int], draws: list[float]) -> str:
    """The numbers joined in the order given, by operators that keep every value in range.

    Args:
        numbers: n numbers.
        draws: n - 1 uniforms, one an operator.

    Returns:
        An expression whose values from left to right all lie in 0 to ``LARGEST_TARGET``.
    """
    value, text = numbers[0], str(numbers[0])
    for number, draw in zip(numbers[1:], draws, strict=True):
        fitting = [o for o in OPERATORS if 0 <= apply(value, o, number) <= LARGEST_TARGET]
        operator = fitting[int(draw * len(fitting))]
        value, text = apply(value, operator, number), f"{text}{operator}{number}"
    return text


def make_prompt(numbers: list[int], target: int) -> str:
    """The prompt of numbers, in the order given, and target: ``5;2;3=7 ``."""
    return ";".join(map(str, numbers)) + f"={target} "


def parse_prompt(prompt: str) -> tuple[list[int], int]:
    """Numbers and target of a prompt."""
    numbers, target = prompt.strip().split("=")
    return [int(number) for number in numbers.split(";")], int(target)


def unordered(prompt: str) -> str:
    """The prompt with its numbers in ascending order: one text for all orders of a problem."""
    numbers, target = parse_prompt(prompt)
    return make_prompt(sorted(numbers), target)


def is_held_out(prompt: str) -> bool:
    """Whether a prompt belongs to validation, in whatever order its numbers stand (blake2b)."""
    digest = hashlib.blake2b(unordered(prompt).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < HELD_OUT_FRACTION * 2**64


def draw_puzzles(
    indices_N: Tensor, min_numbers: int, max_numbers: int, *keys: int | str
) -> list[Puzzle]:
    """One puzzle for each index, from a random expression of a uniform count of numbers.

    The prompt shows the numbers in the order of that expression, so that there always is a solution
    in this order; any other solution counts as well.

    Args:
        indices_N: int64 index of each puzzle, one of its counter's keys.
        min_numbers: fewest numbers.
        max_numbers: most numbers.
        keys: prefix of the counter, e.g. (seed, purpose, attempt).

    Returns:
        N puzzles, from either split.
    """
    # Place 0 draws the count, then come the numbers, then the operators between them.
    places = torch.arange(2 * max_numbers)
    puzzles = []
    for draws in uniforms(*keys, indices_N[:, None], places).tolist():
        count = min_numbers + int(draws[0] * (max_numbers - min_numbers + 1))
        numbers = [1 + int(draw * LARGEST_NUMBER) for draw in draws[1 : count + 1]]
        operators = draws[max_numbers + 1 : max_numbers + count]
        expression = random_expression(numbers, operators)
        puzzles.append(Puzzle(make_prompt(numbers, evaluate(expression)), expression))
    return puzzles


def training_puzzles(
    indices_N: Tensor, min_numbers: int, max_numbers: int, seed: int
) -> list[Puzzle]:
    """Training puzzles: number i is a pure function of (seed, i).

    A puzzle of the held-out split is drawn again with the next attempt number.

    Args:
        indices_N: int64 indices i.
        min_numbers: fewest numbers.
        max_numbers: most numbers.
        seed: seed of the problem set.

    Returns:
        N puzzles, none of which is held out.
    """
    puzzles = [Puzzle("", "")] * len(indices_N)
    pending, attempt = list(range(len(indices_N))), 0
    while pending:
        keys = (seed, "countdown-train", attempt)
        drawn = draw_puzzles(indices_N[pending], min_numbers, max_numbers, *keys)
        for row, puzzle in zip(pending, drawn, strict=True):
            puzzles[row] = puzzle
        pending = [row for row in pending if is_held_out(puzzles[row].prompt)]
        attempt += 1
    return puzzles


def held_out_prompts(numbers: int, count: int, seed: int) -> list[str]:
    """The first ``count`` distinct held-out prompts of one count of numbers, ordered by the seed.

    Args:
        numbers: how many numbers a prompt has.
        count: prompts wanted; a larger count only appends.
        seed: seed of the problem set.

    Returns:
        ``count`` prompts that differ in more than the order of their numbers, or fewer if
        ``500 + 40 * count`` draws do not hold so many.
    """
    indices_N = torch.arange(500 + 40 * count)
    drawn = draw_puzzles(indices_N, numbers, numbers, seed, "countdown-held-out", numbers)
    found: dict[str, str] = {}
    for puzzle in drawn:
        if is_held_out(puzzle.prompt):
            found.setdefault(unordered(puzzle.prompt), puzzle.prompt)
    return list(found.values())[:count]
