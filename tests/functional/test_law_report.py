"""Caveats that fire on their own cause alone, and the report as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lit_entropy.functional.bootstrap import bootstrap
from lit_entropy.functional.forecast import forecast
from lit_entropy.functional.law import Pairs, fit
from lit_entropy.functional.law_report import caveats, report, rises

STEP = np.arange(40.0)
NOISE = np.random.default_rng(0).normal(size=40)
FALLING = 0.05 + 0.4 * np.exp(-STEP / 15) + 1e-4 * NOISE
ACCURACY = 1.2 - 0.5 * np.exp(FALLING) + 0.005 * NOISE[::-1]


def test_a_clean_run_has_no_caveat() -> None:
    assert caveats(STEP, FALLING, ACCURACY) == []


def test_entropy_that_comes_back() -> None:
    entropy_N = np.where(STEP < 20, FALLING, FALLING[::-1])
    (sentence,) = caveats(STEP, entropy_N, 1.2 - 0.5 * np.exp(entropy_N) + 0.005 * NOISE)[:1]
    assert "does not fall steadily" in sentence and "Spearman" in sentence


def test_a_steady_rise_and_its_numbers() -> None:
    entropy_N = 0.1 + 0.01 * STEP
    first, second = caveats(STEP, entropy_N, 1.2 - 0.5 * np.exp(entropy_N) + 0.005 * NOISE)
    assert "is 1.00 (-1" in first and "in 100% of the steps" in second


def test_rises_by_hand() -> None:
    # second differences 0.3, -0.1, -0.1, 0.1: median of the sizes 0.1
    share, noise = rises([0.5, 0.3, 0.4, 0.4, 0.3, 0.3])
    assert noise == pytest.approx(1.4826 * 0.1 / 6**0.5, rel=1e-9)
    assert share == 0.0  # the rise of 0.1 is below 2 sqrt(2) noise = 0.171
    saw = [0.7, 0.6, 0.5, 0.4, 0.6, 0.5, 0.4, 0.3]  # second differences 0 but for two: no noise
    assert rises(saw)[0] == pytest.approx(1 / 7)
    assert rises([0.1, 0.2]) == (0.0, 0.0)
    pure = np.random.default_rng(1).normal(size=20000)
    share, noise = rises(pure)
    assert noise == pytest.approx(1, rel=0.03) and share == pytest.approx(0.023, abs=0.005)


def test_accuracy_without_the_law_is_not_identified() -> None:
    sentences = caveats(STEP, FALLING, 0.5 + 0.1 * NOISE[::-1])
    assert any("contains 0" in sentence for sentence in sentences)
    assert any("exp(H) spreads by" in sentence for sentence in sentences)
    constant = caveats(STEP, FALLING, np.full(40, 0.5))
    assert len(constant) == 1 and "of a = 0, [0, 0], contains 0" in constant[0]


def test_the_wrong_sign_and_an_impossible_ceiling() -> None:
    (sentence,) = caveats(STEP, FALLING, 0.1 + 0.3 * np.exp(FALLING))
    assert sentence.startswith("a = -0.3 is negative")
    (sentence,) = caveats(STEP, FALLING, 1.7 - 0.6 * np.exp(FALLING))
    assert sentence == "The ceiling b - a = 1.1 is no accuracy in [0, 1]."


def test_given_intervals_are_used() -> None:
    wide = bootstrap(FALLING, ACCURACY)._replace(a=(-1.0, 2.0), level=0.9)
    (sentence,) = caveats(STEP, FALLING, ACCURACY, wide)
    assert "the 90% interval" in sentence and "[-1, 2], contains 0" in sentence


def test_report_holds_what_the_functions_give() -> None:
    values = report(Pairs(STEP, FALLING, ACCURACY), resamples=99, seed=3)
    assert values == json.loads(json.dumps(values, allow_nan=False))
    law, intervals = fit(FALLING, ACCURACY), bootstrap(FALLING, ACCURACY, resamples=99, seed=3)
    assert values["fit"] == law._asdict()
    assert values["intervals"]["ceiling"] == list(intervals.ceiling)
    ahead = forecast(STEP, FALLING, ACCURACY)
    assert values["forecast"]["fitted"] == ahead.fitted == 6
    for name, method in ahead.methods.items():
        expected = {"rmse": method.rmse, "final_error": method.final_error}
        assert values["forecast"]["methods"][name] == expected
    assert [window["n"] for window in values["windows"]] == [6, 10, 20, 30, 40]
    assert values["windows"][-1]["rmse_rest"] is None and values["caveats"] == []
    assert values["pairs"]["entropy_N"] == FALLING.tolist()


def test_report_of_few_pairs() -> None:
    values = report(Pairs(STEP[:3], FALLING[:3], ACCURACY[:3]))
    assert values["forecast"] is None and values["intervals"]["a"] == [None, None]
    assert values["caveats"][-1] == "The fit rests on 3 pairs: its intervals are rough."
    flat = np.array([0.3, 0.3, 0.3, 0.2, 0.1])
    values = report(Pairs(STEP[:5], flat, 1 - flat))
    assert values["forecast"] is None and [window["n"] for window in values["windows"]] == [4, 5]
