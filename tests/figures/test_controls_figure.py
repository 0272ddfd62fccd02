"""Controls: numbers by hand; what is drawn is what is measured."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.controls import COLOURS, SINGLE, figure_controls, measure_controls
from lit_entropy.figures.runs import Run

NAN = float("nan")
STEPS = 20


def control(label: str, seed: int = 0, level: float = 1.0, **changed: np.ndarray) -> Run:
    """Entropy level, 0.95 level, ...; covariance level / 10 and its negative in turn."""
    step = np.arange(STEPS + 1.0)
    entropy = level * (1 - 0.05 * (step - 1))
    history = {
        "entropy/token_mean": entropy,
        "cov/mean": 0.1 * level * (-1) ** step,
        "entropy/answer": 2 * entropy,
    }
    history = {key: np.where(step > 0, value, NAN) for key, value in history.items()}
    accuracy = np.where(step % 10 == 0, 0.5 + seed / 10 * step, NAN)
    columns = {"step": step, "val/accuracy": accuracy, **history}
    return Run(f"{label}-{seed}", label, seed, columns | changed)


def without(run: Run, key: str) -> Run:
    history = {name: value for name, value in run.history.items() if name != key}
    return Run(run.name, run.label, run.seed, history)


def test_numbers_by_hand() -> None:
    runs = [control("random rewards", 1, 3.0), control("random rewards", 0), control("GRPO", 0),
            control("random rewards", 2, 2.0)]  # fmt: skip
    measured = measure_controls(runs)
    assert list(measured) == ["GRPO", "random rewards"]  # in the order of the legend
    found = measured["random rewards"]
    assert found.seeds == [0, 1, 2]
    assert found.entropy_first.values == [1, 3, 2]
    # steps 17 to 20: 0.2, 0.15, 0.1, 0.05 of the level
    assert found.entropy_last.values == pytest.approx([0.125, 0.375, 0.25], rel=1e-12)
    assert found.answer_entropy_first.values == [2, 6, 4]
    assert found.answer_entropy_last.values == pytest.approx([0.25, 0.75, 0.5], rel=1e-12)
    assert found.accuracy_gain.values == pytest.approx([0, 2, 4], abs=1e-12)
    # 0, 2, 4: standard error 2 / sqrt 3, t of two degrees of freedom 4.30265
    assert found.accuracy_gain.half_width == pytest.approx(2 * 4.302652730 / 3**0.5, rel=1e-8)
    assert found.covariance.values == pytest.approx([0, 0, 0], abs=1e-15)
    assert found.penalty is None
    json.dumps(as_json(measured), allow_nan=False)


def test_the_penalty_is_the_largest_of_the_run_in_size() -> None:
    penalty = np.where(np.arange(STEPS + 1) == 3, -2e-8, 1e-9)
    runs = [
        control(SINGLE, 0, **{"policy/kl_selected": penalty}),
        control(SINGLE, 1, **{"policy/kl_selected": 2 * penalty}),
    ]
    assert measure_controls(runs)[SINGLE].penalty.values == [2e-8, 4e-8]
    # one run of two that does not log it leaves no penalty
    half = [runs[0], without(runs[1], "policy/kl_selected")]
    assert measure_controls(half)[SINGLE].penalty is None


def test_answers_need_not_be_logged() -> None:
    found = measure_controls([without(control("shuffled advantages"), "entropy/answer")])
    assert found["shuffled advantages"].answer_entropy_first is None
    assert found["shuffled advantages"].answer_entropy_last is None


def test_what_is_drawn_is_what_is_measured() -> None:
    labels = list(COLOURS)
    runs = [control(label, seed, 1 + seed) for label in labels for seed in range(3)]
    panels = figure_controls(runs).axes
    assert len(panels) == 3
    assert [panel.get_ylabel().split(" (")[0].split(",")[0] for panel in panels] == [
        "entropy", "covariance", "held-out accuracy",
    ]  # fmt: skip
    for panel in panels:
        assert panel.get_xlabel() == "RL step"
        thick = {
            line.get_label(): line for line in panel.lines if not line.get_label().startswith("_")
        }
        assert list(thick) == labels
        for label, line in thick.items():
            assert to_rgb(line.get_color()) == to_rgb(COLOURS[label])
        assert len(panel.collections) == 4  # a band each
    entropy = next(line for line in panels[0].lines if line.get_label() == SINGLE)
    np.testing.assert_allclose(entropy.get_ydata(), 2 * (1 - 0.05 * np.arange(STEPS)))
    covariance = next(line for line in panels[1].lines if line.get_label() == SINGLE)
    # the mean over three rows of a covariance that changes its sign: a third of it
    inner = covariance.get_ydata()[1:-1]
    np.testing.assert_allclose(np.abs(inner), 0.2 / 3, rtol=1e-12)
    assert "mean over 3" in panels[1].get_ylabel()
    zero = [line for line in panels[1].lines if set(line.get_ydata()) == {0.0}]
    assert len(zero) == 1


def test_other_labels_are_left_out() -> None:
    runs = [control("random rewards"), control("KL-Cov")]
    assert list(measure_controls(runs)) == ["random rewards"]
    (label,) = (
        line.get_label()
        for line in figure_controls(runs).axes[0].lines
        if not line.get_label().startswith("_")
    )
    assert label == "random rewards (1 seed)"


@pytest.mark.parametrize("function", [measure_controls, figure_controls])
def test_what_is_missing_is_named(function) -> None:
    with pytest.raises(ValueError, match=r"no run has one of the labels \['random rewards', "):
        function([control("GRPO")])  # the baseline alone is no control
    for key in ("entropy/token_mean", "cov/mean", "val/accuracy"):
        with pytest.raises(ValueError, match=f"'random rewards-0'.*'{key}'"):
            function([without(control("random rewards"), key)])
