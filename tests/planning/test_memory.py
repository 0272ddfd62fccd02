"""Bytes by hand, and the formula of activations against the tensors that autograd saves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shapes import SMALL, small_work
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from lit_entropy.planning.memory import (
    activations,
    head,
    layer_activation,
    loading,
    memory,
    states,
    working_copies,
)
from lit_entropy.planning.sampling import cache_token, engine_room
from lit_entropy.planning.shape import shape_of
from lit_entropy.planning.workload import Numbers
from lit_entropy.policy.dry_run import published_config

SEVEN = shape_of(published_config("Qwen/Qwen2.5-7B"))


def test_states_of_qwen_7b_by_hand() -> None:
    N = 7_615_616_512
    work = small_work(shape=SEVEN)
    assert states(work, 1) == {"weights": 4 * N, "gradients": 4 * N, "optimizer": 8 * N}
    assert sum(states(work, 1).values()) == 121_849_864_192
    sharded = states(replace(work, strategy="fsdp2"), 8)
    assert sum(sharded.values()) == 16 * N / 8
    copied = states(replace(work, strategy="ddp", weight_bytes=2), 8)
    assert copied["gradient_buckets"] == 2 * N
    assert sum(copied.values()) == (2 + 2 + 4 + 2) * N


def test_the_other_models_of_a_run() -> None:
    N = 7_615_616_512
    work = small_work(shape=SEVEN, reference=True, reward_model=True, strategy="fsdp2")
    assert states(work, 4)["reference"] == N  # 4 bytes over 4 devices
    assert states(work, 4)["reward_model"] == 16 * N  # never sharded


def test_every_rank_loads_whole_models() -> None:
    N = 7_615_616_512
    work = small_work(shape=SEVEN, strategy="fsdp2")
    assert loading(work) == 4 * N
    assert loading(replace(work, loaded_bytes=2, reference=True, reward_model=True)) == 6 * N


def test_a_fused_optimizer_needs_no_temporaries() -> None:
    """A copy of each trained number, sharded as the weights are, unless one pass changes them."""
    N = 7_615_616_512
    work = small_work(shape=SEVEN, strategy="fsdp2")
    assert memory(work, 4, 80e9).step["optimizer_temporaries"] == N  # 4 bytes over 4 devices
    assert memory(replace(work, fused=True), 4, 80e9).step["optimizer_temporaries"] == 0


def test_adapters_spare_gradients_and_moments() -> None:
    low_rank = SEVEN.low_rank(16)
    parts = states(small_work(shape=SEVEN, trainable=low_rank), 1)
    assert parts["weights"] == 4 * (7_615_616_512 + low_rank)
    assert parts["gradients"] == 4 * low_rank
    assert parts["optimizer"] == 8 * low_rank


def test_gathered_and_cast_weights_by_hand() -> None:
    mixed = small_work(shape=SEVEN, numbers="low", strategy="fsdp2")
    layer, outside = 233_057_792, 1_089_998_336
    expected = 2 * (2 * layer + outside) + 6 * (layer + outside)
    assert working_copies(mixed, 8) == {"gathered": expected}
    assert working_copies(mixed, 1) == {}
    autocast = small_work(shape=SEVEN, numbers="autocast", strategy="ddp")
    assert working_copies(autocast, 8) == {"cast_weights": 2 * 7_615_616_512}


def saved_bytes(layers: int, length: int, numbers: Numbers, checkpointing: bool) -> int:
    """Bytes of the distinct storages, weights apart, that a forward pass saves for backward."""
    dtype = torch.bfloat16 if numbers == "low" else torch.float32
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=50, hidden_size=64, intermediate_size=160, num_hidden_layers=layers,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        )
    ).to(dtype).train()  # fmt: skip
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    # casts of weights under autocast are counted apart
    shapes = {tuple(p.shape) for p in model.parameters() if p.dim() == 2}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        cast = {tuple(tensor.shape), tuple(tensor.shape)[::-1]} & shapes
        if storage.data_ptr() not in weights and not cast:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    tokens = torch.randint(0, 50, (4, length))
    mask = torch.ones_like(tokens)
    mask[0, :5] = 0
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=numbers == "autocast")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
        model.base_model(input_ids=tokens, attention_mask=mask, use_cache=False)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("numbers", ["single", "autocast", "low"])
@pytest.mark.parametrize("length", [32, 96])
def test_a_layer_saves_what_the_formula_says(numbers: Numbers, length: int) -> None:
    measured = saved_bytes(3, length, numbers, False) - saved_bytes(2, length, numbers, False)
    assert measured == 4 * length * layer_activation(SMALL, numbers, length)


def test_a_whole_pass_saves_what_the_formula_says() -> None:
    work = small_work(prompts=4, samples=1, minibatch=4)
    for checkpointing in (False, True):
        measured = saved_bytes(3, 64, "single", checkpointing)
        predicted = activations(replace(work, checkpointing=checkpointing), 1)["activations"]
        if checkpointing:  # the layer that is computed again is saved in the backward pass
            predicted -= 4 * 64 * layer_activation(SMALL, "single", 64)
        assert predicted == pytest.approx(measured, rel=0.03)


def test_the_cache_of_qwen_7b_by_hand() -> None:
    work = small_work(shape=SEVEN, numbers="low", weight_bytes=2)
    assert cache_token(work) == 2 * 28 * 512 * 2 == 57_344
    engine = replace(work, engine="own", engine_memory=0.5)
    assert engine_room(engine, 80e9) == 40e9 - 2 * 7_615_616_512
    assert memory(engine, 1, 80e9).rollout["engine"] == 40e9
    cached = replace(engine, engine_cache=3e9)  # whatever the share
    assert engine_room(cached, 80e9) == 3e9
    assert memory(cached, 1, 80e9).rollout["engine"] == 3e9 + 2 * 7_615_616_512
    sharded = replace(work, strategy="fsdp2")
    assert memory(sharded, 8, 80e9).rollout["gathered"] == 2 * 7_615_616_512


def test_an_engine_elsewhere_takes_nothing_and_is_split_where_it_must_be() -> None:
    work = small_work(shape=SEVEN, engine="elsewhere", engine_memory=0.9)
    assert memory(work, 1, 80e9).rollout == states(work, 1)
    # 30.46 GB of float32 weights, in halves of 21.6 GB of a device's 24 GB: three devices
    assert engine_room(work, 24e9) == pytest.approx(21.6e9 - 4 * 7_615_616_512 / 3)


def test_an_engine_that_stays_awake_weighs_on_the_updates() -> None:
    work = small_work(engine="own", engine_memory=0.25)
    asleep, awake = (
        memory(replace(work, engine_sleeps=sleeps), 1, 8e9).phases for sleeps in (True, False)
    )
    assert awake["update"] - asleep["update"] == awake["step"] - asleep["step"] == 2e9
    assert awake["rollout"] == asleep["rollout"]


def test_logits_are_held_in_blocks_once_they_are_many() -> None:
    work = small_work(shape=SEVEN, chunk_tokens=256, chunk_vocab=8192)
    whole, block = head(work, 100), head(work, 8192)
    assert whole == 5 * 4 * 100 * 152_064
    weight = 4 * 152_064 * 3584
    assert block == 3 * 4 * 256 * 8192 + 8192 * 3584 * 8 + weight
    assert block < 0.15 * 5 * 4 * 8192 * 152_064


@given(
    rows=st.integers(1, 64),
    tokens=st.integers(1, 2000),
    devices=st.sampled_from([1, 2, 4, 8]),
    numbers=st.sampled_from(["single", "autocast", "low"]),
)
def test_more_work_never_needs_less(rows: int, tokens: int, devices: int, numbers: Numbers) -> None:
    work = small_work(
        minibatch=rows * devices, max_new_tokens=tokens, numbers=numbers, strategy="fsdp2"
    )
    here = sum(activations(work, devices).values())
    assert sum(activations(replace(work, max_new_tokens=tokens + 1), devices).values()) > here
    more = replace(work, minibatch=(rows + 1) * devices)
    assert sum(activations(more, devices).values()) > here
    assert sum(activations(replace(work, checkpointing=True), devices).values()) < here
    assert sum(states(work, devices).values()) == sum(states(work, 1).values()) / devices
    # without its quadratic mask, a microbatch costs in proportion to its rows
    twice = replace(work, minibatch=2 * rows * devices)
    assert activations(twice, devices)["activations"] == pytest.approx(
        2 * activations(work, devices)["activations"]
    )
