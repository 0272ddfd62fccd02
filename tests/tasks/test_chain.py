"""Chain arithmetic: values, reward, split, laziness, argument checks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_entropy.pretraining.responses import careful_response
from lit_entropy.tasks.chain import VALIDATION_ID, ChainArithmetic, extract_answer, make_problem
from lit_entropy.tasks.chain_prompts import (
    OPERATORS,
    count_held_out,
    is_held_out,
    most_held_out,
    running_values,
)

TASK = ChainArithmetic()
digits = st.sampled_from("0123456789")
prompts = st.builds(
    lambda first, steps: first + "".join(o + d for o, d in steps) + " ",
    digits,
    st.lists(st.tuples(st.sampled_from(OPERATORS), digits), min_size=1, max_size=12),
)


def test_running_values_by_hand() -> None:
    # 7+5=12 -> 2, 2*3=6, 6-2=4: left to right, modulo 10; 3-9=-6 -> 4.
    assert running_values("7+5*3-2 ") == [7, 2, 6, 4]
    assert running_values("3-9 ") == [3, 4]


@given(prompts)
def test_value_equals_big_integers_reduced_once(prompt: str) -> None:
    # Modulo 10 is a ring homomorphism: reducing at the end gives the same digit.
    chain, value = prompt.strip(), int(prompt[0])
    for operator, digit in zip(chain[1::2], chain[2::2], strict=True):
        operand = int(digit)
        value = {"+": value + operand, "-": value - operand, "*": value * operand}[operator]
    assert make_problem(0, prompt).answer == str(value % 10)


@given(prompts)
def test_a_careful_response_scores_one(prompt: str) -> None:
    problem = make_problem(0, prompt)
    response = careful_response(prompt)
    assert TASK.reward(problem, response) == 1.0
    assert response.count("=") == problem.difficulty


@given(prompts, st.integers(1, 9), st.text("0123456789+-*=;# ", max_size=5))
def test_malformed_or_wrong_responses_score_zero(prompt: str, shift: int, noise: str) -> None:
    problem = make_problem(0, prompt)
    response = careful_response(prompt)
    wrong = str((int(problem.answer) + shift) % 10)
    variants = [
        response[:-1] + wrong,  # another digit
        response[:-2] + problem.answer,  # no mark
        response[:-1],  # no digit
        response + response[-2:],  # two marks
        "#" + response,
        response[:-2] + "# " + problem.answer,
        response[:-2] + "#" + problem.answer + ";",
        response + problem.answer,  # two digits
        response[:-1] + "\u0664",  # a digit of another script
        response + "\n",
        "",
    ]
    if noise:
        variants.append(response + noise)
    assert [TASK.reward(problem, text) for text in variants] == [0.0] * len(variants)


def test_extract_answer_by_hand() -> None:
    assert extract_answer("7+5=2;2*3=6;#6") == "6"
    assert extract_answer("#4") == "4"
    assert extract_answer("4") is None
    assert TASK.is_correct(make_problem(0, "1+1 "), "#2", 1.0)
    assert TASK.names_answers
    assert [TASK.answer_of(text) for text in ("7+5=2;#6", "#4", "4", "#45")] == [
        "6",
        "4",
        None,
        None,
    ]


def test_training_problems_are_a_pure_function_of_seed_and_index() -> None:
    problems = TASK.train_problems()
    again = ChainArithmetic(train_size=500).train_problems()
    assert len(problems) == 100_000 and len(again) == 500
    assert [again[i] for i in (499, 3, 3)] == [problems[499], problems[3], problems[3]]
    assert problems[2:5] == [problems[2], problems[3], problems[4]]
    assert again[-1] == again[499] and again[7].id == 7
    assert [p.prompt for p in ChainArithmetic(seed=1).train_problems()[:20]] != [
        p.prompt for p in problems[:20]
    ]
    with pytest.raises(IndexError):
        again[500]


def test_a_longer_maximum_keeps_problems_of_equal_draws_inside_bounds() -> None:
    problems = ChainArithmetic(min_length=2, max_length=5, validation_max_length=5).train_problems()
    lengths = [problem.difficulty for problem in problems[:800]]
    # Uniform over 4 lengths: 200 each, sd sqrt(800 * 1/4 * 3/4) = 12.2; four sd.
    assert sorted(set(lengths)) == [2, 3, 4, 5]
    assert all(abs(lengths.count(n) - 200) < 49 for n in range(2, 6))


def test_splits_are_disjoint_by_construction() -> None:
    for seed in (0, 1):
        task = ChainArithmetic(validation_max_length=12, validation_size=240, seed=seed)
        validation = task.validation_problems()
        assert all(is_held_out(p.prompt) for p in validation)
        assert len({p.prompt for p in validation}) == len({p.id for p in validation}) == 240
        assert not any(is_held_out(p.prompt) for p in task.train_problems()[:400])
        counts = [sum(p.difficulty == n for p in validation) for n in range(1, 13)]
        assert counts == [20] * 12


def test_held_out_share_of_all_prompts_of_length_two() -> None:
    # 10 * 30 * 30 = 9,000 prompts, a fifth of them by hash: sd sqrt(9000 * .2 * .8) = 38.
    assert abs(count_held_out(2) - 1800) < 4 * math.sqrt(9000 * 0.16)


def test_validation_problems_keep_their_ids_when_more_are_asked_for() -> None:
    few = ChainArithmetic(validation_size=25).validation_problems()
    many = {p.id: p for p in ChainArithmetic(validation_size=100).validation_problems()}
    assert all(many[p.id] == p for p in few)
    assert [p.difficulty for p in few] == sorted([*range(1, 11)] * 2 + [1, 2, 3, 4, 5])
    assert few[0].id == VALIDATION_ID and few[-1].id == 10 * VALIDATION_ID + 1


def test_of_a_short_length_all_and_the_others_share_the_rest() -> None:
    few, many = (
        ChainArithmetic(validation_max_length=12, validation_size=n).validation_problems()
        for n in (780, 3000)
    )
    counts = [sum(p.difficulty == n for p in many) for n in range(1, 13)]
    assert count_held_out(1) == 65 and sum(counts) == 3000
    assert counts == [65, *[267] * 9, *[266] * 2]
    assert {p.prompt for p in few} < {p.prompt for p in many}


def test_lengths_with_more_prompts_than_any_float_are_made() -> None:
    assert most_held_out(300) == 30**300  # half of a fifth of the 10 * 30^300 that there are
    assert [most_held_out(length) for length in (1, 2, 3)] == [65, count_held_out(2), 27_000]
    task = ChainArithmetic(
        validation_min_length=299, validation_max_length=300, validation_size=3, max_length=300
    )
    problems = task.validation_problems()
    assert [problem.difficulty for problem in problems] == [299, 299, 300]
    assert [len(problem.prompt) for problem in problems] == [600, 600, 602]
    assert ChainArithmetic(validation_max_length=300, validation_size=400).validation_size == 400
    longest = ChainArithmetic(min_length=1000, max_length=1000, validation_max_length=1000,
                              validation_size=1)  # fmt: skip
    assert longest.train_problems()[3].difficulty == 1000


def test_harder_training_data_can_be_validated_on_the_same_problems() -> None:
    hard, all_lengths = (
        ChainArithmetic(min_length=n, validation_min_length=1, validation_size=40) for n in (8, 1)
    )
    assert hard.validation_problems() == all_lengths.validation_problems()
    assert {p.difficulty for p in hard.train_problems()[:100]} == {8, 9, 10}
    apart = ChainArithmetic(min_length=8, validation_size=40).validation_problems()
    assert {p.difficulty for p in apart} == {8, 9, 10}


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_every_validation_length_is_met(length: int, seed: int) -> None:
    task = ChainArithmetic(
        min_length=length,
        max_length=length,
        validation_max_length=length,
        validation_size=3,
        seed=seed,
    )
    assert [p.difficulty for p in task.validation_problems()] == [length] * 3


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"min_length": 0}, "min_length is 0"),
        ({"max_length": 1001}, "max_length=1001 is too large: use 1,000 at most"),
        (
            {"validation_max_length": 10**9, "validation_size": 10**9 - 1},
            "^validation_max_length=1000000000 is too large: use 1,000 at most",
        ),
        ({"min_length": 5, "max_length": 4}, "max_length is 4"),
        (
            {"min_length": 5, "validation_max_length": 4},
            "validation_max_length is 4.*to min_length 5",
        ),
        (
            {"validation_min_length": 5, "validation_max_length": 4},
            "validation_max_length is 4.*to validation_min_length 5",
        ),
        ({"validation_min_length": 0}, "validation_min_length is 0"),
        ({"train_size": 0}, "train_size is 0"),
        ({"train_size": VALIDATION_ID}, "train_size is 1000000000"),
        ({"validation_size": 9}, "validation_size is 9"),
        (
            {"max_length": 2, "validation_max_length": 2, "validation_size": 2000},
            "validation_size is 2000: only .* held-out prompts of length 1 to 2 exist",
        ),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, int], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        ChainArithmetic(**arguments)
