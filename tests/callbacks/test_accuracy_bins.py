"""Prompts by the share of right responses."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.callbacks.accuracy_bins import AccuracyBins

DEFAULT = AccuracyBins((1 / 3, 2 / 3), ("low", "middle", "high"))


@given(st.integers(1, 64).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size))))
def test_bins_match_exact_fractions(case: tuple[int, int]) -> None:
    group_size, right = case
    accuracy = Fraction(right, group_size)
    if accuracy in (0, 1):
        expected = "all" if accuracy else "none"
    else:
        low, middle = accuracy <= Fraction(1, 3), accuracy <= Fraction(2, 3)
        expected = "low" if low else "middle" if middle else "high"
    correct_PG = (torch.arange(group_size) < right)[None]
    assert DEFAULT.names[int(DEFAULT.index(correct_PG))] == expected


def test_means_sum_the_rows_of_a_bins_prompts() -> None:
    correct_B = torch.tensor([True, False, True, True, False, True])
    totals_B, weights_B = torch.tensor([1.0, 2, 3, 4, 5, 6]), torch.tensor([1, 1, 2, 2, 3, 3])
    means = DEFAULT.means("x", totals_B, weights_B, correct_B, 2)
    assert list(means) == ["x/none", "x/low", "x/middle", "x/high", "x/all"]
    # prompts 0 and 2 are half right, prompt 1 is right
    assert [float(mean.total) for mean in means.values()] == [0, 0, 1 + 2 + 5 + 6, 0, 3 + 4]
    assert [float(mean.weight) for mean in means.values()] == [0, 0, 8, 0, 4]


@pytest.mark.parametrize(
    ("edges", "names", "message"),
    [
        ((0.5, 0.5), ("a", "b", "c"), "increase"),
        ((0.0,), ("a", "b"), "increase"),
        ((1.0,), ("a", "b"), "increase"),
        ((float("nan"),), ("a", "b"), "increase"),
        ((0.5,), ("a",), "needs 2 names"),
        ((0.5,), ("a", "a"), "distinct"),
        ((0.5,), ("a", "all"), "distinct"),
    ],
)
def test_bad_bins_are_refused(
    edges: tuple[float, ...], names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        AccuracyBins(edges, names)
