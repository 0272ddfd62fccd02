"""What an environment wrote: in the context of later tokens, and never scored."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import ALONE, fit
from shared_launch import DIALOGUES, Launched
from two_ranks import arguments, run

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.step.sampler import Sampler, check_masks
from lit_entropy.types import Completions


class Hidden(LocalEngine):
    """Takes the second token of each response out of the mask, as if it were not to be scored."""

    def generate(self, *arguments: Any, **options: Any) -> Completions:
        result = super().generate(*arguments, **options)
        mask_BT = result.mask_BT.clone()
        mask_BT[:, 1] = False
        return replace(result, mask_BT=mask_BT)


def made(mask: list[list[int]], environment: list[list[int]] | None = None) -> Completions:
    mask_BT = torch.tensor(mask, dtype=torch.bool)
    zeros_BT = torch.zeros(mask_BT.shape)
    return Completions(
        zeros_BT.long(), mask_BT, zeros_BT, None, torch.zeros(len(mask_BT), dtype=torch.bool),
        None if environment is None else torch.tensor(environment, dtype=torch.bool),
    )  # fmt: skip


def test_masks() -> None:
    check_masks(made([[1, 1, 1], [1, 0, 0], [1, 1, 0]]), "Mine")
    check_masks(made([[1, 1, 1], [1, 0, 0]], [[0, 1, 0], [0, 0, 0]]), "Mine")
    for bad in (
        made([[1, 1, 1], [1, 0, 1]]),
        made([[1, 1, 1], [0, 1, 1]]),
        made([[1, 1, 1], [1, 0, 1]], [[0, 0, 0], [0, 1, 0]]),  # attention and loss are two masks
        made([[1, 1, 1], [1, 1, 0]], [[0, 0, 0], [0, 0, 1]]),
    ):
        with pytest.raises(ValueError, match=r"model\.engine=Mine: mask_BT of row 1 .*environment"):
            check_masks(bad, "Mine")


def test_entropies_of_an_engine_count_where_the_policy_sampled() -> None:
    """Whatever it reports on what an environment wrote, and on padding."""
    completions = made([[1, 1, 1], [1, 1, 0]], [[0, 1, 0], [0, 0, 0]])
    completions.entropies_BT = torch.tensor([[0.5, 9.0, 0.25], [1.0, 2.0, math.nan]])
    sampler = Sampler(Policy("chain-xs"), LocalEngine())
    entropies_BT = sampler.entropies([[3], [4]], completions)
    assert entropies_BT.tolist() == [[0.5, 0.0, 0.25], [1.0, 2.0, 0.0]]


def test_a_run_with_a_hole_is_refused_at_its_first_rollout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.engine=Hidden: mask_BT of row 0 leaves out"):
        fit(tmp_path, *ALONE, "--model.engine=test_environment.Hidden")


def test_dialogues_on_two_ranks_are_those_of_one(tmp_path: Path, on_two_ranks: Launched) -> None:
    expected = run(arguments(tmp_path, *DIALOGUES))["rollout"]
    environment_BT, mask_BT = expected["environment_BT"], expected["response_mask_BT"]
    assert environment_BT.any(1).sum() > 1 and not (environment_BT & mask_BT).any()
    assert not environment_BT.any(1).all()
    for rank in on_two_ranks.results["dialogues"]:
        assert rank["rollout"].keys() == expected.keys()
        for name, value in expected.items():
            tolerance = 1e-4 if value.is_floating_point() else 0
            torch.testing.assert_close(
                rank["rollout"][name], value, rtol=tolerance, atol=tolerance, msg=name
            )
