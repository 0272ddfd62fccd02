"""Means over updates and the statistics of a rollout, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from experiences import whole_experience
from prepared import context

from lit_entropy.advantages import GRPO
from lit_entropy.step import collect
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.statistics import rollout_statistics
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.tasks.prompt_source import PromptSource
from lit_entropy.tracking.means import UpdateMeans
from lit_entropy.types import Experience, Maximum, Mean

CPU = torch.device("cpu")


def test_means_weigh_microbatches_by_their_tokens() -> None:
    means = UpdateMeans()
    means.add("loss/policy", torch.tensor(6.0), torch.tensor(2))
    means.add("loss/policy", torch.tensor(1.0), torch.tensor(8))
    means.add("policy/lr", torch.tensor(0.5), 1.0)
    means.add("policy/lr", torch.tensor(0.25), 1.0)
    # (6 + 1) / (2 + 8), not the mean of 3 and 1/8
    assert means.reset(CPU) == pytest.approx({"loss/policy": 0.7, "policy/lr": 0.375}, abs=1e-15)


def test_a_scalar_metric_is_a_mean_over_tokens_and_a_mean_weighs_itself() -> None:
    means = UpdateMeans()
    for value, tokens in ((0.5, 2), (0.2, 8)):
        means.add_metric(
            "policy/kl", torch.tensor(value, dtype=torch.float64), torch.tensor(tokens)
        )
    for total, weight in ((3.0, 1.0), (5.0, 3.0), (0.0, 0.0)):
        mean = Mean(torch.tensor(total), torch.tensor(weight))
        means.add_metric("policy/cov_selected", mean, torch.tensor(1000))
    values = means.reset(CPU)
    assert values["policy/kl"] == pytest.approx((0.5 * 2 + 0.2 * 8) / 10, abs=1e-15)  # 0.26
    assert values["policy/cov_selected"] == (3.0 + 5.0) / (1.0 + 3.0)  # 2, whatever the tokens


def test_a_maximum_is_over_all_updates_and_left_out_where_there_is_none() -> None:
    means = UpdateMeans()
    for value in (1.5, 4.0, -math.inf, 2.0):
        means.add_metric("policy/largest", Maximum(torch.tensor(value)), torch.tensor(100))
        means.add_metric("policy/none", Maximum(torch.tensor(-math.inf)), torch.tensor(100))
    assert means.reset(CPU) == {"policy/largest": 4.0}
    means.add_metric("policy/largest", Maximum(torch.tensor(1.0)), torch.tensor(1))
    assert means.reset(CPU) == {"policy/largest": 1.0}


def test_no_weight_leaves_the_key_out_and_reset_starts_again() -> None:
    means = UpdateMeans()
    assert means.reset(CPU) == {}
    means.add("policy/cov_selected", torch.tensor(0.0), 0.0)
    means.add("loss/policy", torch.tensor(4.0), 2.0)
    assert means.reset(CPU) == {"loss/policy": 2.0}
    means.add("loss/policy", torch.tensor(1.0), 1.0)
    assert means.reset(CPU) == {"loss/policy": 1.0}


def test_sums_are_float64_and_detached() -> None:
    """2^24 ones and one more: float32 sums stop growing there."""
    means = UpdateMeans()
    total = torch.tensor(float(2**24), requires_grad=True)
    means.add("count", total, 1.0)
    means.add("count", torch.tensor(1.0), 0.0)
    assert means.reset(CPU) == {"count": 2.0**24 + 1}


#: Two prompts, two samples: right and wrong; both wrong. Lengths 3, 1, 2, 2 of T = 3.
MASK = [[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 0]]
ENTROPIES = [[0.5, 1.0, 1.5], [2.0, 9.0, 9.0], [0.25, 0.75, 9.0], [1.0, 1.0, 9.0]]
OLD = [[-1.0, -1.0, -1.0], [-2.0, 9.0, 9.0], [-1.0, -1.0, 9.0], [-1.0, -1.0, 9.0]]
SAMPLER = [[-1.0, -1.5, -1.0], [-2.0, 0.0, 0.0], [-1.25, -1.0, 0.0], [-1.0, -0.75, 0.0]]


def rollout() -> Experience:
    mask_BT = torch.tensor(MASK).bool()
    return whole_experience(
        mask_BT,
        old_logprobs_BT=torch.tensor(OLD),
        entropies_BT=torch.tensor(ENTROPIES),
        sampler_logprobs_BT=torch.tensor(SAMPLER),
        rewards_B=torch.tensor([1.0, 0.0, 0.25, 0.25]),
        correct_B=torch.tensor([True, False, False, False]),
        truncated_B=torch.tensor([True, False, False, False]),
    )


def test_rollout_statistics_by_hand() -> None:
    """Padding holds 9 and must not count."""
    values = rollout_statistics(rollout(), 2, torch.tensor([True, False]))
    assert values == pytest.approx(
        {
            "rollout/reward": 0.375,  # 1.5 / 4
            "rollout/accuracy": 0.25,
            "rollout/length": 2.0,  # (3 + 1 + 2 + 2) / 4
            "rollout/truncated": 0.25,
            "rollout/unchecked": 0.0,
            "rollout/solved_all": 0.0,
            "rollout/solved_none": 0.5,  # the second prompt
            "rollout/no_signal": 0.5,  # its rewards are equal
            "rollout/groups": 2.0,
            "policy/sampler_gap": 0.125,  # (0.5 + 0.25 + 0.25) / 8
        },
        abs=1e-12,
    )


def test_a_rollout_counts_response_tokens_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    experience = rollout()
    plan = StepPlan(2, 2, 4, group_filter="mask")
    source = PromptSource(ChainArithmetic(), [], None, 1)
    monkeypatch.setattr(collect, "sample_groups", lambda *_: experience)
    monkeypatch.setattr(collect, "prepare", lambda *_: experience)
    result = collect.collect(context(plan), source, GRPO(), None, 3)
    # (0.5 + 1 + 1.5 + 2 + 0.25 + 0.75 + 1 + 1) / 8 tokens
    assert (result.entropy, result.tokens) == (pytest.approx(1.0, abs=1e-12), 8)
    assert (result.rl_step, result.group_size) == (3, 2)
    assert result.metrics == rollout_statistics(experience, 2, torch.tensor([True, False]))


def test_answer_entropy_only_where_answers_are_named() -> None:
    """Groups (5, 5) and (5, malformed): 0 and log 2, mean log(2) / 2 nats."""
    signal_P = torch.tensor([True, False])
    named = replace(rollout(), answers_B=torch.tensor([5, 5, 5, -1]))
    values, without = (rollout_statistics(e, 2, signal_P) for e in (named, rollout()))
    assert values.pop("entropy/answer") == pytest.approx(math.log(2) / 2, abs=1e-15)
    assert values == without and "entropy/answer" not in without
    # as one group of four: three against one
    one = rollout_statistics(named, 4, torch.tensor([True]))["entropy/answer"]
    assert one == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-15)


def test_solved_groups() -> None:
    changed = replace(rollout(), correct_B=torch.tensor([True, True, False, True]))
    values = rollout_statistics(changed, 2, torch.tensor([False, True]))
    assert values["rollout/accuracy"] == 0.75
    assert (values["rollout/solved_all"], values["rollout/solved_none"]) == (0.5, 0.0)
    four = rollout_statistics(changed, 4, torch.tensor([True]))  # the same rows as one group
    assert four["rollout/groups"] == 1.0
    assert (four["rollout/solved_all"], four["rollout/solved_none"]) == (0.0, 0.0)


def test_statistics_come_before_the_group_filter(
    make_experience: Callable[..., Experience],
) -> None:
    kept = make_experience(filter_groups=True)
    signal_P = torch.tensor([True, True, True, False])
    unfiltered = replace(kept, mask_BT=kept.response_mask_BT)
    assert not torch.equal(kept.mask_BT, unfiltered.mask_BT)
    assert rollout_statistics(kept, 4, signal_P) == rollout_statistics(unfiltered, 4, signal_P)
