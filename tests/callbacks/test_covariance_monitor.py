"""Covariances of a known rollout in, exact numbers out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from lit_entropy.callbacks import CovarianceMonitor
from lit_entropy.callbacks.covariance import short
from lit_entropy.functional.attribution import QUADRANTS
from lit_entropy.types import Experience

LOGPROBS = [[-1.0, -2.0], [-3.0], [-4.0, 0.0], [-2.0]]
ADVANTAGES = [1.0, -1.0, 0.0, 0.0]
CORRECT = [True, False, True, True]
# N = 6; mean log pi = -12 / 6 = -2, mean A = (1 + 1 - 1) / 6 = 1/6
# rows: (1, 0) * 5/6; -1 * -7/6; (-2, 2) * -1/6; 0 * -1/6
COVARIANCES = [[5 / 6, 0], [7 / 6], [2 / 6, -2 / 6], [0]]
EXPECTED = {
    "cov/mean": 2 / 6,
    "cov/positive_share": 3 / 6,
    "cov/top_2e-4": 7 / 6,  # floor(6 * 2e-4) = 0 tokens, raised to 1
    "cov/top_0.2": 7 / 6,  # floor(1.2) = 1
    "cov/top_0.5": (7 + 5 + 2) / 18,  # floor(3) = 3
    "cov/least_2e-4": 7 / 6,
    "cov/least_0.2": 7 / 6,
    "cov/least_0.5": 2 / 6,  # the third of 7/6, 5/6, 2/6, 0, 0, -2/6
    "cov/by_accuracy/middle": 2 / 3,  # (5/6 + 0 + 7/6) / 3
    "cov/by_accuracy/all": 0.0,  # (2/6 - 2/6 + 0) / 3
    # all probabilities but the last of row 2, whose advantage is 0, are below 0.5
    "cov/quadrant/positive_high": 0.0,
    "cov/quadrant/positive_high_share": 0.0,
    "cov/quadrant/positive_low": 5 / 36,
    "cov/quadrant/positive_low_share": 2 / 6,
    "cov/quadrant/negative_high": 0.0,
    "cov/quadrant/negative_high_share": 0.0,
    "cov/quadrant/negative_low": 7 / 36,
    "cov/quadrant/negative_low_share": 1 / 6,
    "cov/quadrant/zero": 0.0,
    "cov/quadrant/zero_share": 3 / 6,
}


def test_hand_values(run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]) -> None:
    experience = ragged(LOGPROBS, ADVANTAGES, LOGPROBS, CORRECT)
    (row,) = run_rollouts([CovarianceMonitor((2e-4, 0.2, 0.5))], [experience], 2)
    assert row == pytest.approx({"epoch": 0, **EXPECTED}, rel=1e-6, abs=1e-7)


def test_the_group_filter_changes_nothing(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    experience = ragged(LOGPROBS, ADVANTAGES, LOGPROBS, CORRECT, [True, True, False, False])
    (row,) = run_rollouts([CovarianceMonitor((2e-4, 0.2, 0.5))], [experience], 2)
    assert row == pytest.approx({"epoch": 0, **EXPECTED}, rel=1e-6, abs=1e-7)


def test_the_bound_of_a_high_probability(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    experience = ragged(LOGPROBS, ADVANTAGES, LOGPROBS, CORRECT)
    (row,) = run_rollouts([CovarianceMonitor(high_probability=0.3)], [experience], 2)
    # exp(-1) is above 0.3, exp(-2) below it, and has c = 0
    assert row["cov/quadrant/positive_high"] == pytest.approx(5 / 36, rel=1e-6)
    assert row["cov/quadrant/positive_high_share"] == pytest.approx(1 / 6, rel=1e-6)
    assert row["cov/quadrant/positive_low"] == pytest.approx(0, abs=1e-7)
    assert row["cov/quadrant/positive_low_share"] == pytest.approx(1 / 6, rel=1e-6)
    with pytest.raises(ValueError, match="high_probability must be in"):
        CovarianceMonitor(high_probability=1.0)


def test_quadrants_add_up_to_the_mean(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience]
) -> None:
    experiences = [make_experience(P=6, T=30, seed=seed, filter_groups=True) for seed in range(4)]
    for row in run_rollouts([CovarianceMonitor()], experiences, 4):
        parts = [row[f"cov/quadrant/{name}"] for name in QUADRANTS]
        shares = [row[f"cov/quadrant/{name}_share"] for name in QUADRANTS]
        assert all(parts) and all(shares)
        assert sum(parts) == pytest.approx(row["cov/mean"], rel=0, abs=1e-12)
        assert sum(shares) == pytest.approx(1, rel=0, abs=1e-12)


def test_against_a_slow_loop(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience]
) -> None:
    experience = make_experience(P=6, G=4, T=30, seed=3)
    monitor = CovarianceMonitor()
    (row,) = run_rollouts([monitor], [experience], 4)
    tokens = [
        (float(experience.old_logprobs_BT[b, t]), float(experience.advantages_BT[b, t]))
        for b in range(24)
        for t in range(30)
        if experience.response_mask_BT[b, t]
    ]
    total = len(tokens)
    mean_x, mean_y = (sum(pair[side] for pair in tokens) / total for side in (0, 1))
    ordered = sorted(((x - mean_x) * (y - mean_y) for x, y in tokens), reverse=True)
    assert row["cov/mean"] == pytest.approx(sum(ordered) / total, rel=1e-5)
    share = sum(value > 0 for value in ordered) / total
    assert row["cov/positive_share"] == pytest.approx(share, rel=1e-6)
    for fraction, key in zip(monitor.fractions, monitor.tail_keys, strict=True):
        count = max(1, int(fraction * total))
        assert row[key] == pytest.approx(sum(ordered[:count]) / count, rel=1e-6)
        least = row[key.replace("top", "least")]
        assert least == pytest.approx(ordered[count - 1], rel=1e-5, abs=1e-6)
    assert set(row) <= {*monitor.keys, "epoch"}


def test_keys_are_documented() -> None:
    text = CovarianceMonitor.__doc__ or ""
    for key in CovarianceMonitor().keys:
        name = re.sub("/by_accuracy/.*", "/by_accuracy/<bin>", key).removeprefix("cov/")
        name = re.sub("least_.*", "least_<fraction>", name)
        name = name.removeprefix("quadrant/").removesuffix("_share")
        assert name in text, key


def test_fractions_as_keys() -> None:
    names = [short(value) for value in (2e-4, 2e-3, 2e-2, 0.2, 0.5, 1.0, 0.025, 1e-10)]
    assert names == ["2e-4", "2e-3", "2e-2", "0.2", "0.5", "1", "2.5e-2", "1e-10"]


@pytest.mark.parametrize("fractions", [(0.0,), (1.5,), (float("nan"),), (0.2, 0.2)])
def test_bad_fractions_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        CovarianceMonitor(fractions)
