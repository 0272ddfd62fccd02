"""Operations of an RL step, and how long they take at stated rates."""

from __future__ import annotations

from dataclasses import dataclass

from lit_entropy.planning.hardware import Hardware, Rates
from lit_entropy.planning.sampling import cache_token, engine_room, engine_rows, engine_weights
from lit_entropy.planning.shape import Shape
from lit_entropy.planning.workload import Workload


def layers_flops(shape: Shape, tokens: float, length: float) -> float:
    """Operations of the layers' forward pass over tokens in sequences of a length.

    Two for each parameter of a product and token; attention scores every position of the sequence,
    masked ones too (2 * 2 * width * length a layer).
    """
    return 2.0 * tokens * shape.layers * (shape.layer_products + 2 * shape.queries * length)


def head_flops(shape: Shape, tokens: float) -> float:
    """Operations of the head's forward pass: it sees response tokens alone."""
    return 2.0 * tokens * shape.embedding


def forward_flops(work: Workload, sequences: float) -> float:
    """Operations of scoring sequences of mean length, without a backward pass."""
    length = work.prompt_tokens + work.response_tokens
    layers = layers_flops(work.shape, sequences * length, length)
    return layers + head_flops(work.shape, sequences * work.response_tokens)


def training_flops(work: Workload, sequences: float) -> float:
    """Operations of a forward and backward pass: three forward passes, and what is recomputed.

    The head's logits are computed again in the backward pass, the layers' under checkpointing;
    frozen weights (LoRA) need no gradient, which spares the layers a third.
    """
    length = work.prompt_tokens + work.response_tokens
    layers = layers_flops(work.shape, sequences * length, length)
    adapted = work.trainable < work.shape.parameters
    times = (2 if adapted else 3) + (1 if work.checkpointing else 0)
    head = head_flops(work.shape, sequences * work.response_tokens) * (3 if adapted else 4)
    return times * layers + head


def generation_flops(work: Workload, sequences: float) -> float:
    """Operations of sampling: a prompt's prefill once a group, then token by token with a cache."""
    shape = work.shape
    prompts = sequences / work.samples * work.prompt_tokens
    context = work.prompt_tokens + work.response_tokens / 2
    tokens = sequences * work.response_tokens
    decode = 2.0 * tokens * (shape.decode_products + 2 * shape.layers * shape.queries * context)
    return layers_flops(shape, prompts, work.prompt_tokens) + decode


@dataclass(frozen=True)
class StepFlops:
    """Operations of an RL step over all devices, and its tokens.

    Attributes:
        generation: sampling the responses of every draw.
        scoring: passes without gradients: old, reference and selection log-probs.
        update: forward and backward passes.
        tokens: sampled response tokens.
        trained_tokens: prompt and response tokens in forward and backward passes.
    """

    generation: float
    scoring: float
    update: float
    tokens: float
    trained_tokens: float

    @property
    def total(self) -> float:
        return self.generation + self.scoring + self.update


def step_flops(work: Workload) -> StepFlops:
    """Operations of an RL step."""
    sampled, trained = work.sequences * work.draws, work.sequences * work.passes
    update, models = training_flops(work, trained), work.scored + float(work.reference)
    if work.reward_model:  # trained like the policy on the same sequences, then scores them
        update += training_flops(work, work.sequences)
        models += 1.0
    scoring = forward_flops(work, sampled) * models
    scoring += forward_flops(work, trained) * float(work.selects)
    return StepFlops(
        generation_flops(work, sampled),
        scoring,
        update,
        sampled * work.response_tokens,
        trained * (work.prompt_tokens + work.response_tokens),
    )


@dataclass(frozen=True)
class StepSeconds:
    """Seconds of an RL step.

    Attributes:
        rollout: prefill and decoding.
        scoring: passes without gradients.
        update: the larger of computing and communicating, which overlap.
        communication: the part of ``update`` that would show if nothing overlapped.
        sync: bringing the new weights to the engine.
        validation: an evaluation, spread over the RL steps between two.
    """

    rollout: float
    scoring: float
    update: float
    communication: float
    sync: float
    validation: float

    @property
    def total(self) -> float:
        return self.rollout + self.scoring + self.update + self.sync + self.validation


def step_seconds(work: Workload, devices: int, hardware: Hardware, rates: Rates) -> StepSeconds:
    """How long an RL step takes; a backward pass launches twice the kernels of a forward pass."""
    flops, peak = step_flops(work), devices * hardware.flops * rates.utilisation
    traffic = update_traffic(work, devices) / rates.link(hardware, devices)
    gathers = work.engine != "policy" or (work.strategy == "fsdp2" and devices > 1)
    weights = work.shape.parameters * work.sampling_bytes * float(gathers)
    sampled = work.sequences * work.draws
    evaluation = decode_seconds(work, work.validation, devices, hardware, rates)
    launches = work.shape.layers * rates.layer * work.updates * work.accumulation
    passes = 4.0 if work.checkpointing else 3.0
    return StepSeconds(
        rollout=decode_seconds(work, sampled, devices, hardware, rates),
        scoring=flops.scoring / peak,
        update=max(flops.update / peak, traffic) + passes * launches,
        communication=traffic,
        sync=weights / rates.link(hardware, devices),
        validation=evaluation / work.validate_every,
    )


def update_traffic(work: Workload, devices: int) -> float:
    """Bytes that a device sends in the updates of an RL step.

    Data-parallel ranks all-reduce the gradient once an update (twice its size, 1909.09756); sharded
    ones gather the weights for each microbatch's forward and backward pass and reduce-scatter its
    gradient in float32.
    """
    if devices == 1 or work.strategy == "one":
        return 0.0
    share = (devices - 1) / devices
    if work.strategy == "ddp":
        return work.updates * 2.0 * work.trainable * work.weight_bytes * share
    pass_bytes = 2.0 * work.shape.parameters * work.compute_bytes + 4.0 * work.trainable
    return work.updates * work.accumulation * pass_bytes * share


def decode_seconds(
    work: Workload, sequences: float, devices: int, hardware: Hardware, rates: Rates
) -> float:
    """Seconds to sample sequences, spread over the devices.

    A decoding step reads the weights once and each sequence's cache, or computes, whichever is
    slower. Sequences run in turns of as many as the cache holds, at mean length; after them the
    longest response, alone in its batch, runs on to the limit.
    """
    if sequences <= 0:
        return 0.0
    shape, own = work.shape, sequences / devices
    speed, peak = hardware.bandwidth * rates.decode, hardware.flops * rates.utilisation
    # of an input embedding of its own, a step reads a row for each sequence
    read = shape.decode_products / shape.parameters
    weights = read * engine_weights(work, hardware.memory)

    def step(rows: float, context: float) -> float:
        attention = 2 * shape.layers * shape.queries * context
        reads = weights + rows * context * cache_token(work)
        work_seconds = 2.0 * rows * (shape.decode_products + attention) / peak
        return max(reads / speed, work_seconds) + shape.layers * rates.layer

    rows = min(own, concurrency(work, devices, hardware.memory))
    context = work.prompt_tokens + work.response_tokens / 2
    prompts = own / work.samples * work.prompt_tokens
    prefill = layers_flops(shape, prompts, work.prompt_tokens) / peak
    body = own / rows * work.response_tokens * step(rows, context)
    tail = max(0.0, work.max_new_tokens - work.response_tokens)
    return prefill + body + tail * step(1.0, work.prompt_tokens + work.max_new_tokens)


def concurrency(work: Workload, devices: int, device_memory: float) -> float:
    """Sequences of mean length that a device decodes at once; at least 1."""
    if work.engine == "policy":
        return engine_rows(work, devices)
    length = work.prompt_tokens + work.response_tokens
    fits = engine_room(work, device_memory) / (length * cache_token(work))
    return max(1.0, min(float(work.engine_rows), fits))
