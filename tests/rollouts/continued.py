"""Rows that are continued token by token, in double precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from other_models import save_model
from torch import Tensor, nn

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.cached import Continuation, prefill
from lit_entropy.rollouts.recorded import Record

PROMPTS = [[5, 6, 7, 8, 9], [5, 6], [5, 6], [3, 4, 5, 6]]


def double(folder: Path, model_type: str, **config: Any) -> Policy:
    return Policy(save_model(folder, model_type, **config)).double().eval()


def exact_norms(monkeypatch: pytest.MonkeyPatch, *kinds: type[nn.Module]) -> None:
    """Norms of these kinds without transformers' rounding to float32."""
    for kind in kinds:
        monkeypatch.setattr(kind, "forward", _exact_norm_of(kind))


def _exact_norm_of(kind: type[nn.Module]) -> Any:
    """A forward of norms without rounding, which passes for that of ``kind``."""

    def forward(norm: Any, states: Tensor) -> Tensor:
        scale = (states.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt()
        return norm.weight * states * scale

    forward.__module__ = kind.__module__
    return forward


@torch.no_grad()
def continued(policy: Policy, kind: type[Continuation], record: Record | None = None) -> Tensor:
    """Logits after twelve tokens of rows of which some are dropped and repeated on the way."""
    logits_BV, rows = prefill(policy, PROMPTS, 12, record)
    assert type(rows) is kind
    found = [logits_BV.flatten()]
    count = len(PROMPTS)
    for step in range(12):
        if step in (4, 9):
            keep = torch.tensor([[3, 0, 1, 1, 2], [1, 3]][step == 9])
            rows.keep(keep)
            count = len(keep)
        tokens_B = (torch.arange(count) * 5 + 3 * step) % 17 + 2
        found.append(rows.next_logits(tokens_B).flatten().clone())
    return torch.cat(found)
