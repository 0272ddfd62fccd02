"""The drawing of means by position."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from lit_entropy.figures.position_profile import PositionProfile, inline_svg, profile_figure

PROFILE = PositionProfile([1, 2, 3], [0.5, 0.25, 0.75], [0.1, -0.2, 0.3], [1.0, 0.5, 0.25])


def test_the_lines_show_the_numbers() -> None:
    figure = profile_figure(PROFILE)
    for panel, values in zip(figure.axes, PROFILE[1:], strict=True):
        line = panel.get_lines()[0]
        np.testing.assert_array_equal(line.get_xdata(), PROFILE.positions)
        np.testing.assert_array_equal(line.get_ydata(), values)
    labels = [panel.get_ylabel().split("\n")[0] for panel in figure.axes]
    assert labels == ["entropy", "covariance", "share of"]
    assert figure.axes[-1].get_xlabel() == "position in the response (tokens)"


def test_the_svg_is_the_same_each_time_and_one_element() -> None:
    svg = inline_svg(profile_figure(PROFILE))
    assert svg == inline_svg(profile_figure(PROFILE))
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>")
    assert "<metadata" not in svg and "<script" not in svg and len(svg) < 40_000
    other = inline_svg(profile_figure(PROFILE._replace(entropy=[0.5, 0.26, 0.75])))
    assert other != svg
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.feed(svg)
    assert "position in the response (tokens)" in "".join(seen)


def test_positions_without_tokens_leave_a_gap() -> None:
    svg = inline_svg(profile_figure(PROFILE._replace(entropy=[0.5, float("nan"), 0.75])))
    assert "nan" not in svg.lower()
