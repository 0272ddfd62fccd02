"""The check of cached decoding before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from other_models import MAMBA2, MINIMAX, NEMOTRON_H, save_model
from runs import fit

from lit_entropy.policy import Policy
from lit_entropy.policy.dry_run import dry_run
from lit_entropy.rollouts import LocalEngine
from lit_entropy.rollouts.spare import SpareLayer

NO_CACHE = "does not decode with a cache of keys and values.*VLLMEngine"
OTHER = r"LocalEngine cannot sample from {}.*up to .* nats\); use VLLMEngine"


@pytest.mark.parametrize(
    ("model_type", "config", "message"),
    [
        ("mamba", {}, NO_CACHE),
        ("mamba2", MAMBA2, NO_CACHE),
        ("minimax", MINIMAX, OTHER.format("MiniMaxForCausalLM")),
        # time steps are bounded below in the whole pass alone: 4e-4 nats of rounding's 5e-7
        ("nemotron_h", NEMOTRON_H, OTHER.format("NemotronHForCausalLM")),
    ],
)
def test_refused(tmp_path: Path, model_type: str, config: dict[str, Any], message: str) -> None:
    policy = Policy(save_model(tmp_path, model_type, **config))
    with pytest.raises(ValueError, match=message):
        LocalEngine().setup(policy)
    assert policy.training


@pytest.mark.parametrize("model_type", ["llama", "gemma3_text", "bloom", "lfm2"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_accepted(tmp_path: Path, model_type: str, dtype: Any) -> None:
    LocalEngine().setup(Policy(save_model(tmp_path, model_type), dtype=dtype))


def test_a_cache_whose_rows_are_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(save_model(tmp_path, "llama"))
    keep = SpareLayer.reorder_cache

    def mixed_up(layer: SpareLayer, rows_B: torch.Tensor) -> None:
        keep(layer, rows_B.flip(0))

    monkeypatch.setattr(SpareLayer, "reorder_cache", mixed_up)
    with pytest.raises(ValueError, match="decoding with its cache gives other log-probs"):
        LocalEngine().setup(policy)


def test_a_run_stops_before_its_first_rollout(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "mamba")
    with pytest.raises(ValueError, match=NO_CACHE):
        fit(tmp_path, f"--model.policy.model={folder}")


def test_a_dry_run_has_no_numbers(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "mamba")
    with dry_run():
        policy = Policy(folder)
    assert policy.model.device == torch.device("meta")
    LocalEngine().setup(policy)
