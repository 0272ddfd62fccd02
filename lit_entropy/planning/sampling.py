"""Bytes that sampling takes on a device: key-value cache, logits and the engine's own weights."""

import math

from lit_entropy.planning.workload import Workload

#: Arrays [rows, V] of float32 that sampling a token holds: scores, probabilities, their sums.
SAMPLING_ARRAYS = 3


def cache_token(work: Workload) -> float:
    """Bytes of the key-value cache for each token of a sequence."""
    return 2.0 * work.shape.layers * work.shape.keys * work.sampling_bytes


def rollout(work: Workload, devices: int, device_memory: float) -> dict[str, float]:
    """What sampling takes: an engine of its own a fixed share, the policy's a cache that grows.

    The cache is counted at its largest, when every sequence reaches its limits.
    """
    if work.engine == "own":
        return {"engine": engine_weights(work, device_memory) + engine_room(work, device_memory)}
    if work.engine == "elsewhere":
        return {}
    rows, whole = engine_rows(work, devices), work.shape.parameters * float(work.compute_bytes)
    length = work.max_prompt_tokens + work.max_new_tokens
    parts: dict[str, float] = {
        "kv_cache": rows * length * cache_token(work),
        "sampling": SAMPLING_ARRAYS * 4.0 * rows * work.shape.vocab,
    }
    if work.strategy == "fsdp2" and devices > 1:
        parts["gathered"] = whole
    elif work.numbers == "autocast":
        parts["cast_weights"] = whole
    return parts


def engine_weights(work: Workload, device_memory: float) -> float:
    """Bytes of the sampling weights on a device that samples.

    Elsewhere a model is split over as many devices as leave half of their share for the cache.
    """
    weights = work.shape.parameters * float(work.sampling_bytes)
    if work.engine != "elsewhere":
        return weights
    return weights / math.ceil(weights / (work.engine_memory * device_memory / 2))


def engine_room(work: Workload, device_memory: float) -> float:
    """Bytes of a device that an engine with its own weights has left for its key-value cache."""
    if work.engine_cache is not None:
        return work.engine_cache
    return work.engine_memory * device_memory - engine_weights(work, device_memory)


def engine_rows(work: Workload, devices: int) -> int:
    """Sequences that are decoded at once on a device."""
    return min(work.engine_rows, max(1, -(-work.sequences // devices)))
