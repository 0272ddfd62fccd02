"""The plot of a validation shows the report's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_reports import greedy, records, report, sampled

from lit_entropy.evaluation.report.figure import evaluation_figure
from lit_entropy.figures.style import save

BASE = records(("rrww", "wwww", "rwww"), "rwww")
BETTER = records(("rrrw", "rwww", "rrrw"), "rrww")


def line(axes: Any, label: str) -> Any:
    return next(found for found in axes.lines if found.get_label() == label)


def test_curves_and_points_are_the_reports_numbers() -> None:
    found = report(base=BASE, better=BETTER)
    figure = evaluation_figure(found)
    passed, covered, accuracy = figure.axes
    assert passed.get_title() == "aime" and passed.get_xlabel() == "k (samples)"
    for policy in found.policies:
        points = policy.sets["aime"].pass_curve
        drawn = line(passed, policy.name)
        np.testing.assert_array_equal(drawn.get_xdata(), [1, 2, 4])
        np.testing.assert_allclose(drawn.get_ydata(), [100 * p.score.mean for p in points])
    # Cover starts at pass@n and steps down
    steps = covered.lines[0]
    np.testing.assert_allclose(steps.get_xdata(), [0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(steps.get_ydata(), [200 / 3, 200 / 3, 100 / 3, 0, 0])
    assert steps.get_drawstyle() == "steps-pre"
    assert [tick.get_text() for tick in accuracy.get_xticklabels()] == ["math"]
    heights = [container.lines[0].get_ydata()[0] for container in accuracy.containers]
    assert heights == [25.0, 50.0]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["base", "better", "maj@k", "surely covered", "95 % t interval over problems"]


def test_the_bands_are_95_percent_intervals() -> None:
    found = report(base=BASE)
    (band,) = evaluation_figure(found).axes[0].collections
    (point,) = [p for p in found.policies[0].sets["aime"].pass_curve if p.k == 2]
    at_two = [y for x, y in band.get_paths()[0].vertices if x == 2]
    score = point.score
    assert score.mean is not None and score.se is not None
    half = 4.302652730 * score.se  # t of three problems
    expected = [100 * (score.mean - half), 100 * (score.mean + half)]
    assert [min(at_two), max(at_two)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("made", "panels"),
    [
        ([sampled(0, "rw"), sampled(1, "rr")], 2),  # one set: side by side, no title
        ([greedy(0, "r"), greedy(1, "w")], 1),  # nothing sampled
        ([sampled(0, "r")], 2),  # one problem, one sample: no standard errors
        ([sampled(0, "??")], 1),  # nothing could be checked
        ([sampled(i, "rw", source) for source in "abcdef" for i in range(2)], 12),
    ],
)
def test_every_kind_of_report_is_drawn(tmp_path: Path, made: Any, panels: int) -> None:
    figure = evaluation_figure(report(base=made))
    assert len(figure.axes) == panels
    png, pdf = save(figure, tmp_path / "validation")
    assert png.stat().st_size > 2000 and pdf.stat().st_size > 2000
