"""Seconds of an RL step, at stated rates."""

from dataclasses import dataclass

from lit_entropy.planning.compute import forward_flops, layers_flops, step_flops
from lit_entropy.planning.hardware import Hardware, Rates
from lit_entropy.planning.sampling import cache_token, engine_room, engine_rows, engine_weights
from lit_entropy.planning.workload import Workload
from lit_entropy.step.scoring import SCORING_BLOCK


@dataclass(frozen=True)
class StepSeconds:
    """Seconds of an RL step.

    Attributes:
        rollout: prefill and decoding.
        scoring: passes without gradients, computing or gathering weights, which overlap.
        update: the larger of computing and communicating, which overlap.
        communication: that of the updates alone.
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
    link = rates.link(hardware, devices)
    traffic = update_traffic(work, devices) / link
    launches = work.shape.layers * rates.layer * work.updates * work.accumulation
    passes = 4.0 if work.checkpointing else 3.0
    # each draw of prompts is a rollout of its own, which waits for its longest response
    rollout = work.draws * decode_seconds(work, work.sequences, devices, hardware, rates)
    evaluation = decode_seconds(work, work.validation, devices, hardware, rates)
    if work.engine != "policy":  # which is asked for the entropies
        evaluation += forward_flops(work, work.validation) / peak
    return StepSeconds(
        rollout=rollout,
        scoring=max(flops.scoring / peak, scoring_traffic(work, devices) / link),
        update=max(flops.update / peak, traffic) + passes * launches,
        communication=traffic,
        sync=sync_seconds(work, devices, link, rates),
        validation=evaluation / work.validate_every,
    )


def sync_seconds(work: Workload, devices: int, link: float, rates: Rates) -> float:
    """Seconds until the engine has new weights; a server reads them from a folder."""
    if work.engine == "elsewhere":  # written whole as they are stored, then read
        return 2.0 * work.shape.parameters * work.weight_bytes / rates.folder
    gathers = work.engine == "own" or (work.strategy == "fsdp2" and devices > 1)
    return work.shape.parameters * work.sampling_bytes * float(gathers) / link


def scoring_traffic(work: Workload, devices: int) -> float:
    """Bytes that a device gathers for the passes without gradients of sharded weights.

    Tokens are selected a microbatch at a time, and so are the old log-probs of the first minibatch;
    the other rows are scored in batches of several microbatches.
    """
    if devices == 1 or work.strategy != "fsdp2":
        return 0.0
    microbatches = work.draws * work.sequences / (work.rows(devices) * devices)
    others = max(0.0, microbatches - work.accumulation) / SCORING_BLOCK
    passes = float((work.scored > 0) + work.reference) * work.accumulation
    passes += ((work.scored == 1.0) + work.reference) * others
    passes += work.updates * work.accumulation * work.selects
    return passes * work.shape.parameters * work.compute_bytes * (devices - 1) / devices


def update_traffic(work: Workload, devices: int) -> float:
    """Bytes that a device sends in the updates of an RL step.

    Data-parallel ranks all-reduce the gradient once per update (twice its size, 1909.09756);
    sharded ones gather the weights for each microbatch's forward and backward pass and
    reduce-scatter its gradient in float32.
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
    longest response of the call, alone in its batch, runs on to the limit.
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
