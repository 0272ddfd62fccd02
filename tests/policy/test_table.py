"""The softmax table as a policy of the module: its probes, its distributions, files, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from lit_entropy.policy import Policy
from lit_entropy.policy.miniature import Kind, Miniature
from lit_entropy.policy.probe import check_model
from lit_entropy.policy.table import SoftmaxTable
from lit_entropy.rollouts.cached import check_cache
from lit_entropy.rollouts.local import LocalEngine, evaluation_mode
from lit_entropy.types import Sequences

PROMPTS = [[3], [3], [5, 4, 2]]


def completed(policy: Policy) -> tuple[Sequences, torch.Tensor]:
    """Sampled responses and the sampler's log-probs."""
    ids_B = torch.arange(3)
    found = LocalEngine().generate(
        policy, PROMPTS, ids_B, ids_B, max_new_tokens=6, temperature=1.0, keys=(0, "test", 1)
    )
    rows = [[0] * (3 - len(prompt)) + prompt for prompt in PROMPTS]
    mask = [[False] * (3 - len(prompt)) + [True] * len(prompt) for prompt in PROMPTS]
    prompts_BS, mask_BS = torch.tensor(rows), torch.tensor(mask)
    return Sequences(found.tokens_BT, found.mask_BT, prompts_BS, mask_BS), found.logprobs_BT


@pytest.mark.parametrize("kind", ["table", "transformer"])
def test_it_passes_the_probes_of_every_policy(kind: Kind) -> None:
    policy = Miniature(kind)
    check_model("miniature", policy.model, policy.model_inputs)
    with evaluation_mode(policy):
        check_cache(policy)
    sequences, sampled_BT = completed(policy)
    output = policy(sequences, 1.0)
    assert torch.allclose(output.logprobs_BT, sampled_BT, atol=1e-5)


def test_logits_are_the_row_of_the_last_token() -> None:
    policy = Miniature(words=6)
    assert isinstance(policy.model, SoftmaxTable)
    table_VV = policy.model.table.weight.detach()
    sequences, logprobs_BT = completed(policy)
    logits_BTV = policy.logits(sequences)
    last_BT = torch.cat([sequences.prompt_tokens_BS[:, -1:], sequences.tokens_BT[:, :-1]], 1)
    mask_BT = sequences.mask_BT
    assert torch.equal(logits_BTV[mask_BT], table_VV[last_BT[mask_BT]])
    own_BT = table_VV.log_softmax(-1)[last_BT, sequences.tokens_BT]
    assert torch.allclose(own_BT[mask_BT], logprobs_BT[mask_BT], atol=1e-6)


def test_a_state_moves_alone() -> None:
    policy = Miniature(words=6)
    sequences, _ = completed(policy)
    policy(sequences, 1.0).logprobs_BT.sum().backward()
    moved_V = policy.model.table.weight.grad.abs().sum(-1) > 0
    last_BT = torch.cat([sequences.prompt_tokens_BS[:, -1:], sequences.tokens_BT[:, :-1]], 1)
    assert set(moved_V.nonzero().flatten().tolist()) == set(last_BT[sequences.mask_BT].tolist())


@pytest.mark.parametrize("kind", ["table", "transformer"])
def test_a_saved_one_is_an_ordinary_model(kind: Kind, tmp_path: Path) -> None:
    policy = Miniature(kind, words=6, seed=3)
    policy.save(tmp_path)
    loaded = Policy(str(tmp_path))
    for name, value in policy.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert AutoConfig.from_pretrained(tmp_path).model_type in ("softmax_table", "qwen2")
    assert loaded.tokenizer.encode("w3 w0") == policy.tokenizer.encode("w3 w0") == [5, 2]


def test_weights_are_a_function_of_the_seed_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, again, other = Miniature(seed=0), Miniature(seed=0), Miniature(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    tables = [each.model.table.weight for each in (one, again, other)]
    assert torch.equal(tables[0], tables[1]) and not torch.equal(tables[0], tables[2])
    assert float(tables[0].detach().std()) == pytest.approx(1.0, abs=0.15)  # 18 x 18 draws


def test_the_transformer_has_the_table_spread() -> None:
    prompts_B1 = torch.arange(2, 18)[:, None]
    spread = {}
    for kind in ("table", "transformer"):
        logits_BV = Miniature(kind, spread=2.0).model(input_ids=prompts_B1).logits[:, -1]
        spread[kind] = float(logits_BV.std(-1).mean())
    assert spread["table"] == pytest.approx(2.0, rel=0.1)
    assert spread["transformer"] == pytest.approx(2.0, rel=0.25)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "tree"}, r"kind='tree': use 'table' or 'transformer'"),
        ({"words": 3}, r"words=3: use at least 4"),
        ({"spread": 0.0}, r"spread=0.0 must be above 0"),
    ],
)
def test_arguments_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Miniature(**options)


def test_packing_is_refused_in_words(tmp_path: Path) -> None:
    Miniature(words=6).save(tmp_path)
    with pytest.raises(ValueError, match=r"SoftmaxTable\.forward takes no position_ids; set mo"):
        Policy(str(tmp_path), packing=True)
