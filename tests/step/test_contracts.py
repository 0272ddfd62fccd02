"""What plug-ins return: a wrong type or shape is refused with class, expected and found."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prepared import ThreeTokens, context
from runs import ALONE, fit
from torch import Tensor

from lit_entropy.advantages import GRPO, AdvantageEstimator
from lit_entropy.advantages.controls import ShuffledAdvantages
from lit_entropy.callbacks.base import RolloutCallback
from lit_entropy.contracts import (
    checked_loss,
    checked_token_advantages,
    named_numbers,
    require_gradient,
)
from lit_entropy.errors import ContractError
from lit_entropy.losses import PolicyLoss, PPOClip, TruncatedImportance
from lit_entropy.regularizers import EntropyBonus, Regularizer
from lit_entropy.step.collector import Collector, checked_rollout
from lit_entropy.step.minibatch import RankPasses, select
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.scoring import estimate_advantages
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.tasks.rewards import answer_codes, reward_responses
from lit_entropy.types import (
    Completions,
    LossBatch,
    LossOutput,
    Maximum,
    Mean,
    PolicyOutput,
    Problem,
)

Make = Callable[..., LossBatch]


class Aggregated(PolicyLoss):
    """Divides by the tokens itself."""

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        loss_BT = -output.logprobs_BT * batch.advantages_BT
        return LossOutput(loss_BT[batch.mask_BT].mean())


class Bare(Regularizer):
    """Returns a tensor."""

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        return -output.entropy_BT  # type: ignore[return-value]


class Detached(PPOClip):
    """Has no gradient."""

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        loss = super().forward(output, batch)
        return replace(loss, token_loss_BT=loss.token_loss_BT.detach())


class DetachedBonus(EntropyBonus):
    """Has no gradient."""

    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        return LossOutput(super().forward(output, batch).token_loss_BT.detach())


class OneAGroup(AdvantageEstimator):
    """One advantage per prompt."""

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        return rewards_PG.mean(1, keepdim=True)


class OwnReward(GRPO):
    """Names a metric as the run names its own."""

    def metrics(self) -> dict[str, float]:
        return {"reward": 9.0}


class Forgetful(RolloutCallback):
    """Has no return."""

    def on_rollout(self, rollout: Any, ranks: Any) -> Any:
        len(rollout.experience)


NAME = "test_contracts."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--model.loss=test_contracts.Aggregated"],
            rf"{NAME}Aggregated\.forward, token_loss_BT: expected a floating-point tensor \[B, T\] "
            r"= \[16, \d+\], found a torch\.float32 tensor of shape \[\]; return one loss per tok",
        ),
        (
            ["--model.regularizers+=test_contracts.Bare"],
            rf"{NAME}Bare\.forward: expected a LossOutput, found a torch\.float32 tensor of shape "
            r"\[16, \d+\]; return LossOutput\(loss_BT, metrics\)",
        ),
        (
            ["--model.loss=test_contracts.Detached", "--model.regularizers+=EntropyBonus"],
            rf"{NAME}Detached\.forward: expected a loss with a gradient, found a torch\.float32",
        ),
        (
            ["--model.regularizers+=test_contracts.DetachedBonus"],
            rf"{NAME}DetachedBonus\.forward: expected a loss with a gradient, found a torch\.fl",
        ),
        (
            ["--model.advantage=test_contracts.OneAGroup", "--data.group_filter=none"],
            rf"{NAME}OneAGroup\.__call__: expected a floating-point tensor \[P, G\] = \[8, 4\], "
            r"found a torch\.float32 tensor of shape \[8, 1\]; return one advantage for each",
        ),
        (
            ["--model.advantage=test_contracts.OwnReward"],
            rf"{NAME}OwnReward\.metrics, 'rollout/reward': expected a key that the run does not "
            r"log itself, found a float \(9\.0\); choose another, my/reward say$",
        ),
        (
            ["--trainer.callbacks=test_contracts.Forgetful"],
            rf"{NAME}Forgetful\.on_rollout: expected a dict of numbers by key, found None; return",
        ),
    ],
)
def test_a_run_stops_at_the_first_call(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        fit(tmp_path, *ALONE, *arguments)


def plain(batch: LossBatch) -> PolicyOutput:
    return PolicyOutput(batch.old_logprobs_BT, torch.zeros_like(batch.old_logprobs_BT))


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        (0.5, r"found a float \(0\.5\)"),
        (torch.ones(4, 12), r"tensor of shape \[4, 12\]"),
        (torch.ones(1), r"tensor of shape \[1\]"),
        (Mean(torch.ones(3), torch.ones(())), r"found a Mean"),
        (Maximum(torch.ones(3)), r"found a Maximum"),
    ],
)
def test_metrics_of_a_loss(make_batch: Make, metric: Any, found: str) -> None:
    mask_BT = make_batch().mask_BT
    given = LossOutput(torch.zeros(mask_BT.shape), {"own": metric})
    with pytest.raises(ContractError, match=r"PPOClip\.forward, metrics\['own'\]: .*" + found):
        checked_loss(PPOClip(), given, mask_BT)
    half = torch.tensor(0.5)
    for good in (half, half.double(), Mean(half, half), Maximum(half)):
        output = replace(given, metrics={"own": good})
        assert checked_loss(PPOClip(), output, mask_BT) is output


def test_a_regularizer_that_rests_needs_no_gradient() -> None:
    zeros_BT = torch.zeros(2, 3)
    require_gradient(Bare(), zeros_BT, may_be_off=True)
    for loss_BT, may_be_off in ((zeros_BT, False), (zeros_BT + 0.5, True)):
        with pytest.raises(ContractError, match="detach nothing of it"):
            require_gradient(Bare(), loss_BT, may_be_off)


@pytest.mark.parametrize("shape", [(), (1,), (16, 1), (12,), (1, 12), (12, 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_loss_is_broadcast(make_batch: Make, shape: tuple[int, ...], dtype: Any) -> None:
    mask_BT = make_batch().mask_BT
    assert mask_BT.shape == (16, 12)
    with pytest.raises(ContractError, match=r"\[B, T\] = \[16, 12\]"):
        checked_loss(PPOClip(), LossOutput(torch.zeros(shape, dtype=dtype)), mask_BT)
    with pytest.raises(ContractError, match=r"found a torch\.bool tensor"):
        checked_loss(PPOClip(), LossOutput(mask_BT), mask_BT)


def test_a_wrapped_loss_is_named(make_batch: Make) -> None:
    batch = make_batch()
    with pytest.raises(ContractError, match=rf"{NAME}Aggregated\.forward"):
        TruncatedImportance(Aggregated())(plain(batch), batch)


class Indices(PPOClip):
    """Selects by numbers of tokens."""

    selects_tokens = True
    selection_logprobs = "old"

    def select(self, output: PolicyOutput, batch: LossBatch) -> Tensor:
        return output.logprobs_BT.topk(1).indices


def test_a_selection_is_a_mask(make_batch: Make, make_experience: Callable[..., Any]) -> None:
    step = context(StepPlan(4, 4, 16))
    passes = RankPasses(step.sampler, step.ranks, 1)
    message = r"Indices\.select: expected a bool tensor \[B, T\] = \[16, 12\], found a torch\.int64"
    with pytest.raises(ContractError, match=message):
        select(Indices(), make_batch(), make_experience().sequences, torch.arange(16), [], passes)
    with pytest.raises(ContractError, match=message):
        TruncatedImportance(Indices())(plain(make_batch()), make_batch())


class Gives(AdvantageEstimator):
    """Gives what a test says."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __call__(self, rewards_PG: Tensor) -> Tensor:
        return self.given(rewards_PG)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (lambda r: r.mean(1), r"tensor of shape \[3\]"),
        (lambda r: r.flatten(), r"tensor of shape \[12\]"),
        (lambda r: r > 0.5, "torch.bool tensor"),
        (lambda r: r.tolist(), "found a list"),
        (lambda r: None, "found None"),
    ],
)
def test_advantages(given: Any, found: str) -> None:
    rewards_PG, all_P = torch.rand(3, 4), torch.ones(3, dtype=torch.bool)
    with pytest.raises(ContractError, match=rf"Gives\.__call__: expected .*{found}"):
        estimate_advantages(Gives(given), rewards_PG, all_P)
    control = ShuffledAdvantages(Gives(given))
    control.on_rollout(0, 1)
    with pytest.raises(ContractError, match=r"Gives\.__call__: expected"):  # not the control's
        control(rewards_PG)


def test_token_advantages_have_the_shape_of_the_tokens() -> None:
    mask_BT = torch.ones(6, 5, dtype=torch.bool)
    message = r"GRPO\.token_advantages: expected .* \[6, 5\], found .* \[6, 1\]"
    with pytest.raises(ContractError, match=message):
        checked_token_advantages(GRPO(), torch.ones(6, 1), mask_BT)


class Says(ChainArithmetic):
    """Rewards, verdicts and answers as a test says."""

    def __init__(self, rewards: Any, right: Any = True, answer: Any = None) -> None:
        super().__init__()
        self.given, self.right, self.answer = rewards, right, answer

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> Any:
        return self.given

    def is_correct(self, problem: Problem, response: str, reward: float) -> Any:
        return self.right

    def answer_of(self, response: str) -> Any:
        return self.answer


TWO = [Problem(7, "1+1 ", "2")] * 2


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (None, "rewards: expected a list of 2 rewards, found None"),
        (1.0, r"rewards: expected a list of 2 rewards, found a float \(1\.0\)"),
        ("ab", "rewards: expected a list of 2 rewards, found a str"),
        ((value for value in (1.0, 0.0)), "found a generator"),
        (
            [1.0, "0.5"],
            r"rewards, response 1 \(to problem 7\): expected a number or None, found a str "
            r"\('0\.5'\)",
        ),
        ([[1.0], [0.0]], r"rewards, response 0 \(to problem 7\): .* found a list"),
        ([{}, 1.0], r"response 0 \(to problem 7\): .* found a dict \(\{\}\); give one for each"),
        ([1.0, 1j], r"response 1 \(to problem 7\): .* found a complex"),
        (np.array(["1", "0"]), r"response 0 \(to problem 7\): .* found a str_"),
        (np.array([None, 0.5j]), r"response 1 \(to problem 7\): .* found a complex"),
        (torch.ones(2, 1), r"rewards: expected a list of 2 rewards, found .* \[2, 1\]"),
        ({0: 1.0, 1: 0.0}, "found a dict"),
        ([1.0], "gave 1 rewards for 2 responses: give one for each"),
    ],
)
def test_rewards(rewards: Any, message: str) -> None:
    with pytest.raises(ContractError, match=rf"{NAME}Says\.?.*{message}"):
        reward_responses(Says(rewards), TWO, ["", ""], 1)


@pytest.mark.parametrize(
    "rewards", [[True, None], (1, 0.5), np.array([1.0, 0.5]), torch.tensor([1.0, 0.5]),
                [np.float32(1.0), torch.tensor(0.5)]]
)  # fmt: skip
def test_numbers_of_any_library_are_rewards(rewards: Any) -> None:
    found, _ = reward_responses(Says(rewards, np.bool_(True)), TWO, ["", ""], 1)
    assert found[0] == 1.0 and found[1] in (0.5, None)
    assert all(value is None or type(value) is float for value in found)


@pytest.mark.parametrize("right", [None, 0.7, "yes", torch.ones(2)])
def test_verdicts_and_answers(right: Any) -> None:
    with pytest.raises(ContractError, match=r"Says\.is_correct: expected True or False, found"):
        reward_responses(Says([1.0, 1.0], right), TWO, ["", ""], 1)
    with pytest.raises(ContractError, match=r"Says\.answer_of: expected a text or None, found a"):
        answer_codes(Says([], answer=7), ["", ""])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tokens_BT": torch.ones(2, 3)},
            r"tokens_BT: expected an int64 .* a torch\.float32",
        ),
        ({"tokens_BT": torch.ones(3, 3).long()}, r"tokens_BT: .* = \[2, 3\], found .* \[3, 3\]"),
        ({"mask_BT": torch.ones(2, 3).long()}, r"mask_BT: expected a bool"),
        ({"logprobs_BT": torch.ones(2)}, r"logprobs_BT: .* found .* \[2\]"),
        ({"logprobs_BT": None}, r"logprobs_BT: .* found None"),
        ({"entropies_BT": torch.ones(2, 4)}, r"entropies_BT: .* found .* \[2, 4\]"),
        ({"truncated_B": [False, True]}, r"truncated_B: expected a bool .* found a list"),
        ({"environment_BT": torch.ones(2, 1).bool()}, r"environment_BT: .* \[2, 1\]"),
    ],
)
def test_an_engine(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str) -> None:
    sampler = context(StepPlan(2, 2, 4)).sampler
    good = ThreeTokens().generate(None, [[1], [1]])  # type: ignore[arg-type]
    ids_B = torch.arange(2)
    assert isinstance(sampler.sample([[1], [1]], ids_B, ids_B, (0,)), Completions)
    monkeypatch.setattr(ThreeTokens, "generate", lambda *_, **__: replace(good, **changes))
    with pytest.raises(ContractError, match=rf"prepared\.ThreeTokens\.generate, {message}"):
        sampler.sample([[1], [1]], ids_B, ids_B, (0,))
    monkeypatch.setattr(ThreeTokens, "generate", lambda *_, **__: (good.tokens_BT, good.mask_BT))
    with pytest.raises(ContractError, match=r"generate: expected Completions, found a tuple"):
        sampler.sample([[1], [1]], ids_B, ids_B, (0,))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0], "expected a dict of numbers by key, found a list"),
        ({"a": torch.ones(3)}, r"on_updated, 'a': expected a number, found .* \[3\]"),
        ({"a": None}, "'a': expected a number, found None"),
        ({"a": "1.0"}, "'a': expected a number, found a str"),
        ({1: 1.0}, "a key: expected a text, found a int"),
    ],
)
def test_numbers_to_log(given: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        named_numbers(Forgetful(), "on_updated", given)
    good = {"a": 1, "b": np.float32(0.5), "c": torch.tensor(2.0), "d": True}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = named_numbers(Forgetful(), "on_updated", good)
    assert found == {"a": 1.0, "b": 0.5, "c": 2.0, "d": 1.0}


def test_a_collector_returns_a_rollout() -> None:
    with pytest.raises(ContractError, match=r"Collector\.collect: expected a Rollout, found None"):
        checked_rollout(Collector(), None, StepPlan(2, 2, 4))
