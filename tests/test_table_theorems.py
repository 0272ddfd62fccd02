"""Theorems 1 and 2 on the real module: a table, exact expectations, SGD, one update per rollout.

Predictions come from the policy before the update, the rewards and the learning rate alone; the
realised change from the policy after a real run of one RL step.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from runs import ALONE, rollout_of
from torch import Tensor

from lit_entropy.cli.main import EntropyCLI, main
from lit_entropy.functional.agreement import (
    relative_error,
    sign_agreement,
    slope_through_origin,
    squared_correlation,
)
from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    theorem1_prediction,
    theorem2_prediction,
)
from lit_entropy.functional.enumeration import centred_rewards, state_actions
from lit_entropy.policy.miniature import Miniature
from lit_entropy.types import Experience

CONTEXTS, ACTIONS = 8, 18


class Step(NamedTuple):
    """One RL step: the rate, logits [8, 18] before and after, and what was trained on."""

    rate: float
    before_NV: Tensor
    after_NV: Tensor
    experience: Experience

    @property
    def advantages_NV(self) -> Tensor:
        """Exact advantages of every action in every prompt's state."""
        rewards_NV = torch.zeros(CONTEXTS, ACTIONS).double()
        rows = self.experience
        rewards_NV[rows.prompt_ids_B, rows.tokens_BT[:, 0]] = rows.rewards_B.double()
        return centred_rewards(rewards_NV, self.before_NV.log_softmax(-1))

    @property
    def realised_N(self) -> Tensor:
        return entropy(self.after_NV) - entropy(self.before_NV)


def run(folder: Path, *arguments: str) -> EntropyCLI:
    """One RL step by the real command line."""
    words = ["--config", "base", "--config", "experiment/table", f"--run.folder={folder}"]
    fixed = ["--run.wandb=off", "--trainer.max_epochs=1", *ALONE]
    return main(["fit", *words, *arguments, *fixed])


def step(folder: Path, rate: float, *arguments: str) -> Step:
    cli = run(folder, *arguments, f"--model.optimizer.lr={rate}")
    rows_NV = slice(2, 2 + CONTEXTS)
    tables = [p.model.table.weight.detach().double() for p in (Miniature(), cli.model.policy)]
    before_NV, after_NV = (table_VV[rows_NV] for table_VV in tables)
    return Step(rate, before_NV, after_NV, rollout_of(cli).experience)


RATES = {"theorem1": (0.08, 0.8, 8.0), "theorem2": (0.005, 0.05, 0.5)}
NATURAL = ("--config", "experiment/table_natural")


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Step]]:
    folder = tmp_path_factory.mktemp("table")
    return {
        "theorem1": [step(folder, rate) for rate in RATES["theorem1"]],
        "theorem2": [step(folder, rate, *NATURAL) for rate in RATES["theorem2"]],
    }


def prediction(name: str, made: Step) -> Tensor:
    """From the policy before, the rewards and the known step size."""
    if name == "theorem1":  # each of 8 prompts is an eighth of the objective
        return theorem1_prediction(made.before_NV, made.advantages_NV, made.rate / CONTEXTS)
    return theorem2_prediction(made.before_NV, made.advantages_NV, made.rate)


@pytest.mark.parametrize("name", ["theorem1", "theorem2"])
def test_predicted_is_realised_as_the_step_shrinks(name: str, steps: dict[str, list[Step]]) -> None:
    found = []
    for made in steps[name]:
        pair = prediction(name, made), made.realised_N
        found.append([
            squared_correlation(*pair), slope_through_origin(*pair),
            sign_agreement(*pair), relative_error(*pair),
        ])  # fmt: skip
    r2, slope, sign, error = np.array(found, dtype=float).T
    assert r2[0] > 0.9999 and r2[1] > 0.999
    assert slope[0] == pytest.approx(1.0, abs=2e-3) and slope[1] == pytest.approx(1.0, abs=2e-2)
    assert sign[0] == sign[1] == 1.0
    # the error of a first-order prediction shrinks with the step
    order = np.polyfit(np.log(RATES[name]), np.log(error), 1)[0]
    assert order == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("name", ["theorem1", "theorem2"])
def test_the_step_is_the_one_of_the_proof(name: str, steps: dict[str, list[Step]]) -> None:
    made = steps[name][0]
    change_NV = made.after_NV - made.before_NV
    if name == "theorem1":
        expected_NV = made.rate / CONTEXTS * made.before_NV.softmax(-1) * made.advantages_NV
    else:
        expected_NV = made.rate * made.advantages_NV
    shift_N1 = (change_NV - expected_NV).mean(-1, keepdim=True)
    assert torch.allclose(change_NV, expected_NV + shift_N1, atol=1e-4 * float(change_NV.norm()))
    lemma1_N = lemma1_prediction(made.before_NV, change_NV)
    assert torch.allclose(lemma1_N, prediction(name, made), rtol=1e-3, atol=1e-8)


def test_responses_of_several_tokens(tmp_path: Path) -> None:
    """Every response of two tokens: the states are the last tokens, shared over the prompts."""
    words, actions, rate = 4, 6, 0.5
    sizes = [f"--model.policy.words={words}", "--model.max_new_tokens=2", "--data.group_size=31",
             "--data.prompts_per_step=2", "--data.minibatch_size=62",
             "--data.task.contexts=2", "--data.task.held_out=2"]  # fmt: skip
    cli = run(tmp_path, *sizes, f"--model.optimizer.lr={rate}")
    rows = rollout_of(cli).experience
    before_VV = Miniature(words=words).model.table.weight.detach().double()
    after_VV = cli.model.policy.model.table.weight.detach().double()
    states_BT = torch.cat([rows.prompt_tokens_BS[:, -1:], rows.tokens_BT[:, :-1]], 1)
    mask_BT = rows.response_mask_BT
    logprobs_B = (before_VV.log_softmax(-1)[states_BT, rows.tokens_BT] * mask_BT).sum(1)
    rewards_PR = rows.rewards_B.double().view(2, 31)
    advantages_B = centred_rewards(rewards_PR, logprobs_B.view(2, 31)).flatten()
    weights_B = logprobs_B.exp() / 2
    found = state_actions(states_BT, rows.tokens_BT, mask_BT, weights_B, advantages_B, actions)
    eta_V = rate * found.share_V
    visited_V = found.share_V > 0
    predicted_V = eta_V * theorem1_prediction(before_VV, found.advantages_VV)
    realised_V = entropy(after_VV) - entropy(before_VV)
    assert bool((realised_V[~visited_V] == 0).all()) and int(visited_V.sum()) == 5
    pair = predicted_V[visited_V], realised_V[visited_V]
    assert squared_correlation(*pair) > 0.999
    assert slope_through_origin(*pair) == pytest.approx(1.0, abs=0.02)
    assert sign_agreement(*pair) == 1.0


def test_a_group_that_is_not_every_response(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.group_size=9: .* probability 0\.\d+ together"):
        run(tmp_path, "--data.group_size=9", "--data.minibatch_size=72")
    with pytest.raises(ValueError, match=r"natural=True needs responses of one token: set model"):
        run(tmp_path, *NATURAL, "--model.max_new_tokens=2", "--data.group_size=307",
            "--data.minibatch_size=2456")  # fmt: skip
