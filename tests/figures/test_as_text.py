"""Estimates and tables as text."""

from lit_entropy.figures.as_text import markdown, show, show_percent
from lit_entropy.figures.estimates import estimate


def test_text():
    value = {"values": [], "mean": 0.79, "half_width": 0.0448}
    assert show(value) == "0.790 ± 0.045"
    assert show(value, 1, signed=True) == "+0.8 ± 0.0"
    assert show(estimate([0.25])) == "0.250"
    assert show_percent(value) == "79.0 ± 4.5" and show_percent(None) == show(None)
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
