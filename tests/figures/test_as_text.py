"""Estimates and tables as text."""

import pytest

from lit_entropy.figures.as_text import markdown, percent, points, short, show, show_percent
from lit_entropy.figures.estimates import Estimate, estimate


def test_text():
    value = Estimate([], 0.79, 0.0448)
    assert show(value) == "0.790 ± 0.045"
    assert show(value, 1, signed=True) == "+0.8 ± 0.0"
    assert show(estimate([0.25])) == "0.250"
    assert show_percent(value) == "79.0 ± 4.5" and show_percent(None) == show(None)
    assert show(estimate([float("nan")])) == "n/a"
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_percent() -> None:
    assert percent(Estimate([], 0.943, 0.031)) == "94 ± 3 %"
    assert percent(Estimate([], -0.0125, 0.002), 1, signed=True) == "-1.2 ± 0.2 %"
    assert percent(estimate([0.5]), 1, signed=True) == "+50.0 %"
    assert percent(None) == points(None) == "n/a"
    assert points(Estimate([], 0.0181, 0.003)) == "+1.8 ± 0.3 points"
    assert points(estimate([-0.02])) == "-2.0 points"


@pytest.mark.parametrize(
    "count, text",
    [(24_600, "24.6 k"), (1_600_000, "1.6 M"), (7e9, "7 B"), (999, "999"), (106_368, "106 k")],
)
def test_parameters_are_printed_short(count, text):
    assert short(count) == text
