"""The contract of every exported advantage estimator, found by introspection."""

from __future__ import annotations

import inspect

import pytest
import torch

from lit_entropy import advantages
from lit_entropy.advantages import AdvantageEstimator, RandomRewards, ShuffledAdvantages

CONTROLS = (RandomRewards, ShuffledAdvantages)  # tests/advantages/test_controls.py
ESTIMATORS = [
    value
    for value in vars(advantages).values()
    if inspect.isclass(value)
    and issubclass(value, AdvantageEstimator)
    and not inspect.isabstract(value)
    and value not in CONTROLS
]
every_estimator = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)


def test_all_are_exported() -> None:
    names = {cls.__name__ for cls in ESTIMATORS}
    assert names >= {"GRPO", "DrGRPO", "RLOO", "ReinforcePlusPlus"}
    controls = {cls.__name__ for cls in CONTROLS}
    assert set(advantages.__all__) == names | controls | {"AdvantageEstimator"}


@every_estimator
def test_shape_mean_and_order(cls: type[AdvantageEstimator]) -> None:
    rewards = torch.rand(6, 8)
    result = cls()(rewards)
    assert result.shape == (6, 8) and result.dtype == torch.float32 and result.isfinite().all()
    assert result.sum().item() == pytest.approx(0.0, abs=1e-4)  # 48 float32 values of order one
    # a better reward in a group never has the smaller advantage
    assert torch.equal(result.argsort(1), rewards.argsort(1))
    torch.testing.assert_close(cls()(rewards + 10.0), result, rtol=1e-4, atol=1e-5)


@every_estimator
def test_permutations_of_prompts_and_samples(cls: type[AdvantageEstimator]) -> None:
    rewards = torch.rand(6, 8)
    prompts, samples = torch.randperm(6), torch.randperm(8)
    expected = cls()(rewards)[prompts][:, samples]
    torch.testing.assert_close(cls()(rewards[prompts][:, samples]), expected)


@every_estimator
def test_rewards_without_any_difference(cls: type[AdvantageEstimator]) -> None:
    assert torch.equal(cls()(torch.full((3, 7), 0.1)), torch.zeros(3, 7))


@every_estimator
def test_rewards_that_differ_by_rounding(cls: type[AdvantageEstimator]) -> None:
    rewards = torch.tensor([[1.0, 1.0, 1.0, 1.0 - 2**-24]] * 3)
    assert rewards[0, 3] < 1
    assert torch.equal(cls()(rewards), torch.zeros(3, 4))
