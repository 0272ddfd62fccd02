"""Frames around lines, aligned zeros, ticks of short logarithmic axes."""

import pytest
from matplotlib.figure import Figure

from lit_entropy.figures.panels import align_zeros, frame_lines, plain_log_ticks


def test_frames_hold_the_lines_and_one_zero():
    first, second = Figure().subplots(1, 2)
    first.plot([0, 1], [1.0, 2.0])
    first.fill_between([0, 1], [-50, -50], [50, 50])
    second.plot([0, 1], [-3.0, 1.0])
    frame_lines(first)
    frame_lines(second)
    assert first.get_ylim() == pytest.approx((0.95, 2.05))
    align_zeros(first, second)
    for axes, (low, high) in ((first, (0.0, 2.05)), (second, (-3.2, 1.2))):
        bottom, top = axes.get_ylim()
        assert bottom <= low and top == pytest.approx(high)
        assert -bottom / (top - bottom) == pytest.approx(3.2 / 4.4)
    flat = Figure().subplots()
    flat.plot([4], [0.01])  # a margin of its own size, whatever the unit
    frame_lines(flat)
    assert flat.get_ylim() == pytest.approx((0.0095, 0.0105))
    third = Figure().subplots()
    third.plot([0, 1, 2], [1.0, 100.0, 0.0])
    third.set_yscale("log")
    frame_lines(third)  # zero has no place on it
    assert third.get_ylim() == pytest.approx((10**-0.1, 10**2.1))


@pytest.mark.parametrize(
    "limits, ticks",
    [
        ((0.04, 0.4), ["0.05", "0.1", "0.2"]),
        ((0.01, 10), ["0.01", "0.1", "1", "10"]),
        ((0.055, 0.42), ["0.07", "0.1", "0.2", "0.3"]),
        ((0.8, 4), ["1", "2", "3"]),
        ((20, 199), ["20", "30", "50", "70", "100"]),
        ((0.31, 0.36), ["0.32", "0.34", "0.36"]),
    ],
)
def test_log_ticks_are_plain_numbers(limits, ticks):
    axes = Figure().subplots()
    axes.set(yscale="log", ylim=limits)
    plain_log_ticks(axes.yaxis)
    inside = [at for at in axes.get_yticks() if limits[0] <= at <= limits[1]]
    assert [axes.yaxis.get_major_formatter()(at, 0) for at in inside] == ticks
