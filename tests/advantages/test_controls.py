"""The controls: draws by hand, what they keep, what they break, and their pure keys."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_entropy.advantages import GRPO, RLOO, AdvantageEstimator, DrGRPO, ReinforcePlusPlus
from lit_entropy.advantages.controls import RandomRewards, ShuffledAdvantages
from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.rng import permutation, uniforms

INNER = [GRPO, RLOO, DrGRPO, ReinforcePlusPlus]
REWARDS = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
every_control = pytest.mark.parametrize("control", [RandomRewards, ShuffledAdvantages])


class Rewards(AdvantageEstimator):
    """The rewards themselves, so that a test sees what the inner estimator is given."""

    def __call__(self, rewards_PG: torch.Tensor) -> torch.Tensor:
        return rewards_PG


class TokenRewards(Rewards):
    def token_advantages(self, advantages_PG, rollout):  # type: ignore[no-untyped-def]
        return rollout.experience.rewards_B[:, None]


def at(control: AdvantageEstimator, rl_step: int = 1, seed: int = 0) -> AdvantageEstimator:
    control.on_rollout(seed, rl_step)
    return control


def test_random_rewards_by_the_counter() -> None:
    control = at(RandomRewards(Rewards(), 0.3), rl_step=7, seed=4)
    drawn = control(REWARDS)
    expected = [
        [float(uniforms(4, "random-rewards", 7, 1, 4 * p + g)) < 0.3 for g in range(4)]
        for p in range(3)
    ]
    assert drawn.tolist() == [[float(value) for value in row] for row in expected]
    assert 0 < drawn.sum() < 12
    # the second call of a step (groups without signal) draws anew
    assert not torch.equal(control(REWARDS), drawn)


def test_shuffled_advantages_by_the_counter() -> None:
    control = at(ShuffledAdvantages(Rewards()), rl_step=7, seed=4)
    values = torch.arange(12.0).view(3, 4)
    order = permutation(12, 4, "shuffled-advantages", 7, 1)
    assert control(values).flatten().tolist() == order.tolist()
    assert control(values).flatten().tolist() != order.tolist()


@given(st.integers(1, 6), st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=30)
def test_random_rewards_do_not_see_the_true_ones(prompts: int, group: int, step: int) -> None:
    first = at(RandomRewards(GRPO()), step)(torch.rand(prompts, group))
    again = at(RandomRewards(GRPO()), step)(torch.zeros(prompts, group))
    assert torch.equal(first, again) and first.dtype == torch.float32
    torch.testing.assert_close(first.sum(1), torch.zeros(prompts), rtol=0, atol=1e-4)


@pytest.mark.parametrize("cls", INNER)
def test_shuffling_keeps_the_values(cls: type[AdvantageEstimator]) -> None:
    rewards = torch.rand(6, 8)
    plain, shuffled = cls()(rewards), at(ShuffledAdvantages(cls()))(rewards)
    assert shuffled.shape == (6, 8) and shuffled.dtype == torch.float32
    assert torch.equal(shuffled.flatten().sort().values, plain.flatten().sort().values)
    assert not torch.equal(shuffled, plain)
    moved = (shuffled != plain).float().mean()
    assert moved > 0.8  # over all responses, not within groups alone
    assert (shuffled.sum(1).abs() > 1e-3).any() or cls is ReinforcePlusPlus


@pytest.mark.parametrize(("probability", "count"), [(0.0, 0), (1.0, 4000)])
def test_certain_draws(probability: float, count: int) -> None:
    assert at(RandomRewards(Rewards(), probability))(torch.rand(500, 8)).sum() == count


def test_share_of_ones() -> None:
    drawn = at(RandomRewards(Rewards(), 0.25))(torch.zeros(500, 8))
    # Binomial(4000, 1/4): four standard deviations
    assert abs(float(drawn.sum()) - 1000) < 4 * math.sqrt(4000 * 0.25 * 0.75)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_covariance_vanishes_in_expectation() -> None:
    """Log-probs that go with the rewards: strong covariance, none once shuffled."""
    rewards = (torch.rand(32, 8) < 0.5).float()
    logprobs_B1 = (rewards - 1.0).flatten()[:, None]  # a right response is likelier
    mask_B1 = torch.ones_like(logprobs_B1, dtype=torch.bool)

    def mean_covariance(advantages: torch.Tensor) -> float:
        return float(token_covariance(logprobs_B1, advantages.flatten()[:, None], mask_B1).mean())

    true = mean_covariance(GRPO()(rewards))
    control = ShuffledAdvantages(GRPO())
    shuffled = torch.tensor([mean_covariance(at(control, step)(rewards)) for step in range(200)])
    error = float(shuffled.std()) / math.sqrt(200)
    assert true > 0.4
    assert 4 * error < true / 10  # sharp enough to see a tenth of the true one
    assert abs(float(shuffled.mean())) < 4 * error


@every_control
def test_draws_are_a_pure_function_of_seed_and_step(control: type) -> None:
    rewards = torch.rand(5, 6)
    first = at(control(GRPO()), 3)(rewards)
    resumed = control(GRPO())
    torch.rand(11)  # the global generator's state must not matter
    assert torch.equal(at(resumed, 3)(rewards), first)
    assert not torch.equal(at(resumed, 4)(rewards), first)
    assert not torch.equal(at(resumed, 3, seed=1)(rewards), first)
    assert torch.equal(at(resumed, 3)(rewards), first)  # whatever was called in between


@every_control
def test_the_inner_estimator_is_told_and_asked(control: type) -> None:
    inner = RandomRewards(GRPO())
    wrapped = at(control(inner), 3, seed=2)
    assert wrapped(REWARDS).shape == REWARDS.shape  # the inner control has its key
    assert wrapped.min_group_size == 2 and control(Rewards()).min_group_size == 1
    assert wrapped.state_dict() == {} and wrapped.metrics() == {}
    with pytest.raises(ValueError, match="GRPO has no state"):
        wrapped.load_state_dict({"weight": torch.zeros(1)})


@every_control
def test_without_a_key_no_draw(control: type) -> None:
    with pytest.raises(RuntimeError, match=rf"{control.__name__} has no key .* on_rollout"):
        control(GRPO())(REWARDS)


@every_control
def test_token_advantages_from_true_rewards_are_refused(control: type) -> None:
    with pytest.raises(ValueError, match="inner is TokenRewards"):
        control(TokenRewards())


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_probability_is_a_fraction(probability: float) -> None:
    with pytest.raises(ValueError, match="probability="):
        RandomRewards(GRPO(), probability)
