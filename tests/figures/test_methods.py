"""Fig. 11: levels, ratios and matched compute of the four methods."""

import json
from dataclasses import replace

import numpy as np
import pytest
from method_runs import flat_run, without

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.matched import generated_tokens
from lit_entropy.figures.methods import METHODS, figure_11, measure_11
from lit_entropy.figures.style import METHOD_COLOURS

ENTROPY = {"GRPO": 0.1, "clip-higher": 0.2, "Clip-Cov": 0.3, "KL-Cov": 1.0}


def runs(seeds: int = 2, length: dict[str, float] | None = None):
    return [
        flat_run(
            label, seed, entropy * (1 + 0.5 * seed), 0.8 - 0.1 * index,
            length=(length or {}).get(label, 10.0),
        )
        for index, (label, entropy) in enumerate(ENTROPY.items())
        for seed in range(seeds)
    ]  # fmt: skip


def test_levels_by_hand():
    methods = measure_11(runs()).methods
    assert list(methods) == list(METHODS)
    kl = methods["KL-Cov"]
    assert kl.seeds == [0, 1]
    assert kl.entropy_plateau.mean == pytest.approx(1.25)
    assert kl.entropy_ratio.values == pytest.approx([10.0, 10.0])
    assert methods["GRPO"].entropy_ratio.values == [1.0, 1.0]
    # 20 steps, validated at 18 and 20 in the last fifth, at 8, 10 and 12 around the middle
    assert kl.accuracy.mean == pytest.approx(0.5 * 0.95)
    assert kl.late_change.mean == pytest.approx(0.5 * 0.45)
    assert kl.accuracy_gain.values == pytest.approx([-0.3 * 0.95] * 2)
    assert kl.entropy_gain.values == pytest.approx([0.9, 1.35])
    assert kl.length_gain.mean == 0.0


def test_tokens_are_length_times_groups_times_samples():
    run = flat_run("GRPO", 0, 0.1, 0.8)
    tokens_N, accuracy_N = generated_tokens(run)
    # 10 tokens x 4 groups x 8 samples = 320 an RL step, validated every second
    np.testing.assert_allclose(tokens_N, 640 * np.arange(11.0))
    np.testing.assert_allclose(accuracy_N, 0.08 * np.arange(11.0))


def test_equal_compute_is_read_between_validations():
    measured = measure_11(runs(length={"KL-Cov": 5.0, "Clip-Cov": 20.0}))
    matched = measured.matched
    assert matched.tokens == 20 * 160.0 and measured.matched_missing is None
    # GRPO is half through, Clip-Cov a quarter, KL-Cov all the way; all lines are straight
    assert matched.accuracy["GRPO"].mean == pytest.approx(0.4)
    assert matched.accuracy["Clip-Cov"].mean == pytest.approx(0.15)
    assert matched.accuracy["KL-Cov"].mean == pytest.approx(0.5)
    assert matched.accuracy_gain["KL-Cov"].values == pytest.approx([0.1, 0.1])


def test_runs_of_one_name_keep_their_own_numbers():
    """Folders of groups, `grpo/seed0` and `kl_cov/seed0`, give names that are not unique."""
    same = [replace(run, name=f"seed{run.seed}") for run in runs(length={"KL-Cov": 5.0})]
    found, expected = measure_11(same).matched, measure_11(runs(length={"KL-Cov": 5.0})).matched
    assert found == expected and found.accuracy_gain["KL-Cov"].mean == pytest.approx(0.1)


def test_figure_draws_the_numbers_in_the_colours_of_the_methods():
    figure = figure_11(runs())
    entropy, length, accuracy, compute = figure.axes
    means = {
        line.get_label(): line for line in entropy.lines if line.get_label().endswith(" seeds)")
    }
    assert list(means) == [f"{label} (2 seeds)" for label in METHODS]
    for label, line in zip(METHODS, means.values(), strict=True):
        assert line.get_color() == METHOD_COLOURS[label]
        np.testing.assert_allclose(line.get_ydata(), 1.25 * ENTROPY[label])
    assert "nats" in entropy.get_ylabel() and "tokens" in length.get_ylabel()
    assert "greedy" in accuracy.get_ylabel() and "tokens" in compute.get_xlabel()
    assert "running mean of 3 RL steps" in entropy.get_title(loc="left")
    assert entropy.get_ylim()[0] == 0.0
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == list(means)
    # the dashed line stands at the budget, in thousands for so few
    assert compute.lines[-1].get_xdata()[0] == pytest.approx(6.4)
    assert "10^3" in compute.get_xlabel()


def test_figure_says_why_compute_is_not_matched():
    measured = [*runs()[1:], without(runs()[0], "rollout/groups")]
    assert measure_11(measured).matched is None
    text = figure_11(measured).axes[3].texts[0].get_text()
    assert "rollout/groups" in text and "GRPO-None-0" in text


def test_numbers_are_json():
    json.dumps(as_json(measure_11(runs())), allow_nan=False)
    one = measure_11(runs(seeds=1))
    assert one.methods["GRPO"].accuracy.half_width is None


@pytest.mark.parametrize("key", ["entropy/token_mean", "rollout/length", "val/accuracy"])
def test_missing_keys_are_named(key):
    with pytest.raises(ValueError, match=f"KL-Cov-None-1.*{key}"):
        figure_11([*runs()[:-1], without(runs()[-1], key)])


def test_missing_methods_are_named():
    with pytest.raises(ValueError, match=r"\['clip-higher'\]"):
        figure_11([run for run in runs() if run.label != "clip-higher"])
