"""Strategy discovery and the figure at a glance: numbers by hand, panels, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from method_runs import NAN, flat_run, without

from lit_entropy.figures.discovery import figure_discovery, measure_discovery
from lit_entropy.figures.front import figure_front, measure_front
from lit_entropy.figures.methods import METHODS
from lit_entropy.figures.runs import Run

STEPS = 20
#: Final accuracy, and the share of contexts found after the last RL step.
FINAL = {
    "GRPO": (0.5, 0.2),
    "clip-higher": (0.6, 0.4),
    "Clip-Cov": (0.9, 1.0),
    "KL-Cov": (0.7, 0.6),
}


def run_of(label: str, seed: int) -> Run:
    """Accuracy and contexts found rise on straight lines; Lemma 1 says 0.9 of what happens."""
    accuracy, found = FINAL[label]
    run = flat_run(label, seed, 0.1, accuracy + 0.01 * seed, steps=STEPS)
    step_N = run.history["step"]
    after = step_N > 0
    realised_N = np.where(step_N % 5 == 1, -1e-3 * (21 - step_N), NAN)
    run.history.update(
        {
            "strategies/found": np.where(after, found * step_N / STEPS, NAN),
            "strategies/effective": np.where(after, 2.0, NAN),
            "dynamics/fixed/lemma1": 0.9 * realised_N,
            "dynamics/own/lemma1": realised_N,
            "dynamics/own/theorem1_state": 10 * realised_N,
            "dynamics/own/theorem2_state": 10 * realised_N,
            **{f"dynamics/{states}/delta": realised_N for states in ("fixed", "own", "on_policy")},
        }
    )
    return run


RUNS = [run_of(label, seed) for label in FINAL for seed in range(3)]


def test_discoveries_by_hand() -> None:
    methods = measure_discovery(RUNS).methods
    assert list(methods) == list(METHODS)
    clip = methods["Clip-Cov"]
    # validations at 18 and 20 in the last fifth; contexts found at RL steps 17 to 20
    assert clip.levels.accuracy.values == pytest.approx([0.95 * (0.9 + 0.01 * s) for s in range(3)])
    assert clip.over_clip_higher is not None
    assert clip.over_clip_higher.values == pytest.approx([0.95 * 0.3] * 3)
    assert clip.found.mean == pytest.approx(18.5 / 20)
    assert clip.found_gain is not None and clip.found_gain.mean == pytest.approx(0.8 * 18.5 / 20)
    # a tenth of the run is RL step 2
    assert clip.early_gain is not None and clip.early_gain.mean == pytest.approx(0.1 * 0.4)
    assert clip.discovery_step is not None and clip.discovery_step.mean == 10
    assert methods["KL-Cov"].discovery_step.mean == 17  # 0.6 k / 20 >= 0.5
    assert methods["GRPO"].discovery_step is None  # never half of them


def test_four_panels_of_all_methods() -> None:
    figure = figure_discovery(RUNS)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "entropy, token mean (nats)", "held-out accuracy (greedy)",
        "contexts whose true strategy leads", "strategies still tried",
    ]  # fmt: skip
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == list(FINAL)


def test_a_glance_has_levels_and_the_match() -> None:
    glance = measure_front(RUNS)
    assert glance.levels["KL-Cov"].accuracy_gain.mean == pytest.approx(0.95 * 0.2)
    match = glance.matches["GRPO"]["lemma1_fixed"]
    # realised on predicted is 1 / 0.9
    assert match.slope.mean == pytest.approx(1 / 0.9) and match.r2.mean == pytest.approx(1.0)
    assert match.points == 12  # RL steps 1, 6, 11, 16 of three seeds
    figure = figure_front(RUNS)
    assert len(figure.axes) == 3
    notes = [text.get_text() for text in figure.axes[2].texts]
    assert notes == ["slope 1.11, $R^2$ 1.00"] * 4


def test_a_glance_needs_what_it_shows() -> None:
    with pytest.raises(ValueError, match=r"no run has label \['KL-Cov'\]"):
        measure_front([run for run in RUNS if run.label != "KL-Cov"])
    with pytest.raises(ValueError, match="train it with the callback EntropyDynamics"):
        measure_front([without(run, "dynamics/fixed/lemma1") for run in RUNS])
