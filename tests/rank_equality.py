"""What it means that a run on two ranks is the run of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from runs import metrics
from two_ranks import FIELDS

NAME = "quickstart-seed0"


def state(folder: Path) -> dict[str, torch.Tensor]:
    """The weights in a run's last checkpoint."""
    path = folder / NAME / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same_run(
    one: Path, expected: dict[str, Any], two: Path, ranks: list[dict[str, Any]]
) -> None:
    """Selections and rollouts token for token; metrics and weights to rounding."""
    selections = expected["selections"]
    assert set(expected["rollout"]) == set(FIELDS)
    assert len(selections) == 4 and all(len(tokens) >= 3 for tokens in selections)
    for rank in ranks:
        assert rank["selections"] == selections
        assert rank["rollout"].keys() == expected["rollout"].keys()
        for name, value in expected["rollout"].items():
            # the second RL step's rollout is under weights that have been updated twice
            tolerance = 2e-3 if value.is_floating_point() else 0
            torch.testing.assert_close(
                rank["rollout"][name], value, rtol=tolerance, atol=tolerance, msg=name
            )
    values, found = metrics(one), metrics(two)
    measured = {key for key in values if not key.startswith("time/")}
    assert measured == {key for key in found if not key.startswith("time/")}
    for key in measured:
        # float32 sums over other batches; the second RL step also carries Adam's first updates
        np.testing.assert_allclose(found[key], values[key], rtol=2e-3, atol=2e-5, err_msg=key)
    exact = ["rollout/reward", "rollout/length", "rollout/groups", "policy/selected", "step"]
    for key in exact:  # the same tokens sampled
        np.testing.assert_allclose(found[key], values[key], rtol=0, atol=1e-7, err_msg=key)
    # before any update the gradient is the same but for the order of float32 sums
    np.testing.assert_allclose(
        found["policy/grad_norm"][1], values["policy/grad_norm"][1], rtol=2e-4
    )
    theirs = state(two)
    for name, value in state(one).items():
        # Adam's first steps are sign-like: a rounding difference may move a weight by part of lr
        torch.testing.assert_close(theirs[name], value, rtol=1e-3, atol=5e-5, msg=name)
