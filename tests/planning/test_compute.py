"""Operations against PyTorch's own counter, and times against hand calculations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shapes import SMALL, small_work
from tiny_models import character_tokenizer
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2Config, Qwen2ForCausalLM

from lit_entropy.planning.compute import (
    forward_flops,
    generation_flops,
    step_flops,
    training_flops,
)
from lit_entropy.planning.hardware import HARDWARE, Hardware, Rates
from lit_entropy.planning.seconds import (
    decode_seconds,
    scoring_traffic,
    step_seconds,
    sync_seconds,
    update_traffic,
)
from lit_entropy.planning.shape import shape_of
from lit_entropy.policy.dry_run import published_config
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Sequences

SEVEN = shape_of(published_config("Qwen/Qwen2.5-7B"))
DEVICE = Hardware("made", memory=80e9, flops=1e15, bandwidth=1e12, link=1e11)
EXACT = Rates(utilisation=1.0, decode=1.0, layer=0.0)


def product_flops(
    total: tuple[int, ...], left: tuple[int, int], right: tuple[int, int], **_: object
) -> int:
    """Operations of ``total.addmm_(left, right)`` by the shapes."""
    return 2 * left[0] * left[1] * right[1]


#: torch's counter knows addmm, not addmm_ in place.
IN_PLACE = {torch.ops.aten.addmm_: product_flops}


def counted_flops(folder: Path, checkpointing: bool, vocab: int) -> tuple[Policy, int, int]:
    """A small policy and the operations of a forward pass, and of a forward and backward pass."""
    config = Qwen2Config(
        vocab_size=vocab, hidden_size=32, intermediate_size=96, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        tie_word_embeddings=False, attn_implementation="eager", bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    character_tokenizer().save_pretrained(folder)
    policy = Policy(
        str(folder), gradient_checkpointing=checkpointing, chunk_tokens=64, length_groups=1
    )
    policy.model.set_attn_implementation("eager")
    batch = Sequences(
        tokens_BT=torch.randint(0, 19, (4, 80)),
        mask_BT=torch.ones(4, 80, dtype=torch.bool),
        prompt_tokens_BS=torch.randint(0, 19, (4, 16)),
        prompt_mask_BS=torch.ones(4, 16, dtype=torch.bool),
    )
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        policy(batch, 1.0)
    with FlopCounterMode(display=False, custom_mapping=IN_PLACE) as both:
        policy(batch, 1.0).logprobs_BT.sum().backward()
    return policy, forward.get_total_flops(), both.get_total_flops()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_of_a_pass_are_what_torch_counts(tmp_path: Path, checkpointing: bool) -> None:
    # large enough that the head's logits are computed in blocks, and again in the backward pass
    policy, forward, both = counted_flops(tmp_path, checkpointing, vocab=60_000)
    shape = shape_of(policy.model.config)
    work = small_work(
        shape=shape,
        trainable=shape.parameters,
        checkpointing=checkpointing,
        prompt_tokens=16.0,
        response_tokens=80.0,
    )
    assert forward_flops(work, 4) == pytest.approx(forward, rel=0.01)
    assert training_flops(work, 4) == pytest.approx(both, rel=0.01)


def test_six_operations_a_parameter_and_token() -> None:
    """The rule of thumb 6 N, with attention and the head's second product taken off."""
    work = small_work(shape=SEVEN, prompt_tokens=1e-9, response_tokens=1.0)
    products = 28 * SEVEN.layer_products
    head = 152_064 * 3584
    attention = 3 * 2 * 28 * 2 * 3584
    assert training_flops(work, 1) == pytest.approx(6 * products + 8 * head + attention, rel=1e-6)
    again = replace(work, checkpointing=True)
    assert training_flops(again, 1) - training_flops(work, 1) == pytest.approx(
        2 * products + attention / 3, rel=1e-6
    )


def test_tokens_of_a_step() -> None:
    work = small_work(draws=2.0, passes=3)  # 8 prompts, 4 samples, 10 + 24 tokens
    flops = step_flops(work)
    assert flops.tokens == 2 * 32 * 24
    assert flops.trained_tokens == 3 * 32 * 34
    assert flops.total == flops.generation + flops.scoring + flops.update
    assert flops.scoring == 0.0
    assert flops.generation == generation_flops(work, 64)


def test_passes_without_gradients_are_added_up() -> None:
    base = small_work()
    one = forward_flops(base, 32)
    assert step_flops(replace(base, scored=1.0)).scoring == one
    assert step_flops(replace(base, scored=0.25, reference=True)).scoring == 1.25 * one
    assert step_flops(replace(base, selects=True)).scoring == one
    learned = step_flops(replace(base, reward_model=True))
    assert learned.scoring == one
    assert learned.update == 2 * step_flops(base).update


def test_decoding_one_response_by_hand() -> None:
    """One response of 100 tokens after a prompt of 28: 100 reads of weights and of the cache."""
    work = small_work(
        shape=SEVEN, numbers="low", weight_bytes=2, prompts=1, samples=1, minibatch=1,
        prompt_tokens=28.0, response_tokens=100.0, max_new_tokens=100,
    )  # fmt: skip
    weights = 2 * (28 * SEVEN.layer_products + 152_064 * 3584)
    cache = (28 + 50) * 57_344
    prefill = 2 * 28 * 28 * (SEVEN.layer_products + 2 * 3584 * 28) / 1e15
    expected = 100 * (weights + cache) / 1e12 + prefill
    assert decode_seconds(work, 1, 1, DEVICE, EXACT) == pytest.approx(expected, rel=1e-12)
    slow = replace(EXACT, layer=1e-3)
    assert decode_seconds(work, 1, 1, DEVICE, slow) == pytest.approx(expected + 100 * 28e-3)
    longest = replace(work, max_new_tokens=300)  # 200 further steps with all of the context
    tail = 200 * (weights + 328 * 57_344) / 1e12
    assert decode_seconds(longest, 1, 1, DEVICE, EXACT) == pytest.approx(expected + tail)
    assert decode_seconds(work, 0, 1, DEVICE, EXACT) == 0.0


def test_many_sequences_are_bound_by_operations() -> None:
    work = small_work(
        shape=SEVEN, numbers="low", prompts=4096, samples=1, prompt_tokens=1e-9,
        response_tokens=1.0, max_new_tokens=1, engine_rows=4096,
    )  # fmt: skip
    seconds = decode_seconds(work, 4096, 1, DEVICE, EXACT)
    assert seconds == pytest.approx(generation_flops(work, 4096) / 1e15, rel=1e-6)


def test_traffic_by_hand() -> None:
    N = SEVEN.parameters
    work = small_work(shape=SEVEN, accumulation=2, strategy="ddp")  # 2 updates a step
    assert update_traffic(work, 1) == 0.0
    assert update_traffic(work, 4) == 2 * 2 * 4 * N * 3 / 4
    sharded = replace(work, strategy="fsdp2", numbers="low")
    assert update_traffic(sharded, 4) == 2 * 2 * (2 * 2 * N + 4 * N) * 3 / 4


def test_the_slower_of_computing_and_sending_counts() -> None:
    work = small_work(shape=SEVEN, strategy="fsdp2", numbers="low")
    seconds = step_seconds(work, 4, DEVICE, EXACT)
    assert seconds.communication == update_traffic(work, 4) / 1e11
    assert seconds.update == seconds.communication > step_flops(work).update / 4e15
    fast = replace(DEVICE, link=1e20)
    assert step_seconds(work, 4, fast, EXACT).update == step_flops(work).update / 4e15
    far = step_seconds(work, 16, DEVICE, EXACT)  # beyond a machine: the network's 50 GB/s
    assert far.communication == update_traffic(work, 16) / 50e9


def test_each_draw_of_prompts_waits_for_its_longest_response() -> None:
    work = small_work(response_tokens=24.0, max_new_tokens=480)
    one, two = (
        step_seconds(replace(work, draws=draws), 1, DEVICE, EXACT).rollout for draws in (1.0, 2.0)
    )
    assert one == decode_seconds(work, 32, 1, DEVICE, EXACT) and two == 2 * one
    # half of the time and more is the tail: 456 tokens alone after 24 together
    assert decode_seconds(work, 64, 1, DEVICE, EXACT) < 0.9 * two


def test_weights_reach_an_engine_by_the_link_or_by_a_folder() -> None:
    N = SEVEN.parameters
    own = small_work(shape=SEVEN, engine="own", engine_bytes=2)
    assert sync_seconds(own, 8, 1e11, EXACT) == 2 * N / 1e11
    served = replace(own, engine="elsewhere")  # float32, written and then read
    assert sync_seconds(served, 8, 1e11, EXACT) == 2 * 4 * N / 2e9
    assert sync_seconds(small_work(shape=SEVEN), 8, 1e11, EXACT) == 0.0
    sharded = small_work(shape=SEVEN, strategy="fsdp2", numbers="low")
    assert sync_seconds(sharded, 8, 1e11, EXACT) == 2 * N / 1e11
    assert sync_seconds(sharded, 1, 1e11, EXACT) == 0.0


def test_gathering_for_passes_without_gradients_by_hand() -> None:
    """32 sequences on 4 devices, 2 to a microbatch: 4 microbatches, the first minibatch in 2."""
    work = small_work(shape=SEVEN, strategy="fsdp2", numbers="low", accumulation=2)
    gather = 2 * SEVEN.parameters * 3 / 4
    assert scoring_traffic(work, 4) == 0.0
    assert scoring_traffic(replace(work, scored=1.0), 4) == (2 + 2 / 4) * gather
    assert scoring_traffic(replace(work, scored=0.5), 4) == 2 * gather
    assert scoring_traffic(replace(work, selects=True), 4) == 2 * 2 * gather  # in 2 updates
    assert scoring_traffic(replace(work, reference=True, scored=1.0), 4) == 2 * 2.5 * gather
    assert scoring_traffic(replace(work, scored=1.0, strategy="ddp"), 4) == 0.0
    scored = replace(work, scored=1.0)
    slow = replace(DEVICE, link=1e3)
    assert step_seconds(scored, 4, slow, EXACT).scoring == scoring_traffic(scored, 4) / 1e3


def test_an_evaluation_is_spread_over_the_steps_between_two() -> None:
    work = small_work(validation=64, validate_every=4)
    seconds = step_seconds(work, 1, DEVICE, EXACT)
    assert seconds.validation == decode_seconds(work, 64, 1, DEVICE, EXACT) / 4
    own = replace(work, engine="own")  # the policy is asked for the entropies
    entropies = forward_flops(own, 64) / 1e15
    assert step_seconds(own, 1, DEVICE, EXACT).validation == pytest.approx(
        (decode_seconds(own, 64, 1, DEVICE, EXACT) + entropies) / 4
    )
    assert seconds.total == pytest.approx(
        seconds.rollout + seconds.scoring + seconds.update + seconds.sync + seconds.validation
    )


@given(
    prompts=st.integers(1, 64),
    tokens=st.floats(1, 4000),
    name=st.sampled_from(sorted(HARDWARE)),
    devices=st.sampled_from([1, 2, 4]),
)
def test_time_and_operations_grow_with_the_work(
    prompts: int, tokens: float, name: str, devices: int
) -> None:
    work = small_work(prompts=4 * prompts, response_tokens=tokens, max_new_tokens=4000)
    rates, hardware = Rates(), HARDWARE[name]
    longer = replace(work, response_tokens=2 * tokens)
    # layers and head are linear in tokens, attention quadratic
    assert 1 < step_flops(longer).update / step_flops(work).update < 4
    twice = replace(work, prompts=8 * prompts)
    assert step_flops(twice).total == pytest.approx(2 * step_flops(work).total)
    here = step_seconds(work, devices, hardware, rates)
    assert step_seconds(twice, devices, hardware, rates).total > here.total
    half = Rates(utilisation=rates.utilisation / 2, decode=rates.decode / 2, layer=2 * rates.layer)
    assert step_seconds(work, devices, hardware, half).rollout == pytest.approx(2 * here.rollout)


def test_rates_and_hardware_are_checked() -> None:
    for wrong in ({"utilisation": 0.0}, {"decode": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Rates(**wrong)
    with pytest.raises(ValueError, match="tflops=0"):
        HARDWARE["h100"].but(None, 0, None)
    other = HARDWARE["h100"].but(40, 100, None)
    assert (other.memory, other.flops, other.bandwidth) == (40e9, 1e14, 3350e9)
    assert SMALL.parameters == small_work().trainable
