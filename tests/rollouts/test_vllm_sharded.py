"""A policy that is split over two ranks, handed to a server whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_vllm import State, serve
from runs import CONFIGS, metrics
from test_vllm_server import SHORT
from two_ranks import arguments, launch

from lit_entropy.rollouts.weights import fingerprint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_two_ranks_hand_over_what_they_hold_together(tmp_path: Path) -> None:
    """The fingerprint of the parts is that of the whole; 21 rows, so that the parts are unequal."""
    state = State("chain-xs")
    (tmp_path / "weights").mkdir()
    with serve(state) as url:
        options = [
            "--config", str(CONFIGS / "strategy" / "fsdp2.yaml"), "--trainer.devices=2",
            "--model.policy.model=chain-xs", "--trainer.callbacks=null",
            "--model.engine=lit_entropy.rollouts.VLLMServerEngine", f"--model.engine.url={url}",
            f"--model.engine.weights_folder={tmp_path / 'weights'}",
            "--model.engine.gap_tolerance=1e-4",
        ]  # fmt: skip
        launch(tmp_path, [arguments(tmp_path, *options, *SHORT)])
    assert state.policy.vocab_size % 2 == 1
    assert state.label == f"{fingerprint(state.policy) % 2**64:016x}"
    assert [path for path, _ in state.requests].count("/collective_rpc") == 3  # by one rank alone
    gaps = metrics(tmp_path)["policy/sampler_gap"]
    assert len(gaps) == 2 and max(gaps) < 1e-5
    assert not list((tmp_path / "weights").iterdir())
