"""Fig. 8 and the figure of realised against predicted change: numbers, scales and errors."""

import json
from dataclasses import replace

import numpy as np
import pytest
from method_runs import NAN, without

from lit_entropy.figures.as_json import as_json
from lit_entropy.figures.covariances import FALL, bin_means, correlation, slope_window, with_fall
from lit_entropy.figures.dynamics import figure_8, measure_8
from lit_entropy.figures.matches import MATCHES, ExactAgreement, measure_dynamics
from lit_entropy.figures.matching import dynamics_table, figure_dynamics
from lit_entropy.figures.runs import Run

STEPS = 40
BANDIT = "dynamics/bandit_covariance"


def pg_run(seed: int = 0, shift: float = 0.0) -> Run:
    """Entropy 0.5 - 0.01 k + 0.0001 k^2; covariance 5 times its fall; bins 0.02, 0.04, 0.06."""
    k = np.arange(STEPS + 1.0)
    fall = 0.01 - 2e-4 * k
    numbers = {
        "step": k,
        "entropy/token_mean": np.where(k > 0, 0.5 - 0.01 * k + 1e-4 * k**2, NAN),
        BANDIT: np.where(k > 0, 5 * fall + shift, NAN),
    }
    for factor, name in enumerate(("low", "middle", "high"), start=1):
        numbers[f"{BANDIT}/{name}"] = np.where(k > factor, factor * (0.02 + shift), NAN)
    return Run(f"pg-{seed}", "policy gradient", seed, numbers)


def test_slope_is_that_of_the_local_line():
    run = with_fall(pg_run())
    window = slope_window(run)
    assert window == 11  # twice the mean's window of 5, plus 1
    # in the middle of a window a parabola's line has the parabola's own slope
    inside = slice(1 + window // 2, STEPS + 1 - window // 2)
    k = run.history["step"][inside]
    np.testing.assert_allclose(run.history[FALL][inside], 0.01 - 2e-4 * k, rtol=1e-9)
    # at the ends it is the slope of the outermost line, and there is none without an entropy
    np.testing.assert_allclose(run.history[FALL][1:6], 0.01 - 2e-4 * 6, rtol=1e-9)
    assert np.isnan(run.history[FALL][0])


def test_measures_by_hand():
    measured = measure_8([pg_run(0), pg_run(1, shift=0.01)])
    assert measured.seeds == [0, 1]
    assert (measured.mean_window, measured.slope_window) == (5, 11)
    assert measured.step == list(range(6, STEPS - 4))  # where a window of 11 fits
    assert measured.minus_delta == pytest.approx([0.01 - 2e-4 * k for k in measured.step])
    assert measured.covariance_step == list(range(1, STEPS + 1))
    # means of 5 (0.01 - 2e-4 k) over steps 1 to 8 and 33 to 40, plus the shift of seed 1
    first, last = 5 * (0.01 - 2e-4 * 4.5), 5 * (0.01 - 2e-4 * 36.5)
    assert measured.covariance_first.values == pytest.approx([first, first + 0.01])
    assert measured.covariance_last.values == pytest.approx([last, last + 0.01])
    assert measured.by_accuracy["middle"].values == pytest.approx([0.04, 0.06])
    steps = measured.middle_minus_low, measured.high_minus_middle
    assert [each.seeds for each in steps] == [[0, 1]] * 2
    assert sum(np.array(each.values) for each in steps) == pytest.approx([0.04, 0.06])
    assert measured.positive_share.values == [1.0, 1.0]
    assert measured.ordered == 1.0
    assert measured.correlation.mean > 0.97  # both fall on straight lines, but at the ends
    json.dumps(as_json(measured), allow_nan=False)


def test_correlation_is_none_for_a_constant():
    run = with_fall(pg_run())
    constant = replace(run, history={**run.history, BANDIT: np.full(STEPS + 1, 0.1)})
    assert correlation(constant) is None
    assert measure_8([replace(constant, history={**constant.history})]).correlation is None
    both = np.isfinite(run.history[FALL])
    expected = np.corrcoef(run.history[FALL][both], run.history[BANDIT][both])[0, 1]
    assert correlation(run) == pytest.approx(expected)


def test_bins_are_compared_at_the_steps_that_have_all():
    run = pg_run()
    numbers = dict(run.history)
    numbers[f"{BANDIT}/low"] = np.where(numbers["step"] <= 10, 100.0, 0.02)  # high begins at 4
    means = bin_means(replace(run, history=numbers))
    assert means["low"] == pytest.approx((7 * 100 + 30 * 0.02) / 37)
    numbers[f"{BANDIT}/low"] = np.where(numbers["step"] <= 2, 0.02, NAN)
    with pytest.raises(ValueError, match=r"no RL step with all of .*low, middle, high"):
        bin_means(replace(run, history=numbers))


def test_figure_8_draws_the_numbers_on_aligned_scales():
    runs = [pg_run(0), pg_run(1, shift=0.01), pg_run(2)]
    left, right, other = figure_8(runs).axes
    measured = measure_8(runs)
    fall = next(line for line in left.lines if "Delta H" in str(line.get_label()))
    np.testing.assert_allclose(fall.get_ydata(), measured.minus_delta)
    # the flat ends of the outermost windows are no data
    assert fall.get_xdata().tolist() == list(range(6, STEPS - 4))
    covariance = next(line for line in other.lines if line.get_label() == "covariance")
    np.testing.assert_allclose(covariance.get_ydata(), measured.covariance)
    zeros = [axes.transData.transform((0, 0))[1] for axes in (left, other)]
    assert zeros[0] == pytest.approx(zeros[1])
    assert "slope over 11" in left.get_xlabel() and "mean over 5" in left.get_xlabel()
    assert "nats" in left.get_ylabel() and "nats" in other.get_ylabel()
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        r"$\leq$ 1/3", r"$\leq$ 2/3", "< 1",
    ]  # fmt: skip
    assert "responses" in right.get_ylabel()


@pytest.mark.parametrize("key", ["entropy/token_mean", BANDIT, f"{BANDIT}/high"])
def test_figure_8_names_what_is_missing(key):
    with pytest.raises(ValueError, match=f"pg-0.*{key}"):
        figure_8([without(pg_run(), key)])
    with pytest.raises(ValueError, match="policy gradient"):
        measure_8([replace(pg_run(), label="GRPO")])


def test_a_gap_and_a_short_run_are_refused():
    run = pg_run()
    entropy = run.history["entropy/token_mean"].copy()
    entropy[20] = NAN
    with pytest.raises(ValueError, match=r"at 39 RL steps, 1 to 40, with gaps.*at every RL step$"):
        with_fall(replace(run, history={**run.history, "entropy/token_mean": entropy}))
    with pytest.raises(ValueError, match=r"at 5 RL steps, 1 to 5, and .* 7: train for 7 RL steps"):
        with_fall(replace(run, history={k: v[:6] for k, v in run.history.items()}))
    # of a run that is one window there is one slope
    shortest = replace(run, history={k: v[:8] for k, v in run.history.items()})
    line = figure_8([shortest]).axes[0].lines[0]
    assert line.get_xdata().tolist() == [4] and line.get_marker() == "o"


def dynamics_run(label: str, seed: int = 0, error: float = 0.0) -> Run:
    """Every fifth step: realised = Lemma 1 (+- error) = 0.1 of Theorem 2 = -0.5 of Theorem 1."""
    k = np.arange(31.0)
    measured = (k % 5 == 1) & (k < 30)
    change = np.where(measured, -0.001 * (k + 4), NAN)
    realised = change * (1 + error * np.where(k % 10 == 1, 1, -1))
    numbers = {"step": k, "dynamics/fixed/lemma1": 2 * change, "dynamics/fixed/delta": 2 * realised}
    numbers |= {"dynamics/own/lemma1": change, "dynamics/own/delta": realised}
    numbers |= {
        "dynamics/own/theorem1_state": -2 * change,
        "dynamics/own/theorem2_state": 10 * change,
    }
    numbers["dynamics/on_policy/delta"] = 1.5 * realised
    return Run(f"{label}-{seed}", label, seed, numbers)


def test_agreement_by_hand():
    measured = measure_dynamics([dynamics_run("GRPO"), dynamics_run("KL-Cov", error=0.2)])
    exact, off = measured["GRPO"], measured["KL-Cov"]
    assert [match.name for match in MATCHES] == list(exact)
    assert exact["lemma1_own"].points == 6
    slopes = {name: numbers.slope.mean for name, numbers in exact.items()}
    assert slopes == pytest.approx({
        "lemma1_fixed": 1.0, "lemma1_own": 1.0, "lemma1_on_policy": 1.5,
        "theorem1_own": -0.5, "theorem2_own": 0.1, "theorem2_on_policy": 0.15,
    })  # fmt: skip
    assert exact["lemma1_own"].relative_error.mean == pytest.approx(0.0, abs=1e-12)
    assert exact["theorem1_own"].sign_agreement.mean == 0.0
    # R² knows no sign
    assert exact["theorem1_own"].r2.mean == pytest.approx(1.0)
    assert {name: match.opposed for name, match in exact.items() if match.opposed} == {
        "theorem1_own": 1
    }
    assert dynamics_table(measured)[0].rows[6][3:5] == ["-0.50", "1.00 (1 of 1 opposed)"]
    assert {name for name, match in exact.items() if isinstance(match, ExactAgreement)} == {
        "lemma1_fixed", "lemma1_own", "lemma1_on_policy",
    }  # fmt: skip
    # predictions 5, 10, ..., 30 (times -1e-3), realised 1.2, 0.8, 1.2, ... of them
    predicted = 5.0 * np.arange(1, 7)
    realised = predicted * np.array([1.2, 0.8] * 3)
    error = np.linalg.norm(predicted - realised) / np.linalg.norm(realised)
    assert off["lemma1_own"].relative_error.mean == pytest.approx(error)
    r2 = np.corrcoef(predicted, realised)[0, 1] ** 2
    assert off["lemma1_fixed"].r2.mean == pytest.approx(r2)
    json.dumps(as_json(measured), allow_nan=False)


def test_seeds_are_averaged_and_two_points_have_no_r2():
    both = measure_dynamics([dynamics_run("GRPO"), dynamics_run("GRPO", 1)])["GRPO"]
    assert both["lemma1_own"].points == 12 and len(both["lemma1_own"].slope.values) == 2
    run = dynamics_run("GRPO")
    short = replace(run, history={key: value[:7] for key, value in run.history.items()})
    assert measure_dynamics([short])["GRPO"]["lemma1_own"].r2 is None
    assert "R^2" not in figure_dynamics([short]).axes[1].texts[0].get_text()


def test_dynamics_figure():
    figure = figure_dynamics([dynamics_run("GRPO"), dynamics_run("KL-Cov", error=0.2)])
    assert [axes.get_title() for axes in figure.axes] == [match.title for match in MATCHES]
    own, theorem2 = figure.axes[1], figure.axes[4]
    np.testing.assert_allclose(own.collections[0].get_offsets()[0], [-5.0, -5.0])  # 10^-3 nats
    np.testing.assert_allclose(theorem2.collections[0].get_offsets()[0], [-0.05, -5.0])
    assert "10^{-3}" in own.get_xlabel() and "unit step" in theorem2.get_xlabel()
    assert own.texts[0].get_text() == "slope 1.00, $R^2$ 1.00"
    against = figure.axes[3].texts[0].get_text()
    assert against == "slope -0.50, $R^2$ 1.00 (1 of 1 opposed)"
    assert theorem2.lines[0].get_slope() == pytest.approx(100.0)  # 0.1, in 10^-3 nats a nat
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "GRPO", "KL-Cov", "equal", "GRPO, fitted slope", "KL-Cov, fitted slope",
    ]  # fmt: skip


@pytest.mark.parametrize("match", MATCHES, ids=lambda match: match.name)
def test_dynamics_figure_names_what_is_missing(match):
    for key in (match.predicted, match.realised):
        with pytest.raises(ValueError, match=f"GRPO-0.*{key}.*EntropyDynamics"):
            figure_dynamics([without(dynamics_run("GRPO"), key)])


def test_no_runs():
    with pytest.raises(ValueError, match="no runs"):
        measure_dynamics([])
