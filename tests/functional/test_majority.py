"""Majority votes by hand, and maj@k against every subset."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_entropy.functional.answer_entropy import NO_ANSWER, answer_code
from lit_entropy.functional.majority import MOST_SAMPLES, Vote, majority, majority_curve, votes
from lit_entropy.functional.pass_at_k import pass_at_k


def votes_of(answers: list[int], right: set[int]) -> list[Vote]:
    return votes(answers, [answer in right for answer in answers], [True] * len(answers))


def test_votes_by_hand() -> None:
    codes = [7, NO_ANSWER, 3, 7, 3, 7]
    correct = [True, False, False, True, False, True]
    checked = [True, True, False, False, True, True]
    # 7: three samples, two scored, both right; 3: two samples, one scored, wrong
    assert votes(codes, correct, checked) == [Vote(3, 2, 2), Vote(2, 1, 0)]
    assert majority(votes(codes, correct, checked)) == 1.0


@pytest.mark.parametrize(
    ("answers", "right", "expected"),
    [
        ([1, 1, 2], {1}, 1.0),
        ([1, 2, 2], {1}, 0.0),
        ([1, 2], {1}, 0.5),  # a tie of two
        ([1, 2, 3, 1, 2, 3, 4], {3}, 1 / 3),  # a tie of three; the single 4 is out
        ([1, 2], {1, 2}, 1.0),  # both spellings right
        ([NO_ANSWER, NO_ANSWER, 1], {1}, 1.0),  # no answer does not vote
        ([NO_ANSWER, NO_ANSWER], set(), 0.0),
    ],
)
def test_majority_by_hand(answers: list[int], right: set[int], expected: float) -> None:
    assert majority(votes_of(answers, right)) == pytest.approx(expected)


def test_a_winner_that_could_not_be_scored_is_not_wrong() -> None:
    assert majority([Vote(3, 0, 0), Vote(1, 1, 1)]) is None
    assert majority([Vote(2, 0, 0), Vote(2, 2, 2)]) == 1.0  # the scored one of the tie decides
    assert majority_curve([Vote(3, 0, 0), Vote(1, 1, 1)], 4) is None


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([NO_ANSWER, 1, 2, 3, 4]), min_size=1, max_size=8),
    st.sets(st.sampled_from([1, 2, 3, 4])),
)
def test_the_curve_is_the_mean_over_every_subset(answers: list[int], right: set[int]) -> None:
    n = len(answers)
    curve = majority_curve(votes_of(answers, right), n)
    assert curve is not None
    for k in range(1, n + 1):
        each = [majority(votes_of(list(part), right)) for part in combinations(answers, k)]
        assert curve[k - 1] == pytest.approx(np.mean([float(v or 0) for v in each]), abs=1e-12)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 9))
def test_ends_of_the_curve_and_its_bound(answers: list[int], right: int) -> None:
    n, found = len(answers), votes_of(answers, {right})
    curve = majority_curve(found, n)
    assert curve is not None and majority(found) == pytest.approx(curve[-1], abs=1e-9)
    count = answers.count(right)
    assert curve[0] == pytest.approx(count / n, abs=1e-12)  # one sample decides alone
    for k in range(1, n + 1):  # a vote cannot find what no sample has
        assert curve[k - 1] <= pass_at_k([count], n, k).item() + 1e-9


def test_order_and_names_of_the_answers_do_not_matter() -> None:
    one = votes_of([1, 2, 2, 3, 3, 3, 1], {2})
    codes = {n: answer_code(str(n)) for n in (1, 2, 3)}
    two = votes_of([codes[n] for n in (3, 1, 2, 3, 2, 1, 3)], {codes[2]})
    np.testing.assert_allclose(majority_curve(one, 7), majority_curve(two, 7), rtol=1e-13)


def test_many_samples() -> None:
    """60 of 100 right: the vote of k samples tends to 1; binomials do not overflow."""
    curve = majority_curve([Vote(600, 600, 600), Vote(400, 400, 0)], MOST_SAMPLES)
    assert curve is not None and np.isfinite(curve).all()
    assert curve[0] == pytest.approx(0.6) and curve[100] > 0.97 and curve[-1] == 1.0
    # k = 3 with replacement: p^3 + 3 p^2 (1 - p) = 0.648
    assert curve[2] == pytest.approx(0.648, abs=1e-3)


@pytest.mark.parametrize("n", [2, MOST_SAMPLES + 1])
def test_samples_outside_the_range(n: int) -> None:
    with pytest.raises(ValueError, match=rf"n={n} must lie between the 3 votes"):
        majority_curve([Vote(3, 3, 3)], n)
