"""Compiled decoding steps: the tokens of uncompiled ones, one graph for all rows and lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from other_models import save_model
from test_llama import GROUPED, continued
from torch._dynamo.utils import counters

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.rollouts.llama_step import LlamaContinuation, by_products, by_sums

BACKENDS = ["eager", pytest.param("inductor", marks=pytest.mark.slow)]  # a minute to compile


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (6, 6), (6, 2), (6, 1)])
def test_both_kinds_of_attention(heads: int, kv_heads: int) -> None:
    """And a third: each row and head alone, over the keys that are no padding."""
    rows, columns, size, scaling = 3, 7, 4, 0.3
    queries = torch.randn(rows, heads, size, dtype=torch.float64)
    keys, values = torch.randn(2, rows, kv_heads, columns, size, dtype=torch.float64)
    padding = torch.tensor([0, 2, 6])
    bias = torch.zeros(rows, columns, dtype=torch.float64)
    bias[torch.arange(columns) < padding[:, None]] = -torch.inf
    bias_N1L = bias.repeat_interleave(kv_heads, 0)[:, None]
    expected = torch.zeros(rows, heads, size, dtype=torch.float64)
    for row in range(rows):
        for head in range(heads):
            place = row, head // (heads // kv_heads), slice(int(padding[row]), None)
            weights = (keys[place] @ queries[row, head] * scaling).softmax(0)
            expected[row, head] = weights @ values[place]
    for attend in (by_products, by_sums):
        found = attend(queries, (keys, values), bias_N1L, scaling)
        torch.testing.assert_close(found, expected.flatten(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model_type", ["llama", "qwen2"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_the_uncompiled_step(tmp_path: Path, model_type: str, backend: str) -> None:
    folder = save_model(tmp_path, model_type, **GROUPED)
    plain, compiled = Policy(folder).double().eval(), Policy(folder, compile=backend).double()
    expected = continued(plain, LlamaContinuation)
    found = continued(compiled.eval(), LlamaContinuation)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_tokens_from_one_graph(backend: str) -> None:
    """Rows are dropped as they end, two batches of other sizes follow, the weights move."""
    plain, compiled = Policy("chain-s"), Policy("chain-s", compile=backend)

    def draw(policy: Policy, rows: int) -> Any:
        prompts = [[3 + row % 8 + place for place in range(2 + row % 5)] for row in range(rows)]
        ids = torch.arange(rows)
        return LocalEngine().generate(
            policy, prompts, ids // 8, ids % 8, max_new_tokens=40, temperature=1.0, keys=(1,)
        )

    torch._dynamo.reset()
    before = counters["stats"]["unique_graphs"]
    for rows in (67, 33, 21, 12):  # 64, the width of its states, would be a graph apart
        found, expected = draw(compiled, rows), draw(plain, rows)
        assert torch.equal(found.tokens_BT, expected.tokens_BT)
        assert torch.equal(found.truncated_B, expected.truncated_B)
        torch.testing.assert_close(found.logprobs_BT, expected.logprobs_BT, rtol=1e-4, atol=2e-5)
        with torch.no_grad():
            for policy in (plain, compiled):
                policy.model.lm_head.weight.mul_(1.1)
    assert counters["stats"]["unique_graphs"] - before == 1
