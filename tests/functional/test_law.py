"""The fit of R = -a exp(H) + b and the pairing of its points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import linregress

from lit_entropy.functional.law import LawFit, fit, has_spread, line, pairs

NAN = math.nan
ENTROPIES = st.lists(st.floats(0, 5), min_size=3, max_size=30)


def test_hand_values() -> None:
    # exp(H) = 1, 2, 3 and R = 0.9, 0.5, 0.4: slope -0.5 / 2, mean 0.6, residuals 1, -2, 1 / 20
    law = fit(np.log([1.0, 2.0, 3.0]), [0.9, 0.5, 0.4])
    squares = (0.05**2 + 0.1**2 + 0.05**2) / (0.3**2 + 0.1**2 + 0.2**2)
    expected = LawFit(0.25, 1.1, 0.85, 1 - squares, math.sqrt(0.015 / 3), 3)
    assert list(law) == pytest.approx(list(expected), rel=1e-12)
    assert law.predict([0.0, math.log(4)]) == pytest.approx([0.85, 0.1], rel=1e-12)


@given(ENTROPIES, st.floats(-2, 2), st.floats(-2, 2))
def test_a_curve_without_noise_is_recovered(entropies: list[float], a: float, b: float) -> None:
    assume(np.ptp(entropies) > 0.05)
    entropy_N = np.array(entropies)
    law = fit(entropy_N, b - a * np.exp(entropy_N))
    # rounding of R, up to 2 + 2 exp(5), over the smallest spread
    assert law.a == pytest.approx(a, abs=1e-10)
    assert law.b == pytest.approx(b, abs=1e-9)
    assert law.ceiling == pytest.approx(b - a, abs=1e-9)
    assert law.rmse < 1e-12


@given(ENTROPIES, st.randoms(use_true_random=False))
def test_two_other_routes_agree(entropies: list[float], random: object) -> None:
    assume(np.ptp(entropies) > 0.05)
    entropy_N = np.array(entropies)
    accuracy_N = np.array([random.random() for _ in entropies])  # type: ignore[attr-defined]
    assume(np.ptp(accuracy_N) > 0.05)
    law = fit(entropy_N, accuracy_N)
    slope, intercept = np.polyfit(np.exp(entropy_N), accuracy_N, 1)
    assert (-law.a, law.b) == pytest.approx((slope, intercept), abs=1e-8)
    other = linregress(np.exp(entropy_N), accuracy_N)
    assert (-law.a, law.b) == pytest.approx((other.slope, other.intercept), abs=1e-8)
    assert law.r2 == pytest.approx(other.rvalue**2, abs=1e-8)
    residual_N = accuracy_N - law.predict(entropy_N)
    assert law.rmse == pytest.approx(np.sqrt(np.mean(residual_N**2)), rel=1e-9)
    assert residual_N.sum() == pytest.approx(0, abs=1e-9)


@given(ENTROPIES, st.randoms(use_true_random=False))
def test_order_scale_and_shift(entropies: list[float], random: object) -> None:
    assume(np.ptp(entropies) > 0.05)
    accuracies = [random.random() for _ in entropies]  # type: ignore[attr-defined]
    assume(np.ptp(accuracies) > 0.05)
    law = fit(entropies, accuracies)
    order = list(range(len(entropies)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = fit([entropies[i] for i in order], [accuracies[i] for i in order])
    assert list(shuffled) == pytest.approx(list(law), rel=1e-7, abs=1e-8)
    scaled = fit(entropies, [3 * value + 0.5 for value in accuracies])
    assert (scaled.a, scaled.b) == pytest.approx((3 * law.a, 3 * law.b + 0.5), abs=1e-7)
    assert scaled.r2 == pytest.approx(law.r2, abs=1e-8)
    # a shift of all entropies is a factor of exp(H)
    shifted = fit([value + 1 for value in entropies], accuracies)
    assert (shifted.a * math.e, shifted.b) == pytest.approx((law.a, law.b), abs=1e-7)


def test_collapsed_entropies_keep_their_digits() -> None:
    entropy_N = np.array([1e-9, 2e-9, 4e-9])  # exp(H) - 1 by subtraction would keep seven digits
    law = fit(entropy_N, 0.75 - 1e6 * np.expm1(entropy_N))
    assert law.ceiling == pytest.approx(0.75, rel=1e-14)
    assert law.a == pytest.approx(1e6, rel=1e-12)


def test_a_constant_accuracy_has_no_r2() -> None:
    law = fit([0.1, 0.2, 0.4], [0.5, 0.5, 0.5])
    assert (law.a, law.b, law.ceiling, law.rmse) == (0.0, 0.5, 0.5, 0.0)
    assert math.isnan(law.r2) and math.copysign(1, law.a) == 1


@pytest.mark.parametrize(
    ("entropies", "accuracies", "message"),
    [
        ([0.1, 0.2], [0.5, 0.6], "at least 3 pairs of entropy and accuracy, got 2"),
        ([0.1, 0.2, 0.3], [0.5, 0.6], r"\(3,\) and accuracy_N \(2,\)"),
        ([[0.1, 0.2, 0.3]], [[0.5, 0.6, 0.7]], "two vectors"),
        ([0.1, NAN, 0.3], [0.5, 0.6, 0.7], "NaN or infinity"),
        ([0.1, 0.2, 0.3], [0.5, math.inf, 0.7], "NaN or infinity"),
        ([0.1, 0.1, 0.1], [0.5, 0.6, 0.7], "all 3 entropies are 0.1 nats"),
    ],
)
def test_no_fit_is_refused(entropies: list, accuracies: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(entropies, accuracies)


def test_spread() -> None:
    assert has_spread([0.0, 1e-9, 0.0]) and has_spread([0.1, 0.1 + 1e-9])
    assert not has_spread([0.0, 0.0]) and not has_spread([0.1, 0.1 + 1e-16])


def test_line_by_hand() -> None:
    assert line(np.array([0.0, 2.0]), np.array([1.0, 5.0])) == (1.0, 2.0)


def history() -> dict[str, np.ndarray]:
    """Row k: the rollout before, the validation after step k; row 0 is the base, 3 was lost."""
    return {
        "step": np.array([0.0, 1.0, 2.0, 4.0, 5.0]),
        "entropy/token_mean": np.array([NAN, 0.5, 0.4, 0.2, 0.1]),
        "rollout/accuracy": np.array([NAN, 0.31, 0.42, 0.64, 0.75]),
        "val/accuracy": np.array([0.3, 0.4, 0.5, NAN, 0.7]),
    }


def test_a_validation_goes_with_the_next_rollout() -> None:
    found = pairs(history())
    # 0 -> row 1, 1 -> row 2; row 3 is missing, row 4 has no validation, nothing follows row 5
    assert [column.tolist() for column in found] == [[0, 1], [0.5, 0.4], [0.3, 0.4]]


def test_metrics_of_one_rollout_go_together() -> None:
    found = pairs(history(), "rollout/accuracy", offset=0)
    assert found.step_N.tolist() == [1, 2, 4, 5]
    assert found.entropy_N.tolist() == [0.5, 0.4, 0.2, 0.1]
    assert found.accuracy_N.tolist() == [0.31, 0.42, 0.64, 0.75]


def test_rows_in_any_order_and_another_name_of_the_step() -> None:
    order = [3, 0, 4, 2, 1]
    shuffled = {key: column[order] for key, column in history().items()}
    shuffled["_step"] = shuffled.pop("step")
    for one, two in zip(pairs(shuffled, step="_step"), pairs(history()), strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_pair_is_no_error_but_a_missing_column_is() -> None:
    empty = pairs({**history(), "val/accuracy": np.full(5, NAN)})
    assert [column.shape for column in empty] == [(0,)] * 3
    with pytest.raises(ValueError, match=r"no column \['val/x'\].*'entropy/token_mean'"):
        pairs(history(), "val/x")
    with pytest.raises(ValueError, match="repeats an RL step"):
        pairs({**history(), "step": np.array([0.0, 1.0, 1.0, 2.0, 3.0])})


@pytest.mark.parametrize("right", [7, 13, 23])
@pytest.mark.parametrize("count", [7, 11, 20])
def test_an_accuracy_that_stands_still_has_no_slope(right: int, count: int) -> None:
    """The mean of seven times 7/300 is not 7/300."""
    law = fit(np.linspace(1.1, 0.1, count), np.full(count, right / 300))
    assert (law.a, law.b, law.ceiling, law.rmse) == (0.0, right / 300, right / 300, 0.0)
    assert math.isnan(law.r2)
    assert math.isnan(fit([1, 0.5, 0.2], [0.1 + 0.2, 0.3, 0.3]).r2)
