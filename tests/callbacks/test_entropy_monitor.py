"""Entropies of a known rollout in, exact numbers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from lit_entropy.callbacks import EntropyMonitor
from lit_entropy.types import Experience

ROWS = [[1.0], [0.2, 0.4, 0.6], [0.5, 0.1], [0.3, 0.3]]
EXPECTED = {
    "entropy/token_mean": 0.425,  # (1 + 1.2 + 0.6 + 0.6) / 8
    "entropy/sequence_mean": 0.5,  # (1 + 0.4 + 0.3 + 0.3) / 4
    "entropy/choosing_share": 7 / 8,  # all but 0.1, which is not above 0.1
    "entropy/by_accuracy/middle": 0.55,  # first prompt, half right: (1 + 1.2) / 4
    "entropy/by_accuracy/all": 0.3,  # second prompt, all right: (0.6 + 0.6) / 4
}


def rollout(ragged: Callable[..., Experience], scored: list[bool] | None = None) -> Experience:
    return ragged(ROWS, [1.0, -1.0, 0.0, 0.0], ROWS, [True, False, True, True], scored)


def test_hand_values(run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]) -> None:
    (row,) = run_rollouts([EntropyMonitor()], [rollout(ragged)], 2)
    assert row.pop("epoch") == 0
    assert row == pytest.approx(EXPECTED, rel=1e-6)


def test_the_group_filter_changes_nothing(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    experience = rollout(ragged, [True, True, False, False])
    (row,) = run_rollouts([EntropyMonitor()], [experience], 2)
    assert row == pytest.approx({"epoch": 0, **EXPECTED}, rel=1e-6)


def test_the_entropy_of_a_choice(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    (row,) = run_rollouts([EntropyMonitor(choosing_above=0.45)], [rollout(ragged)], 2)
    assert row["entropy/choosing_share"] == pytest.approx(3 / 8)  # 1, 0.6, 0.5
    with pytest.raises(ValueError, match="choosing_above"):
        EntropyMonitor(choosing_above=-0.1)


def test_each_rl_step_stands_alone(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    first = rollout(ragged)
    second = replace(first, entropies_BT=first.entropies_BT * 2)
    rows = run_rollouts([EntropyMonitor()], [first, second], 2)
    assert [row["entropy/token_mean"] for row in rows] == pytest.approx([0.425, 0.85], rel=1e-6)


def test_an_empty_response_has_no_token_mean(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    rows = [[1.0, 0.5], []]
    experience = ragged(rows, [1.0, -1.0], rows, [True, False])
    (row,) = run_rollouts([EntropyMonitor()], [experience], 2)
    assert row["entropy/sequence_mean"] == row["entropy/token_mean"] == 0.75


def test_all_bins_and_their_keys(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    # five prompts of four: 0, 1, 2, 3, 4 right; the prompt's number is its entropy
    correct = [sample < prompt for prompt in range(5) for sample in range(4)]
    rows = [[float(prompt)] for prompt in range(5) for _ in range(4)]
    monitor = EntropyMonitor()
    (row,) = run_rollouts([monitor], [ragged(rows, [0.0] * 20, rows, correct)], 4)
    bins = {key.rsplit("/")[-1]: value for key, value in row.items() if "by_accuracy" in key}
    assert bins == {"none": 0, "low": 1, "middle": 2, "high": 3, "all": 4}
    assert set(row) == {*monitor.keys, "epoch"}
    for key in ("entropy/token_mean", "entropy/sequence_mean", "entropy/by_accuracy/<bin>"):
        assert key in (EntropyMonitor.__doc__ or "")


def test_non_finite_entropies_and_broken_groups_are_named(
    run_rollouts: Callable[..., Any], ragged: Callable[..., Experience]
) -> None:
    experience = rollout(ragged)
    with pytest.raises(ValueError, match="group_size 3"):
        run_rollouts([EntropyMonitor()], [experience], 3)
    nan_BT = torch.full_like(experience.entropies_BT, float("nan"))
    with pytest.raises(ValueError, match="non-finite"):
        run_rollouts([EntropyMonitor()], [replace(experience, entropies_BT=nan_BT)], 2)
