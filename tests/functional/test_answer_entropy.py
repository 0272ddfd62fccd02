"""Entropy of the answers: by hand, by scipy, and its invariances."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from lit_entropy.functional.answer_entropy import NO_ANSWER, answer_code, answer_entropy

groups = st.lists(
    st.lists(st.integers(-1, 3), min_size=5, max_size=5), min_size=1, max_size=6
)  # fmt: skip


def test_by_hand() -> None:
    codes = torch.tensor([[7, 7, 7, 7], [7, 8, 7, 8], [-1, -1, -1, 5], [1, 2, 3, 4]])
    quarter = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = [0.0, math.log(2), quarter, math.log(4)]
    assert answer_entropy(codes).tolist() == pytest.approx(expected, abs=1e-15)
    assert answer_entropy(codes).dtype == torch.float64
    assert str(answer_entropy(codes[:1]).item()) == "0.0"  # not minus zero


@given(groups)
def test_equals_scipy_on_the_counts(rows: list[list[int]]) -> None:
    expected = [entropy(list(Counter(row).values())) for row in rows]
    assert answer_entropy(torch.tensor(rows)).tolist() == pytest.approx(expected, abs=1e-12)


@given(groups, st.randoms())
def test_order_and_names_of_the_answers_do_not_matter(rows: list[list[int]], random) -> None:  # type: ignore[no-untyped-def]
    renamed = [random.sample([17 - 3 * code for code in row], len(row)) for row in rows]
    torch.testing.assert_close(
        answer_entropy(torch.tensor(renamed)),
        answer_entropy(torch.tensor(rows)),
        rtol=0,
        atol=1e-12,
    )


def test_codes_are_stable_and_fit_int64() -> None:
    assert answer_code(None) == NO_ANSWER == -1
    # blake2b of "4", 8 bytes, little-endian, without the lowest bit: the same in every process
    assert answer_code("4") == CODE_OF_4
    codes = [answer_code(str(k)) for k in range(5000)]
    assert len(set(codes)) == 5000 and min(codes) >= 0 and max(codes) < 2**63
    assert torch.tensor(codes).tolist() == codes


CODE_OF_4 = 6560645418235825848  # b2sum -l 64 of the text: 711d7b067f3018b6


@pytest.mark.parametrize("shape", [(3,), (2, 0), (2, 2, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="answers_PG has shape"):
        answer_entropy(torch.zeros(shape, dtype=torch.int64))
