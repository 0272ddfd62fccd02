"""Entropy and covariance by position in the response, as inline SVG."""

from collections.abc import Sequence
from io import StringIO
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure

from lit_entropy.figures.style import GREEN, GREY, ORANGE, paper_figure

#: Without date, version or address of a tool: equal numbers give equal bytes.
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


class PositionProfile(NamedTuple):
    """Means by position; every sequence has one number a bin of positions.

    Attributes:
        positions: first position of the bin, counted from 1.
        entropy: mean entropy, nats.
        covariance: mean token covariance (eq. 10).
        share: share of the responses that are that long, in [0, 1].
    """

    positions: Sequence[int]
    entropy: Sequence[float]
    covariance: Sequence[float]
    share: Sequence[float]


def profile_figure(profile: PositionProfile) -> Figure:
    """Three panels over one axis of positions: entropy, covariance, share of responses."""
    with paper_figure(4.4, 3.6) as figure:
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
        series = (
            (profile.entropy, GREEN, "entropy\n(nats)"),
            (profile.covariance, ORANGE, "covariance\n(nats \N{MULTIPLICATION SIGN} A)"),
            (profile.share, GREY, "share of\nresponses"),
        )
        for panel, (values, colour, label) in zip(axes, series, strict=True):
            panel.plot(profile.positions, values, color=colour, drawstyle="steps-mid")
            panel.fill_between(
                profile.positions, values, color=colour, alpha=0.2, linewidth=0, step="mid"
            )
            panel.set_ylabel(label)
            panel.locator_params(axis="y", nbins=4)
        axes[0].set_ylim(0, None)
        axes[1].axhline(0.0, color=GREY, linewidth=0.6)
        axes[2].set(ylim=(0, 1.05), xlabel="position in the response (tokens)")
        figure.align_ylabels(axes)
    return figure


def inline_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element, the same bytes for the same figure."""
    buffer = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lit_entropy"}):
        figure.savefig(buffer, format="svg", metadata=NO_METADATA, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
