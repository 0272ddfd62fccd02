"""Forecasts from the first part of a run, by the law and its rivals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lit_entropy.functional.forecast import first_points, forecast, sigmoid, window_sensitivity
from lit_entropy.functional.law import fit

STEP = np.arange(40.0)
ENTROPY = 0.05 + 0.4 * np.exp(-STEP / 8)


def test_every_rival_by_hand() -> None:
    entropies = [math.log(4), math.log(3), math.log(2), 0.0]
    found = forecast([0, 10, 20, 30], entropies, [0.2, 0.3, 0.4, 0.45])
    assert found.fitted == 3
    law = found.methods["law"]  # R = 0.6 - 0.1 exp(H)
    assert law.accuracy_N == pytest.approx([0.5], rel=1e-12)
    assert (law.rmse, law.final_error) == pytest.approx((0.05, 0.05), rel=1e-9)
    assert found.law.ceiling == pytest.approx(0.5, rel=1e-12)
    last = found.methods["last value"]
    assert last.accuracy_N.tolist() == [0.4] and last.final_error == pytest.approx(0.05)
    _, intercept = np.polyfit(entropies[:3], [0.2, 0.3, 0.4], 1)
    linear = found.methods["linear in H"]
    assert linear.accuracy_N == pytest.approx([intercept], rel=1e-9)
    assert list(found.methods) == ["law", "last value", "linear in H", "sigmoid in steps"]


def test_rmse_is_over_the_whole_rest() -> None:
    accuracies = [0.2, 0.3, 0.4, 0.7, 0.5]
    found = forecast([0, 1, 2, 3, 4], [0.5, 0.4, 0.3, 0.2, 0.1], accuracies).methods["last value"]
    assert found.rmse == pytest.approx(math.sqrt((0.3**2 + 0.1**2) / 2), rel=1e-12)
    assert found.final_error == pytest.approx(0.1, rel=1e-12)


def errors(accuracy_N: np.ndarray, share: float = 0.3) -> dict[str, float]:
    found = forecast(STEP, ENTROPY, accuracy_N, share)
    return {name: method.rmse for name, method in found.methods.items()}


def test_each_method_forecasts_its_own_truth() -> None:
    law = errors(1.2 - 0.5 * np.exp(ENTROPY))
    assert law["law"] < 1e-12 and min(value for key, value in law.items() if key != "law") > 1e-3
    linear = errors(0.7 - 0.5 * ENTROPY)
    assert linear["linear in H"] < 1e-12 < 1e-3 < linear["law"]
    with np.errstate(divide="ignore"):
        curve = errors(0.3 + 0.5 / (1 + (9 / STEP) ** 1.5))
    assert curve["sigmoid in steps"] < 1e-6 < 1e-3 < curve["law"]
    assert errors(np.full(40, 0.5))["last value"] == 0.0


def test_sigmoid_by_hand() -> None:
    time_N = np.array([0.0, 1, 2, 4, 8, 16])
    accuracy_N = 0.2 + 0.6 / (1 + np.array([np.inf, 4, 2, 1, 0.5, 0.25]))  # A 0.8, half at 4, B 1
    predicted = sigmoid(time_N + 5, accuracy_N, np.array([37.0, 5.0]))
    assert predicted == pytest.approx([0.2 + 0.6 / 1.125, 0.2], abs=1e-6)


def test_rounding_does_not_choose_the_sigmoid_of_three_points() -> None:
    """All four starts fit three points, to costs of 1e-15 and less, and end 0.1 apart."""
    step_N, at_M = np.array([0.0, 5.0, 10.0]), np.array([20.0, 40.0])
    random = np.random.default_rng(0)
    for accuracy_N in ([0.33, 0.37, 0.41], [0.30, 0.45, 0.51], [0.45, 0.61, 0.74]):
        first = sigmoid(step_N, np.array(accuracy_N), at_M)
        for _ in range(5):
            near_N = np.array(accuracy_N) * (1 + 1e-15 * random.normal(size=3))
            assert sigmoid(step_N, near_N, at_M) == pytest.approx(first, abs=2e-4)


def test_sigmoid_stays_in_bounds_and_is_deterministic() -> None:
    step_N, accuracy_N = np.array([0.0, 25, 50]), np.array([0.46, 0.64, 0.7])
    at_M = np.array([51.0, 1e3, 1e6])
    first = sigmoid(step_N, accuracy_N, at_M)
    assert (np.diff(first) >= 0).all() and first.min() >= 0 and first.max() <= 1
    assert sigmoid(step_N, accuracy_N, at_M).tolist() == first.tolist()
    assert sigmoid(step_N, np.zeros(3), at_M) == pytest.approx([0, 0, 0], abs=1e-6)


def test_law_and_linear_do_not_read_the_steps_nor_the_first_window_the_rest() -> None:
    accuracy_N = 1.2 - 0.5 * np.exp(ENTROPY) + 0.01 * np.sin(STEP)
    found, stretched = (forecast(s, ENTROPY, accuracy_N) for s in (STEP, STEP**2))
    for name in ("law", "linear in H", "last value"):
        np.testing.assert_array_equal(
            found.methods[name].accuracy_N, stretched.methods[name].accuracy_N
        )
    other_N = np.where(found.fitted > STEP, accuracy_N, 0.123)
    for name, method in forecast(STEP, ENTROPY, other_N).methods.items():
        np.testing.assert_array_equal(method.accuracy_N, found.methods[name].accuracy_N)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(7, 0.15, 3), (20, 0.15, 3), (21, 0.15, 4), (150, 0.15, 23), (100, 0.29, 29), (5, 1.0, 5)],
)
def test_first_points(count: int, share: float, expected: int) -> None:
    assert first_points(count, share) == expected


def test_windows_by_hand() -> None:
    accuracy_N = 1.2 - 0.5 * np.exp(ENTROPY) + 0.01 * np.sin(STEP)
    windows = window_sensitivity(ENTROPY, accuracy_N, (0.01, 0.05, 0.5, 1.0))
    assert [window.fit.n for window in windows] == [3, 20, 40]  # 1 % and 5 % are the same three
    assert [window.share for window in windows] == [0.01, 0.5, 1.0]
    half = fit(ENTROPY[:20], accuracy_N[:20])
    assert windows[1].fit == half
    rest = np.sqrt(np.mean((half.predict(ENTROPY[20:]) - accuracy_N[20:]) ** 2))
    assert windows[1].rmse_rest == pytest.approx(rest, rel=1e-12)
    assert math.isnan(windows[2].rmse_rest)
    flat = window_sensitivity([0.3, 0.3, 0.3, 0.2], [0.4, 0.4, 0.4, 0.5], (0.15, 1.0))
    assert [window.fit.n for window in flat] == [4]


@pytest.mark.parametrize(
    ("steps", "entropies", "share", "message"),
    [
        ([0, 1, 2], [0.3, 0.2, 0.1], 0.15, "points after the first 3, got 3"),
        ([0, 2, 1, 3], [0.4, 0.3, 0.2, 0.1], 0.15, "increase"),
        ([0, 1, 2], [0.4, 0.3, 0.2, 0.1], 0.15, "as long as"),
        ([0, 1, 2, 3], [0.4, 0.3, 0.2, 0.1], 1.0, "share=1.0"),
        ([0, 1, 2, 3], [0.3, 0.3, 0.3, 0.1], 0.15, "all 3 entropies"),
    ],
)
def test_no_forecast_is_refused(steps: list, entropies: list, share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forecast(steps, entropies, np.linspace(0.2, 0.5, len(entropies)), share)
