"""Groups of a rollout: sample names, the group filter, joining, advantages, forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from experiences import whole_experience
from hypothesis import given
from hypothesis import strategies as st
from prepared import context, prepared
from torch import Tensor

from lit_entropy.advantages import GRPO, AdvantageEstimator, ReinforcePlusPlus
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.errors import NonFiniteError
from lit_entropy.functional.answer_entropy import answer_code
from lit_entropy.step.collect import (
    collect,
    concatenate,
    filter_groups,
    has_signal,
    occurrence_offsets,
    widen,
)
from lit_entropy.step.plan import GroupFilter, StepPlan
from lit_entropy.step.scoring import estimate_advantages, forward_parts
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.tasks.prompt_source import PromptSource
from lit_entropy.tasks.rewards import answer_codes, reward_responses
from lit_entropy.types import Experience, Problem

Make = Callable[..., Experience]


def problem(id: int) -> Problem:
    return Problem(id, "1+1 ", "2")


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 8))
def test_no_two_samples_share_a_name(ids: list[int], group_size: int) -> None:
    offsets = occurrence_offsets([problem(id) for id in ids], group_size)
    names = [(id, offset + g) for id, offset in zip(ids, offsets, strict=True)
             for g in range(group_size)]  # fmt: skip
    assert len(set(names)) == len(names) == len(ids) * group_size
    for id in set(ids):  # the samples of a problem are numbered without a gap
        own = sorted(sample for name, sample in names if name == id)
        assert own == list(range(len(own)))


def test_offsets_by_hand() -> None:
    problems = [problem(id) for id in (7, 3, 7, 7, 3)]
    assert occurrence_offsets(problems, 8) == [0, 0, 8, 16, 8]


def test_has_signal() -> None:
    rewards_PG = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [-0.5, 0.5, 0.0]])
    assert has_signal(rewards_PG).tolist() == [False, False, True, True]
    noise_PG = torch.tensor([[0.1, 0.1], [0.1, 0.1 + 1e-7], [0.1, 0.1 + 1e-5]])
    assert has_signal(noise_PG).tolist() == [False, False, True]
    assert has_signal(torch.tensor([[1.0]])).tolist() == [False]  # a single sample compares nothing


class Scored(ChainArithmetic):
    """Rewards by the response's length; right from a reward of 2 on."""

    def reward(self, problem: Problem, response: str) -> float:
        return {"bad": float("nan"), "huge": float("inf")}.get(response, float(len(response)))

    def is_correct(self, problem: Problem, response: str, reward: float) -> bool:
        return reward >= 2


class Unnamed(ChainArithmetic):
    """A task that does not name answers, as by default."""

    answer_of = Task.answer_of  # type: ignore[assignment]


def test_answer_codes() -> None:
    codes = answer_codes(ChainArithmetic(), ["#4", "1+3=4;#4", "#5", "4", ""])
    assert codes is not None and codes.dtype == torch.int64
    assert codes[0] == codes[1] != codes[2] and codes[3:].tolist() == [-1, -1]
    assert codes[:3].tolist() == [answer_code("4"), answer_code("4"), answer_code("5")]
    assert not Unnamed().names_answers and answer_codes(Unnamed(), ["#4"]) is None


def test_score() -> None:
    problems = [problem(1), problem(1), problem(2)]
    assert reward_responses(Scored(), problems, ["a", "abc", ""], 3) == (
        [1.0, 3.0, 0.0],
        [False, True, False],
    )
    for response, value in (("bad", "nan"), ("huge", "inf")):
        with pytest.raises(NonFiniteError, match=f"problem 2 is {value} at RL step 3: Scored"):
            reward_responses(Scored(), problems, ["a", "a", response], 3)


class Noisy(ChainArithmetic):
    """One problem's rewards differ by a rounding error, the other's by a tenth."""

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[float | None]:
        return [0.7, 0.7 + 1e-7, 0.7 - 1e-7, 0.7, 0.7, 0.8, 0.7, 0.7]


class Ranked(AdvantageEstimator):
    """An estimator that has no tolerance: the place of a reward among those of its group."""

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        below_PGG = rewards_PG[:, :, None] > rewards_PG[:, None, :]
        return below_PGG.float().sum(2) - (below_PGG.transpose(1, 2)).float().sum(2)


@pytest.mark.parametrize("estimator", [Ranked(), GRPO(), ReinforcePlusPlus(group_baseline=True)])
def test_rounding_is_no_signal_for_any_estimator(
    monkeypatch: pytest.MonkeyPatch, estimator: AdvantageEstimator
) -> None:
    task, plan = Noisy(), StepPlan(2, 4, 8, group_filter="mask")
    given = torch.tensor(task.rewards([], []))
    assert len(given[:4].unique()) > 1  # in float32 too
    source = PromptSource(task, [problem(1), problem(2)], None, 1)
    monkeypatch.setattr(PromptSource, "encode", lambda *_: [[1, 2], [1, 2]])
    rollout = collect(context(plan), source, estimator, None, 1)
    experience = rollout.experience
    assert experience.rewards_B.tolist() == pytest.approx([0.7] * 5 + [0.8, 0.7, 0.7])
    assert len(experience.rewards_B.unique()) == 2
    assert not experience.advantages_BT[:4].any() and experience.advantages_BT[5, 0] > 0
    assert experience.mask_BT.any(1).tolist() == [False] * 4 + [True] * 4
    assert rollout.metrics["rollout/no_signal"] == 0.5
    assert rollout.metrics["rollout/solved_all"] == 1.0


def test_one_half_plus_rounding_is_not_above_one_half() -> None:
    assert 1.1 - 0.6 > 0.5
    assert not Task.is_correct(ChainArithmetic(), problem(1), "", 1.1 - 0.6)
    assert Task.is_correct(ChainArithmetic(), problem(1), "", 0.50001)


SIGNAL = [False, True, True, False, True, False]


def filtered(
    make: Make, prompts: int, group_filter: GroupFilter
) -> tuple[Experience, Experience, Tensor, Tensor]:
    """The samples, what is trained on, its rows and the groups of the objective."""
    before = make(P=6, G=2, T=5)
    plan = StepPlan(prompts, 2, 2 * prompts, group_filter=group_filter)
    rows, trained_P = filter_groups(before, plan, torch.tensor(SIGNAL))
    return before, prepared(before, plan, rows, trained_P), rows, trained_P


def test_no_filter_trains_on_every_group(make_experience: Make) -> None:
    before, after, rows, trained_P = filtered(make_experience, 6, "none")
    assert rows.tolist() == list(range(12)) and trained_P.all()
    assert torch.equal(after.mask_BT, before.response_mask_BT)


def test_mask_removes_the_tokens_of_groups_without_signal(make_experience: Make) -> None:
    before, after, rows, trained_P = filtered(make_experience, 6, "mask")
    assert rows.tolist() == list(range(12))
    assert trained_P.tolist() == SIGNAL
    for row in range(12):
        expected = before.response_mask_BT[row] if SIGNAL[row // 2] else torch.zeros(5).bool()
        assert torch.equal(after.mask_BT[row], expected)
    assert torch.equal(after.response_mask_BT, before.response_mask_BT)
    assert before.mask_BT.any(1).all()  # the samples given are not changed


@pytest.mark.parametrize(
    ("prompts", "chosen", "trained"),
    [
        (3, [1, 2, 4], [1, 2, 4]),  # as many as wanted
        (2, [1, 2], [1, 2]),  # surplus: the first drawn, the third group is not trained on
        (4, [0, 1, 2, 4], [1, 2, 4]),  # short: the first without signal fills up, masked
    ],
)
def test_resampled_groups(
    make_experience: Make, prompts: int, chosen: list[int], trained: list[int]
) -> None:
    before, after, rows, trained_P = filtered(make_experience, prompts, "resample")
    assert rows.tolist() == [row for group in chosen for row in (2 * group, 2 * group + 1)]
    assert trained_P.nonzero().flatten().tolist() == trained
    for row in range(12):
        expected = before.response_mask_BT[row] & (row // 2 in trained)
        assert torch.equal(after.mask_BT[row], expected)


@given(st.lists(st.booleans(), min_size=4, max_size=12), st.integers(1, 4), st.integers(2, 3))
def test_the_filter_keeps_whole_groups_in_the_order_of_their_draw(
    signal: list[bool], prompts: int, group_size: int
) -> None:
    count = len(signal) * group_size
    samples = whole_experience(torch.ones(count, 2, dtype=torch.bool))
    plan = StepPlan(prompts, group_size, prompts * group_size)
    rows, trained_P = filter_groups(samples, plan, torch.tensor(signal))
    groups_PG = rows.view(prompts, group_size) // group_size
    assert (groups_PG == groups_PG[:, :1]).all()
    groups = groups_PG[:, 0].tolist()
    assert groups == sorted(set(groups))
    assert int(trained_P.sum()) == min(sum(signal), prompts)  # signal is preferred
    trained_B = trained_P.repeat_interleave(group_size)
    assert int(trained_B[rows].sum()) == min(sum(signal), prompts) * group_size


def test_concatenate_pads_prompts_left_and_responses_right(make_experience: Make) -> None:
    narrow = make_experience(P=2, G=2, T=4, prompt_tokens=3, seed=1)
    wide = make_experience(P=3, G=2, T=7, prompt_tokens=2, seed=2)
    joined = concatenate([narrow, wide])
    assert len(joined) == 10
    assert joined.tensors().keys() == narrow.tensors().keys()
    for name, value in joined.tensors().items():
        if name.endswith("_BT"):
            assert value.shape == (10, 7)
            assert torch.equal(value[:4, :4], narrow.tensors()[name])
            assert not value[:4, 4:].any()  # zeros on the right
            assert torch.equal(value[4:], wide.tensors()[name])
        elif name.endswith("_BS"):
            assert value.shape == (10, 3)
            assert torch.equal(value[:4], narrow.tensors()[name])
            assert not value[4:, :1].any()  # zeros on the left
            assert torch.equal(value[4:, 1:], wide.tensors()[name])
        else:
            assert torch.equal(value, torch.cat([narrow.tensors()[name], wide.tensors()[name]]))
        assert value.dtype == narrow.tensors()[name].dtype


def test_widen_is_undone_by_trimming(make_experience: Make) -> None:
    experience = make_experience(P=2, G=2, T=6)
    wider = widen(experience, 5 + 3, 11)
    assert wider.response_mask_BT.shape == (4, 11) and wider.prompt_mask_BS.shape == (4, 8)
    sequences = experience.sequences.trimmed().tensors()
    for name, value in wider.sequences.trimmed().tensors().items():
        assert torch.equal(value, sequences[name])
    for name, value in wider.tensors().items():
        columns = slice(3, None) if name.endswith("_BS") else slice(6)
        inside = value if name.endswith("_B") else value[:, columns]
        assert torch.equal(inside, experience.tensors()[name])
    assert concatenate([experience]) is experience


def test_advantages_of_trained_groups_do_not_mix_with_the_others() -> None:
    """Whitening over the two trained groups: mean 0.5, as if nothing else had been sampled."""
    rewards_PG = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    trained_P = torch.tensor([True, False, True, False])
    estimator = ReinforcePlusPlus(epsilon=0.0)
    advantages_PG = estimate_advantages(estimator, rewards_PG, trained_P)
    # rewards 1, 0, 0, 1: mean 1/2, unbiased std sqrt(4 * 1/4 / 3) = 0.57735; 0.5 / 0.57735
    assert advantages_PG[0].tolist() == pytest.approx([0.8660254, -0.8660254], abs=1e-6)
    assert torch.equal(advantages_PG[trained_P], estimator(rewards_PG[trained_P]))
    assert torch.equal(advantages_PG[~trained_P], estimator(rewards_PG[~trained_P]))
    alone = estimator(rewards_PG)
    changed = rewards_PG.clone()
    changed[1] = 0.0  # other rewards of a filtered group: the batch statistics move, ours do not
    assert not torch.equal(estimator(changed)[0], alone[0])
    again = estimate_advantages(estimator, changed, trained_P)
    assert torch.equal(again[trained_P], advantages_PG[trained_P])


@pytest.mark.parametrize("trained", [True, False])
def test_advantages_when_all_or_none_are_trained_on(trained: bool) -> None:
    rewards_PG = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    advantages_PG = estimate_advantages(GRPO(), rewards_PG, torch.full((2,), trained))
    assert torch.equal(advantages_PG, GRPO()(rewards_PG))


@pytest.mark.parametrize("accumulation", [1, 2, 4])
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("surplus", [0, 1, 5])
def test_forward_passes_cover_every_row_once(
    accumulation: int, world_size: int, surplus: int
) -> None:
    """Over all ranks; first the microbatches of the first pass, then the replaced groups."""
    plan = StepPlan(8, 2, 8, microbatches=accumulation)
    total = 16 + 2 * surplus
    trained = torch.arange(total)[2 * surplus :] if surplus else torch.arange(16)
    covered: list[int] = []
    lengths_B = torch.arange(total) * 7 % 5
    for rank in range(world_size):
        step = context(plan, Ranks(rank, world_size))
        parts = forward_parts(step, trained, lengths_B, 3)
        covered += torch.cat(parts.all).tolist()
        minibatch = plan.minibatches(trained, 3, 0)[0]
        assert torch.equal(parts.minibatch, minibatch)
        first = minibatch[rank::world_size]
        size = 8 // accumulation // world_size
        assert torch.equal(parts.first[0], first[:size])  # so the first ratios are exactly 1
        assert [len(rows) for rows in parts.first] == [size] * accumulation
        assert all(0 < len(rows) <= 4 * size for rows in parts.others)
        assert lengths_B[torch.cat(parts.others)].diff().min() >= 0  # rows of like length together
    assert sorted(covered) == list(range(total))


def test_optional_fields_stay_none(make_experience: Make) -> None:
    """Through filter and join."""
    before, after, *_ = filtered(make_experience, 6, "mask")
    assert before.sampler_entropies_BT is None and before.answers_B is None
    for record in (after, concatenate([after, after])):
        assert record.sampler_entropies_BT is None and record.answers_B is None
    assert before.reference_logprobs_BT is not None  # made without a reference policy
    assert after.reference_logprobs_BT is None
