"""A run whose engine knows no entropies reports the same ones as a run whose engine does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import experience_of, fit, metrics

from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import Completions


class Blind(LocalEngine):
    """The local engine without entropies, as an engine that gives log-probs of samples alone."""

    runs_policy = False

    def generate(self, *arguments: Any, **options: Any) -> Completions:
        return replace(super().generate(*arguments, **options), entropies_BT=None)


def test_entropies_come_from_the_policy(tmp_path: Path) -> None:
    small = ["--model.policy.model=chain-xs", "--model.temperature=0.8", "--trainer.max_epochs=1"]
    small += ["--trainer.check_val_every_n_epoch=1", "--model.evaluation.temperature=0.7"]
    seeing = fit(tmp_path / "seeing", *small)
    blind = fit(tmp_path / "blind", *small, "--model.engine=test_entropies.Blind")
    expected, given = experience_of(seeing), experience_of(blind)
    assert torch.equal(given.tokens_BT, expected.tokens_BT)
    # float32 with and without a KV cache, in other batches
    torch.testing.assert_close(given.entropies_BT, expected.entropies_BT, rtol=1e-4, atol=2e-5)
    assert float(given.entropies_BT[given.response_mask_BT].min()) > 0
    assert not given.entropies_BT[~given.response_mask_BT].any()
    columns = {name: metrics(tmp_path / name) for name in ("seeing", "blind")}
    for name in ("val/entropy", "entropy/token_mean"):
        pairs = zip(columns["blind"][name], columns["seeing"][name], strict=True)
        values = [pair for pair in pairs if pair[1] == pair[1]]
        assert values and all(a == pytest.approx(b, rel=1e-5) for a, b in values), name
