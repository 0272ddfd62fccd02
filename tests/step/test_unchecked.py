"""Responses that could not be checked: counted, left out of the update, and never a reward."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prepared import prepared
from runs import NO_FIGURE, experience_of, fit, metrics
from shared_launch import DDP
from test_module import record
from two_ranks import arguments, launch, run

from lit_entropy.advantages import GRPO, PRIME, ReinforcePlusPlus
from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.errors import ContractError, UncheckedError
from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.masked import masked_mean
from lit_entropy.step import collect
from lit_entropy.step.collect import concatenate, filter_groups, group_signal
from lit_entropy.step.plan import GroupFilter, StepPlan
from lit_entropy.step.scoring import estimate_advantages
from lit_entropy.step.statistics import rollout_statistics
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.tasks.rewards import reward_responses
from lit_entropy.types import Experience, Problem, Samples

Make = Callable[..., Experience]
PLACEHOLDERS = [float("nan"), 1e9, -1e9, float("inf")]


class Partly(ChainArithmetic):
    """Cannot check one pair in ten, whichever it is."""

    def reward(self, problem: Problem, response: str) -> float | None:  # type: ignore[override]
        unknown = zlib.crc32(f"{problem.id} {response}".encode()) % 10 == 0
        return None if unknown else super().reward(problem, response)


class Never(ChainArithmetic):
    """Checks nothing."""

    def reward(self, problem: Problem, response: str) -> float | None:  # type: ignore[override]
        return None


class Slow(ChainArithmetic):
    """Takes a twentieth of a second for a batch."""

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[float | None]:
        time.sleep(0.05)
        return super().rewards(problems, responses)


class Batched(ChainArithmetic):
    """Checks in a batch."""

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[float | None]:
        return [None if text == "?" else float(len(text)) for text in responses if text != "!"]


def problem(id: int, answer: str = "4") -> Problem:
    return Problem(id, "1+3 ", answer)


def test_score() -> None:
    problems = [problem(3), problem(3), problem(1)]
    unknown = next(f"#4{n}" for n in range(99) if Partly().reward(problem(3), f"#4{n}") is None)
    assert reward_responses(Partly(), problems, [unknown, "#4", "#7"], 1) == (
        [None, 1.0, 0.0],
        [False, True, False],
    )
    assert reward_responses(Batched(), problems, ["?", "", "##"], 1) == (
        [None, 0.0, 2.0],
        [False, False, True],
    )
    with pytest.raises(ContractError, match=r"Batched\.rewards gave 2 rewards for 3 responses"):
        reward_responses(Batched(), problems, ["a", "!", "b"], 1)
    assert Task.rewards(Never(), problems, ["a"] * 3) == [None] * 3


def test_the_task_keeps_count_and_time_of_what_it_scored() -> None:
    task, other = Slow(), Slow()
    start = time.perf_counter()
    for _ in range(2):
        reward_responses(task, [problem(3)] * 2, ["#4", "#5"], 1)
    elapsed = time.perf_counter() - start
    assert (task.checks, other.checks, other.check_seconds) == (4, 0, 0.0)
    assert 2 * 0.05 <= task.check_seconds <= elapsed


def unchecked(
    experience: Experience, rows: Sequence[int], placeholder: float, correct: bool = True
) -> Experience:
    """The experience with rows that could not be checked, whose values are absurd."""
    checked_B = torch.ones(len(experience), dtype=torch.bool)
    checked_B[list(rows)] = False
    return replace(
        experience,
        rewards_B=experience.rewards_B.where(checked_B, torch.tensor(placeholder)),
        correct_B=experience.correct_B | (~checked_B & correct),
        checked_B=checked_B,
    )


def test_rows_and_groups_that_were_checked(make_experience: Make) -> None:
    plain = make_experience(P=3, G=2)
    assert plain.checked_groups(2).tolist() == [True] * 3
    experience = unchecked(plain, [0, 3], 0.0)
    assert experience.checked_groups(2).tolist() == [False, False, True]
    assert experience.checked_rows(2).tolist() == [False] * 4 + [True] * 2
    part = experience.rows(torch.tensor([3, 4]))
    assert part.checked_B.dtype == torch.bool and part.checked_B.tolist() == [False, True]
    joined = concatenate([experience, unchecked(make_experience(P=1, G=2, T=20), [1], 0.0)])
    assert joined.checked_B.tolist() == [False, True, True, False, True, True, True, False]


def plan(prompts: int, group_filter: GroupFilter) -> StepPlan:
    """Of two samples per prompt."""
    return StepPlan(prompts, 2, 2 * prompts, group_filter=group_filter)


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("group_filter", ["none", "mask"])
def test_unchecked_groups_are_masked(
    make_experience: Make, placeholder: float, group_filter: GroupFilter
) -> None:
    before = make_experience(P=4, G=2, T=5)  # two samples a group, one right: all have signal
    experience = unchecked(before, [2, 6, 7], placeholder)
    signal_P = group_signal(experience, 2)
    assert signal_P.tolist() == [True, False, True, False]
    for signal in (signal_P, torch.ones(4, dtype=torch.bool)):  # whatever the caller says
        rows, trained_P = filter_groups(experience, plan(4, group_filter), signal)
        after = prepared(experience, plan(4, group_filter), rows, trained_P)
        assert rows.tolist() == list(range(8)) and trained_P.tolist() == [True, False, True, False]
        expected_BT = before.mask_BT & trained_P.repeat_interleave(2)[:, None]
        assert torch.equal(after.mask_BT, expected_BT)
        assert torch.equal(after.response_mask_BT, before.response_mask_BT)


def test_without_filter_equal_rewards_stay_and_unchecked_groups_go(make_experience: Make) -> None:
    equal = replace(make_experience(P=3, G=2), rewards_B=torch.zeros(6))
    experience = unchecked(equal, [0], float("nan"))
    _, trained_P = filter_groups(experience, plan(3, "none"), group_signal(experience, 2))
    assert trained_P.tolist() == [False, True, True]


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_unchecked_groups_are_replaced_under_resample(
    make_experience: Make, placeholder: float
) -> None:
    experience = unchecked(make_experience(P=6, G=2, T=5), [0, 9], placeholder)
    signal_P = group_signal(experience, 2)
    rows, trained_P = filter_groups(experience, plan(4, "resample"), signal_P)
    after = prepared(experience, plan(4, "resample"), rows, trained_P)
    assert (rows.view(4, 2)[:, 0] // 2).tolist() == [1, 2, 3, 5]
    assert trained_P.tolist() == [False, True, True, True, False, True]
    assert after.mask_BT.any(1).tolist() == trained_P.repeat_interleave(2).tolist()


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("estimator", [GRPO(), ReinforcePlusPlus()])
def test_no_estimator_is_given_a_placeholder(
    placeholder: float, estimator: AdvantageEstimator
) -> None:
    known_PG = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    rewards_PG = torch.cat([torch.tensor([[placeholder, 1.0]]), known_PG])
    trained_P = torch.tensor([False, True, False, False, True])
    checked_P = torch.tensor([False, True, True, True, True])
    advantages_PG = estimate_advantages(estimator, rewards_PG, trained_P, checked_P)
    assert torch.equal(advantages_PG[0], torch.zeros(2))
    left_out_PG = estimate_advantages(estimator, known_PG, trained_P[1:])
    assert torch.equal(advantages_PG[1:], left_out_PG) and left_out_PG.any()


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("correct", [True, False])
def test_statistics_by_hand(make_experience: Make, placeholder: float, correct: bool) -> None:
    experience = replace(
        make_experience(P=3, G=2),
        rewards_B=torch.tensor([1.0, 0.25, 0.5, 0.0, 1.0, 1.0]),
        correct_B=torch.tensor([True, False, False, False, True, True]),
    )
    experience = unchecked(experience, [1], placeholder, correct)
    values = rollout_statistics(experience, 2, group_signal(experience, 2))
    assert values["rollout/unchecked"] == pytest.approx(1 / 6, abs=1e-15)
    assert values["rollout/reward"] == pytest.approx((1 + 0.5 + 0 + 1 + 1) / 5, abs=1e-12)
    assert values["rollout/accuracy"] == pytest.approx(3 / 5, abs=1e-12)
    # of the two groups that are known: one solved, one not at all, and one without signal
    for key in ("solved_all", "solved_none", "no_signal"):
        assert values[f"rollout/{key}"] == 0.5
    assert values["rollout/groups"] == 3.0
    # what does not depend on rewards is over all responses
    known = replace(experience, checked_B=torch.ones(6, dtype=torch.bool))
    every = rollout_statistics(known, 2, torch.ones(3, dtype=torch.bool))
    assert values["rollout/length"] == every["rollout/length"]


def test_statistics_without_a_checked_group(make_experience: Make) -> None:
    experience = unchecked(make_experience(P=2, G=2), [0, 2], float("nan"))
    values = rollout_statistics(experience, 2, group_signal(experience, 2))
    assert values["rollout/unchecked"] == 0.5
    assert values["rollout/reward"] == 0.0 == values["rollout/accuracy"]
    of_groups = {"rollout/solved_all", "rollout/solved_none", "rollout/no_signal"}
    assert not of_groups & values.keys()


TASK = "--data.task=test_unchecked.Partly"
CALLBACKS = [  # beside the monitors of entropy and covariance
    "--trainer.callbacks+=lit_entropy.callbacks.EntropyDynamics",
    "--trainer.callbacks.probe_prompts=4",
]
PARTS = {
    "grpo": ["--data.group_filter=none", *CALLBACKS],
    "whitened": [
        "--data.group_filter=none",
        "--model.advantage=lit_entropy.advantages.ReinforcePlusPlus",
    ],
    "prime": ["--data.group_filter=none", "--model.advantage=lit_entropy.advantages.PRIME"],
    "resample": ["--data.group_filter=resample", "--data.max_resamples=2"],
}
LATER = ("whitened", "resample")  # their sums by hand stand above


@pytest.mark.parametrize(
    "part", ["grpo", "prime", *(pytest.param(more, marks=pytest.mark.slow) for more in LATER)]
)
def test_no_part_of_a_run_reads_the_placeholder(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN and wrong, or a billion and right: the same gradients, rollouts, weights and metrics."""
    original = collect._samples

    def with_placeholder(*arguments: Any) -> Samples:
        samples = original(*arguments)
        assert torch.equal(samples.rewards_B.isnan(), ~samples.checked_B)
        return replace(
            samples,
            rewards_B=samples.rewards_B.nan_to_num(1e9),
            correct_B=samples.correct_B | ~samples.checked_B,
        )

    arguments = [NO_FIGURE, TASK, *PARTS[part], "--trainer.max_epochs=2"]
    plain, one = record(tmp_path / "one", *arguments, steps=4)
    monkeypatch.setattr(collect, "_samples", with_placeholder)
    other, two = record(tmp_path / "two", *arguments, steps=4)
    assert len(plain.gradients) == len(other.gradients) == 4
    for mine, theirs in zip(plain.gradients, other.gradients, strict=True):
        for name, gradient in mine.items():
            assert torch.equal(gradient, theirs[name])
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name])
    values, found = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert values.keys() == found.keys() and len(values) > 30
    for key in values.keys() - {key for key in values if key.startswith("time/")}:
        np.testing.assert_array_equal(values[key], found[key], err_msg=key)
    assert 0 < np.nanmax(values["rollout/unchecked"]) < 1


def test_unchecked_groups_leave_the_objective(tmp_path: Path) -> None:
    """The gradient is that of the checked groups alone, written out by hand."""
    recorder, cli = record(tmp_path, NO_FIGURE, TASK, "--data.group_filter=none")
    experience = experience_of(cli)
    checked_B = experience.checked_rows(4)
    assert 0 < int(checked_B.sum()) < 32
    assert int(experience.checked_B.sum()) > int(checked_B.sum())  # checked, but in such a group
    assert torch.equal(experience.mask_BT, experience.response_mask_BT & checked_B[:, None])
    rows = cli.datamodule.plan.minibatches(torch.arange(32), 1, 0)[0]
    kept = rows[checked_B[rows]]
    batch = experience.rows(kept)
    rewards_PG = experience.rewards_B.view(8, 4)[experience.checked_groups(4)]
    advantages_BT = GRPO()(rewards_PG).reshape(-1, 1) * experience.response_mask_BT[checked_B]
    assert torch.equal(experience.advantages_BT[checked_B], advantages_BT)
    assert not experience.advantages_BT[~checked_B].any()
    base = type(cli.model.policy)("chain-s")
    ratio_BT = (base(batch.sequences, 1.0).logprobs_BT - batch.old_logprobs_BT).exp()
    mask_BT = batch.response_mask_BT
    (-(ratio_BT * batch.advantages_BT * mask_BT).sum() / mask_BT.sum()).backward()
    for name, parameter in base.named_parameters():
        expected = recorder.gradients[0][name]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)
    values = metrics(tmp_path)
    share = 1 - experience.checked_B.double().mean()
    assert values["rollout/unchecked"][-1] == pytest.approx(float(share), abs=1e-12)
    covariance_BT = token_covariance(
        experience.old_logprobs_BT, experience.advantages_BT, experience.mask_BT
    )
    mean = masked_mean(covariance_BT, experience.mask_BT, dtype=torch.float64)
    assert values["cov/mean"][-1] == pytest.approx(float(mean), rel=1e-6)
    tokens = [key for key in values if key.startswith("entropy/by_accuracy")]
    assert tokens and "entropy/token_mean" in values


def test_a_rollout_without_a_verdict_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UncheckedError, match=r"none of the 32 responses of RL step 1 .* Never\."):
        fit(tmp_path, "--data.task=test_unchecked.Never", "--trainer.limit_val_batches=0")


def test_rollouts_where_all_is_checked_log_a_share_of_zero(tmp_path: Path) -> None:
    _, cli = record(tmp_path)
    assert metrics(tmp_path)["rollout/unchecked"][-1] == 0.0
    assert experience_of(cli).checked_B.all()


def test_validation_counts_what_could_not_be_checked(tmp_path: Path) -> None:
    cli = fit(tmp_path, TASK)
    values = metrics(tmp_path)
    assert 0 < values["val/unchecked"][-1] < 1 and 0 <= values["val/accuracy"][-1] <= 1
    assert isinstance(cli.model.advantage, GRPO) and not isinstance(cli.model.advantage, PRIME)


@pytest.mark.slow
def test_two_ranks_leave_out_what_one_process_does(tmp_path: Path) -> None:
    options = [
        TASK,
        "--data.group_filter=none",
        "--trainer.max_epochs=1",
        "--trainer.limit_val_batches=0",
    ]
    split = [*DDP, "--trainer.accumulate_grad_batches=2"]
    ranks = launch(tmp_path / "launch", [arguments(tmp_path / "two", *options, *split)])
    one = run(arguments(tmp_path / "one", *options))
    assert 0 < one["metrics"]["rollout/unchecked"] < 1
    for (two,) in ranks:
        for name, value in one["rollout"].items():  # unknown rewards are NaN in both
            torch.testing.assert_close(
                two["rollout"][name], value, rtol=1e-4, atol=2e-5, equal_nan=True
            )
        for key in ("rollout/unchecked", "rollout/reward", "policy/grad_norm"):
            assert two["metrics"][key] == pytest.approx(one["metrics"][key], rel=1e-4)
