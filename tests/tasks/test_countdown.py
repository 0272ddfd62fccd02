"""Countdown: the checker against an independent evaluator, split, laziness, argument checks."""

from __future__ import annotations

import ast
import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.tasks.countdown import VALIDATION_ID, Countdown, make_problem
from lit_entropy.tasks.countdown_prompts import (
    LARGEST_TARGET,
    OPERATORS,
    canonical,
    evaluate,
    is_held_out,
    make_prompt,
    numbers_of,
    parse_prompt,
    random_expression,
    training_puzzles,
    unordered,
)

TASK = Countdown()
SYMBOLS = {ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__}
expressions = st.integers(2, 6).flatmap(
    lambda count: st.builds(
        lambda numbers, operators: (
            str(numbers[0])
            + "".join(f"{o}{n}" for o, n in zip(operators, numbers[1:], strict=True))
        ),
        st.lists(st.integers(1, 9), min_size=count, max_size=count),
        st.lists(st.sampled_from(OPERATORS), min_size=count - 1, max_size=count - 1),
    )
)


def tree_value(node: ast.expr) -> int:
    """Python's own reading of an expression, walked over its syntax tree."""
    if isinstance(node, ast.BinOp):
        return SYMBOLS[type(node.op)](tree_value(node.left), tree_value(node.right))
    assert isinstance(node, ast.Constant)
    return int(node.value)  # type: ignore[arg-type]


def bracketed(expression: str) -> str:
    """``((1+2)*3)-6``: the same steps with Python's own precedence."""
    text = expression[0]
    for operator, digit in zip(expression[1::2], expression[2::2], strict=True):
        text = f"({text}){operator}{digit}"
    return text


def test_values_by_hand() -> None:
    values = [evaluate(text) for text in ("5*2-3", "1+2*3-6", "1-9", "7", "2-3*4")]
    assert values == [7, 3, -8, 7, -4]


@given(expressions)
def test_values_are_python_s(expression: str) -> None:
    tree = ast.parse(bracketed(expression), mode="eval")
    assert evaluate(expression) == tree_value(tree.body)


@given(expressions)
def test_a_solution_scores_one_whatever_stands_before(expression: str) -> None:
    numbers = [int(digit) for digit in expression[::2]]
    problem = make_problem(0, make_prompt(numbers, evaluate(expression)))
    assert problem.difficulty == len(numbers)
    assert TASK.reward(problem, f"#{expression}") == 1.0
    assert TASK.reward(problem, f"1+1=3;{expression}#{expression}") == 1.0
    assert TASK.is_correct(problem, "", 1.0)


@given(expressions, st.integers(1, 9), st.text("0123456789+-*=;# ", min_size=1, max_size=5))
def test_malformed_or_wrong_responses_score_zero(expression: str, shift: int, noise: str) -> None:
    numbers, target = [int(digit) for digit in expression[::2]], evaluate(expression)
    problem = make_problem(0, make_prompt(numbers, target))
    other = make_problem(0, make_prompt(numbers, target + shift))
    assert TASK.reward(other, f"#{expression}") == 0.0  # another value
    variants = [
        expression,  # no mark
        "",
        "#",
        f"#{expression}#{expression}",
        f"##{expression}",
        f"# {expression}",
        f"#{expression} ",
        f"#{expression}\n",
        f"#({expression})",
        f"#+{expression}",
        f"#{expression}+",
        f"#{expression}={target}",
        f"#{expression}-1+1",  # right value, a number too many
        f"#{expression[:-2]}",  # a number too few
        f"#{target}",  # the target itself
        f"#{expression[:-1]}\u0664",  # a digit of another script
        f"#0{expression}",
        f"#{expression}{noise}",
    ]
    assert [TASK.reward(problem, text) for text in variants] == [0.0] * len(variants)


def test_every_number_once() -> None:
    problem = make_problem(0, "2;2;3=10 ")
    texts = ("2*2+3*2", "2+3*5", "2*5", "3+2+5", "10", "2*3+4")
    assert [TASK.reward(problem, f"#{text}") for text in texts] == [0.0] * 6
    assert [TASK.reward(problem, f"#{text}") for text in ("2+3*2", "3+2*2")] == [1.0] * 2
    assert TASK.reward(problem, "#2*3+2") == 0.0  # 8


def test_answers_are_named_up_to_the_order_of_runs() -> None:
    assert canonical("2*3+5-1") == canonical("3*2-1+5") == "*2*3+5-1"
    assert canonical("5-2+3") == canonical("3+5-2") == "+3+5-2"
    assert canonical("5-2*3") != canonical("5*3-2") and canonical("7") == "+7"
    assert TASK.answer_of("5-2=3+1=4;#5-2+1") == TASK.answer_of("#1+5-2") == "+1+5-2"
    assert [TASK.answer_of(text) for text in ("5-2*3", "#5-", "#5#5")] == [None] * 3
    assert TASK.names_answers


@given(expressions, st.integers(0, 4))
def test_the_canonical_form_keeps_value_and_numbers(expression: str, place: int) -> None:
    steps = [expression[k : k + 2] for k in range(1, len(expression), 2)]
    k = min(place, len(steps) - 2)
    if k >= 0 and (steps[k][0] == "*") == (steps[k + 1][0] == "*"):  # neighbours of one run
        steps[k], steps[k + 1] = steps[k + 1], steps[k]
    swapped = expression[0] + "".join(steps)
    assert canonical(swapped) == canonical(expression)
    assert evaluate(swapped) == evaluate(expression)
    # the form read from left to right, from 0 or 1, has the same value
    form = canonical(expression)
    start = f"({1 if form[0] == '*' else 0})"
    tree = ast.parse(fold(start, form), mode="eval")
    assert tree_value(tree.body) == evaluate(expression)
    assert numbers_of("0" + form)[1:] == numbers_of(expression)


def fold(start: str, form: str) -> str:
    """Steps such as ``*2*3+5`` applied to a start, each in brackets."""
    for k in range(0, len(form), 2):
        start = f"({start}){form[k : k + 2]}"
    return start


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.data())
def test_random_expressions_keep_their_values_in_range(numbers: list[int], data) -> None:  # type: ignore[no-untyped-def]
    uniform = st.floats(0, 1, exclude_max=True)
    draws = data.draw(st.lists(uniform, min_size=len(numbers) - 1, max_size=len(numbers) - 1))
    expression = random_expression(numbers, draws)
    assert [int(digit) for digit in expression[::2]] == numbers
    prefixes = [expression[: k + 1] for k in range(0, len(expression), 2)]
    assert all(0 <= evaluate(prefix) <= LARGEST_TARGET for prefix in prefixes)


def test_training_puzzles_are_solved_by_their_solution() -> None:
    puzzles = training_puzzles(torch.arange(300), 2, 6, seed=3)
    for puzzle in puzzles:
        numbers, target = parse_prompt(puzzle.prompt)
        assert max(numbers) <= 9 and min(numbers) >= 1 and 0 <= target <= LARGEST_TARGET
        assert numbers == [int(digit) for digit in puzzle.solution[::2]]  # solved in their order
        assert make_prompt(numbers, target) == puzzle.prompt
        assert TASK.reward(make_problem(0, puzzle.prompt), f"#{puzzle.solution}") == 1.0
    assert set(Counter(len(parse_prompt(p.prompt)[0]) for p in puzzles)) == {2, 3, 4, 5, 6}
    # one by one gives the same puzzles as all at once
    assert training_puzzles(torch.tensor([17]), 2, 6, seed=3) == puzzles[17:18]


def test_training_problems_are_a_pure_function_of_seed_and_index() -> None:
    problems, again = TASK.train_problems(), Countdown(train_size=500).train_problems()
    assert len(problems) == 100_000 and len(again) == 500
    assert [again[i] for i in (499, 3, 3)] == [problems[499], problems[3], problems[3]]
    assert problems[2:5] == [problems[2], problems[3], problems[4]]
    assert again[-1] == again[499] and again[7].id == 7
    assert problems[:20] != Countdown(seed=1).train_problems()[:20]
    with pytest.raises(IndexError):
        again[500]


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_are_disjoint_by_construction(seed: int) -> None:
    task = Countdown(seed=seed, validation_max_numbers=6, validation_size=202)
    validation = task.validation_problems()
    assert all(is_held_out(str(p.prompt)) for p in validation)
    assert len({unordered(str(p.prompt)) for p in validation}) == 202
    assert len({p.prompt for p in validation}) == len({p.id for p in validation}) == 202
    assert not any(is_held_out(str(p.prompt)) for p in task.train_problems()[:400])
    assert Counter(p.difficulty for p in validation) == {3: 51, 4: 51, 5: 50, 6: 50}
    assert validation[0].id == 3 * VALIDATION_ID and validation[-1].id == 6 * VALIDATION_ID + 49


@given(st.permutations([2, 7, 7, 4]), st.integers(0, LARGEST_TARGET))
def test_the_split_does_not_see_the_order(numbers: list[int], target: int) -> None:
    prompt = make_prompt(numbers, target)
    assert unordered(prompt) == f"2;4;7;7={target} "
    assert is_held_out(prompt) == is_held_out(unordered(prompt))


def test_held_out_share_of_all_prompts_of_two_numbers() -> None:
    prompts = {
        make_prompt(sorted([a, b]), evaluate(f"{a}{o}{b}"))
        for a, b, o in itertools.product(range(1, 10), range(1, 10), OPERATORS)
        if 0 <= evaluate(f"{a}{o}{b}") <= LARGEST_TARGET
    }
    # 119 prompts, a fifth of them by hash: mean 23.8, sd 4.36; four sd
    assert len(prompts) == 119 and abs(sum(map(is_held_out, prompts)) - 23.8) < 4 * 4.36


def test_validation_problems_keep_their_ids_when_more_are_asked_for() -> None:
    few = Countdown(validation_size=10).validation_problems()
    many = {p.id: p for p in Countdown(validation_size=100).validation_problems()}
    assert all(many[p.id] == p for p in few)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"min_numbers": 1}, "min_numbers is 1"),
        ({"max_numbers": 2}, "max_numbers is 2"),
        ({"max_numbers": 10}, "max_numbers is 10"),
        ({"validation_max_numbers": 2}, "validation_max_numbers is 2"),
        ({"train_size": 0}, "train_size is 0"),
        ({"train_size": VALIDATION_ID}, "train_size is 1000000000"),
        ({"validation_size": 2}, "validation_size is 2"),
        ({"min_numbers": 2, "validation_size": 400}, "prompts of 2 numbers only"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, int], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Countdown(**arguments)
