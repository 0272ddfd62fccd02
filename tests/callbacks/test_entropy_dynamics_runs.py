"""EntropyDynamics in a run: resume, ranks, cost, thinned states, and no influence on training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import fit, metrics, weights
from shared_launch import DYNAMICS, QUICK, Launched

from lit_entropy.callbacks import EntropyDynamics
from lit_entropy.cli.main import EntropyCLI

NAME = "quickstart-seed0"


def callback_of(cli: EntropyCLI) -> EntropyDynamics:
    callbacks: list[Any] = cli.trainer.callbacks
    (found,) = (callback for callback in callbacks if isinstance(callback, EntropyDynamics))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[EntropyCLI, dict[str, Any], Path]:
    """Three RL steps, measured at 1 and 3."""
    folder = tmp_path_factory.mktemp("dynamics")
    cli = fit(folder, *DYNAMICS, "--trainer.max_epochs=3")
    return cli, metrics(folder), folder


def test_resume_is_bit_equal(run: tuple[EntropyCLI, dict[str, Any], Path], tmp_path: Path) -> None:
    whole, columns, _ = run
    fit(tmp_path, *DYNAMICS, "--trainer.max_epochs=2")
    checkpoint = tmp_path / NAME / "checkpoints" / "last.ckpt"
    resumed = fit(tmp_path, *DYNAMICS, "--trainer.max_epochs=3", f"--ckpt_path={checkpoint}")
    ours = metrics(tmp_path)
    assert ours["step"].tolist() == columns["step"].tolist()
    for key in columns:
        if key.startswith("dynamics/"):
            np.testing.assert_array_equal(ours[key], columns[key], err_msg=key)
    one, two = callback_of(whole).state_dict(), callback_of(resumed).state_dict()
    assert one["history"] == two["history"] and len(one["history"]) == 2 and one["step"] == 3
    for name, tensor in one["probe"].items():
        assert torch.equal(two["probe"][name], tensor)
    assert torch.load(checkpoint, weights_only=True)["callbacks"]


def test_cost_is_counted_and_training_is_not_touched(
    run: tuple[EntropyCLI, dict[str, Any], Path], tmp_path: Path
) -> None:
    cli, columns, _ = run
    plain = fit(tmp_path, *QUICK, "--trainer.max_epochs=3")
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(cli)[name], tensor), name
    without = metrics(tmp_path)
    for key in without:
        if not key.startswith("time/"):
            np.testing.assert_array_equal(columns[key], without[key], err_msg=key)
    spent = dict(zip(columns["step"].tolist(), columns["time/diagnostics"].tolist(), strict=True))
    # a measured step pays for forward passes and a rollout, another for the bandit view alone
    assert spent[3] > spent[2] > 0


@pytest.mark.timeout(1000)
def test_two_ranks_log_what_one_logs(
    run: tuple[EntropyCLI, dict[str, Any], Path], on_two_ranks: Launched
) -> None:
    _, columns, _ = run
    two = metrics(on_two_ranks.folder("dynamics"))
    keys = [
        key for key in columns
        if key.startswith("dynamics/") and not np.isnan(columns[key][1])
    ]  # fmt: skip
    assert len(keys) > 60
    for key in keys:
        # float32 gradients over other batches, amplified by Adam's first step
        np.testing.assert_allclose(two[key][1], columns[key][1], rtol=5e-3, atol=5e-5, err_msg=key)


def test_thinned_states_change_no_split(
    run: tuple[EntropyCLI, dict[str, Any], Path], tmp_path: Path
) -> None:
    _, columns, _ = run
    fit(tmp_path, *DYNAMICS, "--trainer.callbacks.max_states=20", "--trainer.max_epochs=1")
    thinned = metrics(tmp_path)
    for name in ("delta", "fixed", "shift"):
        key = f"dynamics/on_policy/{name}"
        assert thinned[key][-1] == columns[key][1]
    assert thinned["dynamics/own/delta"][-1] != columns["dynamics/own/delta"][1]
    assert thinned["dynamics/own/lemma1_relative_error"][-1] < 1
