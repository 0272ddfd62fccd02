"""Lemma 1 on the real module: one SGD update of a real rollout, over three decades of step size.

The predicted change is first order, so its relative error must shrink linearly with the step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from runs import CONFIGS, NO_FIGURE, experience_of, metrics
from torch import Tensor

from lit_entropy.cli.main import main
from lit_entropy.functional.agreement import relative_error
from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    second_order_prediction,
)
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Experience

RATES = (1e-6, 1e-5, 1e-4, 1e-3)


class Update(NamedTuple):
    """One update: the policy after it, the rollout it was made from, what the callback logged."""

    rate: float
    policy: Policy
    experience: Experience
    logged: dict[str, Any]


def one_update(folder: Path, rate: float) -> Update:
    """A real run of one RL step with a single plain SGD update, in float64."""
    name = f"rate{rate:g}"
    arguments = [
        NO_FIGURE, f"--run.folder={folder}", f"--run.name={name}", "--run.wandb=off",
        "--model.policy.model=chain-xs", "--model.loss=lit_entropy.losses.PolicyGradient",
        "--model.optimizer=torch.optim.SGD", f"--model.optimizer.lr={rate}",
        "--model.evaluation.samples=0", "--model.evaluation.pass_k=[]",
        "--model.max_new_tokens=24", "--data.task.validation_size=10",
        "--data.prompts_per_step=8", "--data.group_size=8", "--data.minibatch_size=64",
        "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=2",
        "--trainer.gradient_clip_val=null", "--trainer.precision=64-true",
        "--trainer.callbacks+=lit_entropy.callbacks.EntropyDynamics",
        "--trainer.callbacks.probe_prompts=10",
    ]  # fmt: skip
    cli = main(["fit", "--config", str(CONFIGS / "quickstart.yaml"), *arguments])
    logged = {key: column[-1] for key, column in metrics(folder, name).items()}
    return Update(rate, cli.model.policy, experience_of(cli), logged)


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> list[Update]:
    folder = tmp_path_factory.mktemp("lemma1")
    return [one_update(folder, rate) for rate in RATES]


@torch.no_grad()
def logits(policy: Policy, experience: Experience) -> Tensor:
    """float64 logits [N, V] of the response tokens from the whole model, head and all."""
    tokens_BL = torch.cat([experience.prompt_tokens_BS, experience.tokens_BT], dim=1)
    mask_BL = torch.cat([experience.prompt_mask_BS, experience.response_mask_BT], dim=1)
    positions_BL = (mask_BL.long().cumsum(1) - 1).clamp(min=0)
    output = policy.model(
        input_ids=tokens_BL, attention_mask=mask_BL.long(), position_ids=positions_BL
    ).logits
    assert output.dtype == torch.float64
    width = experience.tokens_BT.shape[1]
    return output[:, -width - 1 : -1][experience.response_mask_BT]


def errors(update: Update) -> tuple[float, float, float]:
    """Relative errors on the rollout's states: of the mean change, of the vector of changes, and
    of the latter with the second-order term."""
    before = logits(Policy("chain-xs").double(), update.experience)
    after = logits(update.policy.double(), update.experience)
    realised = entropy(after) - entropy(before)
    predicted = lemma1_prediction(before, after - before)
    second = predicted + second_order_prediction(before, after - before)
    mean = abs(float((predicted.mean() - realised.mean()) / realised.mean()))
    vector, better = relative_error(predicted, realised), relative_error(second, realised)
    assert vector is not None and better is not None
    return mean, vector, better


def order(values: list[float]) -> float:
    """Slope of log error against log step."""
    return float(np.polyfit(np.log(RATES), np.log(values), 1)[0])


def test_every_rate_saw_the_same_rollout(updates: list[Update]) -> None:
    first = updates[0].experience
    for update in updates[1:]:
        assert torch.equal(update.experience.tokens_BT, first.tokens_BT)


def test_the_error_shrinks_linearly_with_the_step(updates: list[Update]) -> None:
    mean, vector, better = map(list, zip(*map(errors, updates), strict=True))
    assert order(vector) == pytest.approx(1.0, abs=0.1)
    assert order(mean) == pytest.approx(1.0, abs=0.1)
    assert vector[0] < 1e-3 and mean[0] < 1e-3
    # with the second-order term the error is quadratic
    assert order(better) == pytest.approx(2.0, abs=0.2)


def test_the_callback_logs_the_same_law(updates: list[Update]) -> None:
    for states in ("fixed", "own"):
        key = f"dynamics/{states}/lemma1_relative_error"
        logged = [update.logged[key] for update in updates]
        assert order(logged) == pytest.approx(1.0, abs=0.1)
        assert logged[0] < 1e-3
    # the callback's own states are the whole rollout here: the independent numbers again
    for update in updates[1:]:
        _, vector, _ = errors(update)
        assert update.logged["dynamics/own/lemma1_relative_error"] == pytest.approx(
            vector, rel=1e-2
        )
