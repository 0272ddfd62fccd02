"""The implicit process reward: hand values, loops, gradients, padding."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lit_entropy.functional.advantage import leave_one_out
from lit_entropy.functional.implicit_reward import (
    area_under_curve,
    outcome_cross_entropy,
    pair_accuracy,
    process_returns,
    process_rewards,
    scaled_to_largest_return,
)


def ragged(B: int, T: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rewards with NaN on the padding, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    mask_BT = torch.arange(T) < torch.randint(1, T + 1, (B, 1), generator=generator)
    rewards_BT = torch.randn(B, T, generator=generator, dtype=torch.float64)
    return rewards_BT.masked_fill(~mask_BT, float("nan")), mask_BT


def test_process_rewards_by_hand() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, float("nan")]])
    reference = torch.tensor([[-3.0, -1.0, 0.0]])
    mask = torch.tensor([[True, True, False]])
    assert process_rewards(logprobs, reference, mask, 0.5).tolist() == [[1.0, -0.5, 0.0]]


def test_returns_by_hand() -> None:
    """Two prompts of two responses; means 2, 4 and -1, 0.5."""
    rewards = torch.tensor(
        [[1.0, 3.0, 9.0], [4.0, 9.0, 9.0], [-1.0, 9.0, 9.0], [1.0, -1.0, 1.5]],
    )
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1]]).bool()
    # baselines are the other's mean: 4, 2, 0.5, -1
    centred = [[-3.0, -1.0, 0.0], [2.0, 0.0, 0.0], [-1.5, 0.0, 0.0], [2.0, 0.0, 2.5]]
    plain = [[-4.0, -1.0, 0.0], [2.0, 0.0, 0.0], [-1.5, 0.0, 0.0], [4.5, 2.5, 2.5]]
    assert process_returns(rewards, mask, 2).tolist() == plain
    halved = [[-3.5, -1.0, 0.0], [2.0, 0.0, 0.0], [-1.5, 0.0, 0.0], [2.625, 1.25, 2.5]]
    assert process_returns(rewards, mask, 2, gamma=0.5).tolist() == halved
    assert process_returns(rewards, mask, 2, gamma=0.0).tolist() == centred


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_returns_by_loops(gamma: float) -> None:
    P, G, T = 3, 4, 9
    rewards, mask = ragged(P * G, T)
    actual = process_returns(rewards, mask, G, gamma)
    lengths = mask.sum(1).tolist()
    for i in range(P * G):
        group = range(i // G * G, i // G * G + G)
        means = [sum(rewards[j, : lengths[j]].tolist()) / lengths[j] for j in group if j != i]
        baseline = sum(means) / (G - 1)
        for t in range(T):
            expected = sum(
                gamma ** (s - t) * (rewards[i, s].item() - baseline) for s in range(t, lengths[i])
            )
            assert actual[i, t].item() == pytest.approx(expected, abs=1e-12)


def test_a_single_token_is_rloo() -> None:
    rewards = torch.randn(12, 1)
    returns = process_returns(rewards, torch.ones(12, 1).bool(), 4)
    torch.testing.assert_close(returns.view(3, 4), leave_one_out(rewards.view(3, 4)))


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_padding_and_order_change_nothing(seed: int, more: int) -> None:
    rewards, mask = ragged(8, 6, seed)
    expected = process_returns(rewards, mask, 4)
    wide = torch.cat([rewards, torch.full((8, more), float("inf"))], 1)
    wide_mask = torch.cat([mask, torch.zeros(8, more, dtype=torch.bool)], 1)
    actual = process_returns(wide, wide_mask, 4)
    torch.testing.assert_close(actual[:, :6], expected, rtol=1e-12, atol=1e-13)
    assert not actual[:, 6:].any() and not actual[~wide_mask].any()
    order = torch.tensor([7, 4, 6, 5, 2, 0, 3, 1])
    torch.testing.assert_close(process_returns(rewards[order], mask[order], 4), expected[order])


def test_one_sample_has_no_baseline() -> None:
    with pytest.raises(ValueError, match="group_size=1"):
        process_returns(torch.ones(3, 2), torch.ones(3, 2).bool(), 1)


def test_scaling_by_the_largest_return() -> None:
    """Returns 3 2 | 1 -4 | 40 of which the last row is not compared: everything over 4."""
    rewards = torch.tensor([[1.0, 2.0], [5.0, -4.0], [40.0, 0.0]])
    compared = torch.tensor([True, True, False])
    expected = [[0.25, 0.5], [1.25, -1.0], [10.0, 0.0]]
    assert scaled_to_largest_return(rewards, compared, epsilon=0.0).tolist() == expected
    nothing = scaled_to_largest_return(rewards, torch.zeros(3).bool(), epsilon=0.0)
    assert nothing.flatten().tolist() == pytest.approx([x / 40 for x in [1, 2, 5, -4, 40, 0]])
    assert not scaled_to_largest_return(torch.zeros(3, 2), compared).any()
    returns = scaled_to_largest_return(torch.randn(5, 7), torch.ones(5).bool()).flip(1).cumsum(1)
    assert returns.abs().max().item() == pytest.approx(1.0, abs=1e-5)


def test_cross_entropy_and_its_gradient() -> None:
    """The gradient of a token's log-prob is beta (sigmoid(logit) - outcome)."""
    reference, mask = ragged(4, 5)
    logprobs = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    outcomes = torch.tensor([1.0, 0.0, 0.25, 1.0], dtype=torch.float64)
    beta = 0.3
    loss = outcome_cross_entropy(process_rewards(logprobs, reference, mask, beta), outcomes)
    loss.sum().backward()
    assert logprobs.grad is not None
    for i in range(4):
        length = int(mask[i].sum())
        ratio = (logprobs[i, :length] - reference[i, :length]).sum().item()
        right = 1 / (1 + math.exp(-beta * ratio))
        y = outcomes[i].item()
        expected = -y * math.log(right) - (1 - y) * math.log(1 - right)
        assert loss[i].item() == pytest.approx(expected, rel=1e-12)
        gradient = logprobs.grad[i].tolist()
        assert gradient[:length] == pytest.approx([beta * (right - y)] * length, rel=1e-12)
        assert gradient[length:] == [0.0] * (5 - length)


def test_cross_entropy_of_extreme_logits_is_finite() -> None:
    loss = outcome_cross_entropy(torch.tensor([[500.0], [-500.0]]), torch.tensor([0.0, 0.0]))
    assert loss.tolist() == [500.0, 0.0]


def test_ranking_by_counting_pairs() -> None:
    scores = torch.randint(0, 4, (24,), generator=torch.Generator().manual_seed(3)).double()
    labels = torch.rand(24, generator=torch.Generator().manual_seed(4)) < 0.4

    def share(pairs: list[tuple[int, int]]) -> float:
        won = [
            (scores[i] > scores[j]).item() + (scores[i] == scores[j]).item() / 2 for i, j in pairs
        ]
        return sum(won) / len(won)

    pairs = [(i, j) for i in range(24) for j in range(24) if labels[i] and not labels[j]]
    inside = [(i, j) for i, j in pairs if i // 6 == j // 6]
    assert 0 < len(inside) < len(pairs)
    assert area_under_curve(scores, labels) == pytest.approx(share(pairs), abs=1e-12)
    assert pair_accuracy(scores.view(4, 6), labels.view(4, 6)) == pytest.approx(share(inside))
    assert share(pairs) != pytest.approx(share(inside), abs=1e-3)


def test_ranking_needs_both_labels() -> None:
    scores = torch.arange(4.0)
    assert area_under_curve(scores, torch.ones(4).bool()) is None
    by_prompt = torch.tensor([[True, True], [False, False]])
    assert pair_accuracy(scores.view(2, 2), by_prompt) is None
    assert area_under_curve(scores, by_prompt.flatten()) == 0.0
