"""Realised and predicted changes of entropy over a run of known rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from runs import ALONE, fit, metrics

from lit_entropy.callbacks import EntropyDelta
from lit_entropy.types import Experience

Run = Callable[..., list[dict[str, float]]]
LOGPROBS = [[-1.0, -1.0], [-2.0], [-3.0], [-1.0]]
ADVANTAGES = [1.0, -1.0, 2.0, -2.0]
CORRECT = [True, False, True, False]


@pytest.fixture
def rollout(ragged: Callable[..., Experience]) -> Callable[..., Experience]:
    """A fixed rollout of two prompts whose five tokens all have the given entropy."""

    def build(entropy: float, scored: list[bool] | None = None) -> Experience:
        entropies = [[entropy] * len(row) for row in LOGPROBS]
        return ragged(LOGPROBS, ADVANTAGES, entropies, CORRECT, scored)

    return build


def test_hand_values(run_rollouts: Run, rollout: Callable[..., Experience]) -> None:
    rows = run_rollouts([EntropyDelta(0)], [rollout(value) for value in (1.0, 0.75, 0.7)], 2)
    # tokens: log pi = (-1, -1, -2, -3, -1), mean -8/5; A = (1, 1, -1, 2, -2), mean 1/5
    # Theorem 2: -(E[xy] - E[x] E[y]) = -((-1 - 1 + 2 - 6 + 2) / 5 + 8/25) = 20/25 - 8/25 = 12/25
    theorem2 = 12 / 25
    weighted = [
        math.exp(x) * y for x, y in zip((-1, -1, -2, -3, -1), (1, 1, -1, 2, -2), strict=True)
    ]
    products = [x * y for x, y in zip((-1, -1, -2, -3, -1), weighted, strict=True)]
    theorem1 = -(sum(products) / 5 - (-8 / 5) * sum(weighted) / 5)
    # bandit: prompt 0: log pi (-1, -2), A (1, -1): Cov = 1/2 * 1 = 0.5; prompt 1: (-3, -1),
    # (2, -2): Cov = -1 * 2 = -2; minus the mean of the two: 0.75
    bandit1 = (
        -(
            (-1 + 1.5) * (math.exp(-1) + math.exp(-2)) / 2
            + (-3 + 2) * (2 * math.exp(-3) + 2 * math.exp(-1)) / 2
        )
        / 2
    )
    # (deviations of log pi are +-0.5 and +-1; those of pi A are half the difference of the two)
    predicted = {
        "dynamics/predicted_theorem1": theorem1,
        "dynamics/predicted_theorem2": theorem2,
        "dynamics/predicted_theorem1_bandit": bandit1,
        "dynamics/predicted_theorem2_bandit": 0.75,
    }
    first = {
        "epoch": 1,
        "dynamics/delta": -0.25,
        **predicted,
        "dynamics/slope": -0.25 / theorem2,
        "dynamics/sign_agreement": 0.0,
        "dynamics/slope_theorem1": -0.25 / theorem1,
        "dynamics/sign_agreement_theorem1": float(theorem1 < 0),
    }
    assert rows[0] == pytest.approx(first, rel=1e-5)
    # the same prediction twice: the slope is the mean change over it
    assert rows[1]["epoch"] == 2
    assert rows[1]["dynamics/delta"] == pytest.approx(-0.05, rel=1e-5)
    assert rows[1]["dynamics/slope"] == pytest.approx(-0.15 / theorem2, rel=1e-5)
    assert len(rows) == 2  # the first rollout logs nothing


def varied(make_experience: Callable[..., Experience], steps: int) -> list[Experience]:
    return [make_experience(seed=seed, filter_groups=True) for seed in range(steps)]


def test_statistics_over_the_run_and_a_window(
    run_rollouts: Run, make_experience: Callable[..., Experience]
) -> None:
    callback = EntropyDelta(0)
    rows = run_rollouts([callback], varied(make_experience, 8), 4)
    windowed = run_rollouts([EntropyDelta(0, window=3)], varied(make_experience, 8), 4)
    assert "dynamics/r2" not in rows[1] and "dynamics/r2" in rows[2]
    assert windowed[2] == rows[2] and windowed[3] != rows[3]
    for end in ("", "_theorem1"):
        name = "dynamics/predicted" + (end or "_theorem2")
        for used, last in ((rows, rows), (rows[-3:], windowed)):
            x, y = ([row[key] for row in used] for key in (name, "dynamics/delta"))
            slope = sum(a * b for a, b in zip(x, y, strict=True)) / sum(a * a for a in x)
            r2 = float(torch.corrcoef(torch.tensor([x, y], dtype=torch.float64))[0, 1]) ** 2
            agree = sum((a > 0) == (b > 0) for a, b in zip(x, y, strict=True)) / len(x)
            # the rows were logged as float32
            assert last[-1][f"dynamics/slope{end}"] == pytest.approx(slope, rel=1e-5)
            assert last[-1][f"dynamics/r2{end}"] == pytest.approx(r2, rel=1e-4)
            assert last[-1][f"dynamics/sign_agreement{end}"] == pytest.approx(agree, rel=1e-6)
    assert set(rows[-1]) == {*callback.keys, "epoch"}
    assert all(key in (EntropyDelta.__doc__ or "") for key in callback.keys)


def test_predictions_use_scored_tokens_and_entropy_all(
    run_rollouts: Run, rollout: Callable[..., Experience]
) -> None:
    filtered = rollout(1.0, [True, True, False, False])
    (row,) = run_rollouts([EntropyDelta(0)], [filtered, rollout(0.5)], 2)
    # log pi (-1, -1, -2), A (1, 1, -1): E[xy] = 0, E[x] = -4/3, E[y] = 1/3: -(0 + 4/9)
    assert row["dynamics/predicted_theorem2"] == pytest.approx(-4 / 9, rel=1e-6)
    assert row["dynamics/predicted_theorem2_bandit"] == pytest.approx(-0.5, rel=1e-6)
    assert row["dynamics/delta"] == -0.5
    unscored = replace(filtered, mask_BT=torch.zeros_like(filtered.mask_BT))
    rows = run_rollouts([EntropyDelta(0)], [unscored, rollout(0.5), rollout(0.25)], 2)
    assert rows[0] == {"epoch": 1, "dynamics/delta": -0.5}
    # one step alone had a prediction: 0.48 (first test)
    assert rows[1]["dynamics/slope"] == pytest.approx(-0.25 / 0.48, rel=1e-5)


def test_a_resumed_run_logs_what_the_uninterrupted_one_logs(
    run_rollouts: Run, make_experience: Callable[..., Experience], tmp_path: Path
) -> None:
    experiences = varied(make_experience, 7)
    folder = tmp_path / "checkpoints"
    keep = ModelCheckpoint(folder, "{epoch}", every_n_epochs=1, save_top_k=-1)
    whole = run_rollouts([EntropyDelta(0, 4), keep], experiences, 4, enable_checkpointing=True)
    for done in (1, 3, 6):
        path = str(folder / f"epoch={done - 1}.ckpt")
        assert torch.load(path, weights_only=True)["callbacks"]
        rows = run_rollouts([EntropyDelta(0, 4)], experiences, 4, ckpt_path=path)
        assert rows == whole[done - 1 :]


def test_state_is_a_copy() -> None:
    callback = EntropyDelta(0)
    callback.load_state_dict(
        {"rl_step": 3, "entropy": 0.5, "predicted": {"theorem1": 1.0}, "history": [{"delta": 1.0}]}
    )
    state = callback.state_dict()
    state["history"][0]["delta"] = 2.0
    assert callback.state_dict()["history"] == [{"delta": 1.0}]


def test_a_state_that_counts_rl_steps_from_0_is_read() -> None:
    callback = EntropyDelta(0)
    old: dict[str, Any] = {"step": 39, "entropy": 0.5, "predicted": {}, "history": []}
    callback.load_state_dict(old)
    assert callback.state_dict()["rl_step"] == 40
    callback.load_state_dict(old | {"step": None})  # before the first RL step
    assert callback.state_dict()["rl_step"] is None


def test_a_gap_in_the_steps_starts_the_history_again(
    run_rollouts: Run, rollout: Callable[..., Experience]
) -> None:
    callback = EntropyDelta(0)
    run_rollouts([callback], [rollout(1.0), rollout(0.9)], 2)
    with pytest.warns(UserWarning, match="its states and its history start again"):
        (row,) = run_rollouts([callback], [rollout(0.5), rollout(0.25)], 2)
    assert row["dynamics/delta"] == -0.25
    assert len(callback.state_dict()["history"]) == 1


def test_bad_arguments_and_empty_rollouts_are_refused(
    run_rollouts: Run, rollout: Callable[..., Experience]
) -> None:
    with pytest.raises(ValueError, match="window"):
        EntropyDelta(window=2)
    with pytest.raises(ValueError, match="probe_prompts=-1: give 0 or more"):
        EntropyDelta(probe_prompts=-1)
    empty = rollout(1.0)
    empty.response_mask_BT = torch.zeros_like(empty.mask_BT)
    with pytest.raises(ValueError, match="response_mask_BT is empty"):
        run_rollouts([EntropyDelta(0)], [empty], 2)


CALLBACKS = (
    "[{class_path: lit_entropy.callbacks.EntropyDelta, init_args: {probe_prompts: 6}},"
    " {class_path: lit_entropy.callbacks.EntropyDynamics,"
    " init_args: {every: 1, probe_prompts: 6, rollout_prompts: 2}}]"
)


def test_the_change_at_fixed_states_is_that_of_the_exact_measurement(tmp_path: Path) -> None:
    """A second route: entropy_dynamics compares before and after the updates of one RL step."""
    arguments = [f"--trainer.callbacks={CALLBACKS}", "--trainer.limit_val_batches=0"]
    fit(tmp_path / "whole", *arguments, "--trainer.max_epochs=4")
    rows = metrics(tmp_path / "whole")
    exact = rows["dynamics/fixed/delta"]
    assert abs(exact).max() > 1e-4
    assert rows["dynamics/delta"][1:] == pytest.approx(exact[:-1], rel=1e-6)
    # the states go into the checkpoint
    fit(tmp_path / "part", *arguments, "--trainer.max_epochs=2")
    last = tmp_path / "part" / "quickstart-seed0" / "checkpoints" / "last.ckpt"
    fit(tmp_path / "part", *arguments, "--trainer.max_epochs=4", f"--ckpt_path={last}")
    assert metrics(tmp_path / "part")["dynamics/delta"].tolist() == pytest.approx(
        rows["dynamics/delta"].tolist(), nan_ok=True, rel=0, abs=0
    )


def test_fewer_held_out_problems_than_prompts_are_all_taken(tmp_path: Path) -> None:
    cli = fit(tmp_path, "--trainer.callbacks=[lit_entropy.callbacks.EntropyDelta]", *ALONE[1:],
              "--trainer.max_epochs=1")  # fmt: skip
    (callback,) = (each for each in cli.trainer.callbacks if isinstance(each, EntropyDelta))
    assert len(callback.state_dict()["probe"]["tokens_BT"]) == 10
