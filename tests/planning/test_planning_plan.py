"""What fits, what mends it, and how a plan grows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from shapes import small_work

from lit_entropy.planning.hardware import HARDWARE, Rates
from lit_entropy.planning.plan import Plan, growth, make_plan, remedies
from lit_entropy.planning.shape import shape_of
from lit_entropy.policy.dry_run import published_config

SHAPES = {
    name: shape_of(published_config(name))
    for name in ("qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b", "qwen2.5-32b")
}


def plan_of(name: str, devices: int = 1, gpu: str = "h100", **changes: object) -> Plan:
    settings: dict[str, object] = {
        "shape": SHAPES[name],
        "prompts": 32,
        "samples": 8,
        "minibatch": 64,
        "prompt_tokens": 256.0,
        "max_prompt_tokens": 512,
        "response_tokens": 512.0,
        "max_new_tokens": 1024,
        "engine_rows": 32,
    }
    return make_plan(small_work(**(settings | changes)), devices, HARDWARE[gpu], Rates())


def test_the_ranks_of_a_machine_load_together() -> None:
    N = 32_763_876_352
    for devices, ranks in ((1, 1), (8, 8), (32, 8)):
        plan = plan_of("qwen2.5-32b", devices, strategy="fsdp2")
        assert plan.host_memory == ranks * 4 * N


def test_a_run_that_fits_needs_nothing() -> None:
    plan = plan_of("qwen2.5-0.5b", minibatch=8, checkpointing=True)
    assert plan.fits
    assert remedies(plan) == ([], plan)


def test_the_cheapest_remedy_comes_first() -> None:
    plan = plan_of("qwen2.5-0.5b", minibatch=16)
    assert plan.memory.phases["update"] > 80e9 > plan.memory.phases["rollout"]
    advice, mended = remedies(plan)
    assert advice == ["model.policy.gradient_checkpointing=true"]
    assert mended.fits and mended.work == replace(plan.work, checkpointing=True)


def test_smaller_microbatches_are_the_fewest_that_fit() -> None:
    plan = plan_of("qwen2.5-1.5b", checkpointing=True, prompts=64, minibatch=512)
    advice, mended = remedies(plan)
    parts = mended.work.accumulation
    assert advice == [f"trainer.accumulate_grad_batches={parts}"]
    assert mended.fits
    coarser = replace(plan.work, accumulation=parts // 2)
    assert not make_plan(coarser, 1, plan.hardware, plan.rates).fits


def test_sharding_is_proposed_where_there_are_devices() -> None:
    plan = plan_of("qwen2.5-7b", 8, strategy="ddp", checkpointing=True, accumulation=8)
    advice, mended = remedies(plan)
    assert advice == ["--config=configs/strategy/fsdp2.yaml"]
    assert mended.fits and mended.work.strategy == "fsdp2"


def test_one_device_ends_with_another_experiment_or_more_devices() -> None:
    plan = plan_of("qwen2.5-32b", gpu="rtx4090")
    advice, mended = remedies(plan)
    assert advice[0] == "model.policy.gradient_checkpointing=true"
    assert advice[-1].startswith("devices=")
    assert any(item.startswith("LoRA rank=32") for item in advice)
    assert mended.devices > 1 and mended.work.strategy == "fsdp2"
    # a rollout with the training weights gathers them all: 65.5 GB or 131 GB fit no 24 GB
    assert not mended.fits


def test_devices_are_proposed_that_divide_the_sizes() -> None:
    sizes: dict[str, Any] = {"prompts": 12, "minibatch": 24, "accumulation": 24, "reference": True}
    advice, mended = remedies(plan_of("qwen2.5-32b", checkpointing=True, **sizes))
    # the microbatches of a rank, which are fewer there, and not 8 devices
    assert advice == ["trainer.accumulate_grad_batches=6", "devices=4, sharded (FSDP2)"]
    assert (mended.devices, mended.work.accumulation) == (4, 6)
    grown = {label for label, _ in growth(mended, {})}
    assert "2 devices" in grown and "8 devices" not in grown


def test_an_engine_that_cannot_hold_a_sequence_does_not_fit() -> None:
    tight = {"engine": "own", "engine_bytes": 2, "checkpointing": True, "accumulation": 8}
    sharded = {"strategy": "fsdp2", "numbers": "low"}
    plan = plan_of("qwen2.5-7b", 8, engine_memory=0.19, **tight, **sharded)
    assert 2 * SHAPES["qwen2.5-7b"].parameters > 0.19 * 80e9  # 15.2 GB
    assert plan.memory.peak < 80e9 and not plan.fits
    assert plan_of("qwen2.5-7b", 8, engine_memory=0.25, **tight, **sharded).fits


def test_the_engines_share_is_raised_or_lowered() -> None:
    sharded: dict[str, object] = {"strategy": "fsdp2", "numbers": "low", "engine": "own"}
    sharded |= {"engine_bytes": 2, "checkpointing": True, "accumulation": 8, "max_new_tokens": 512}
    short = plan_of("qwen2.5-7b", 8, engine_memory=0.19, **sharded)
    advice, mended = remedies(short)
    assert advice == ["model.engine.memory_fraction=0.75"] and mended.fits
    # 25 GB of a reward model beside 70 GB of an engine
    crowded = plan_of("qwen2.5-1.5b", 8, engine_memory=0.875, reward_model=True, **sharded)
    assert crowded.memory.peak > 80e9 and crowded.engine_fits
    advice, mended = remedies(crowded)
    assert advice == ["model.engine.memory_fraction=0.4375"] and mended.fits


@pytest.mark.parametrize("part", ["reference", "reward_model"])
def test_adapters_are_not_proposed_where_they_are_refused(part: str) -> None:
    advice, _ = remedies(plan_of("qwen2.5-32b", gpu="rtx4090", **{part: True}))
    assert advice and not any(item.startswith("LoRA") for item in advice)


def test_hours_are_those_of_all_devices() -> None:
    plan = plan_of("qwen2.5-0.5b", 4, rl_steps=90)
    assert plan.device_hours == pytest.approx(4 * 90 * plan.seconds.total / 3600)
    served = plan_of("qwen2.5-0.5b", 4, rl_steps=90, engine="elsewhere")
    assert served.device_hours == pytest.approx(8 * 90 * served.seconds.total / 3600)


def test_growth_changes_one_thing_at_a_time() -> None:
    plan = plan_of("qwen2.5-1.5b", 4, strategy="fsdp2", accumulation=16)
    grown = dict(growth(plan, SHAPES))
    assert grown["model qwen2.5-1.5b"].memory == plan.memory
    sizes = [grown[f"model {name}"] for name in SHAPES]
    assert all(
        small.memory.peak < large.memory.peak and small.seconds.total < large.seconds.total
        for small, large in pairwise(sizes)
    )
    longer = grown["responses up to 2048 tokens"]
    assert longer.work == replace(plan.work, max_new_tokens=2048, response_tokens=1024.0)
    assert longer.flops.tokens == 2 * plan.flops.tokens
    assert longer.flops.update > 2 * plan.flops.update * 512 / 768  # prompts stay as long
    wide = grown["8 devices"]
    assert wide.work.accumulation == 8 and wide.devices == 8
    assert wide.memory.update["optimizer"] == plan.memory.update["optimizer"] / 2
    assert {"2 devices", "16 devices"} < grown.keys()
