"""Bytes on a device, part by part, in the phases of an RL step."""

from dataclasses import dataclass

from lit_entropy.functional.logprobs import PLAIN_LOGITS
from lit_entropy.planning.sampling import rollout
from lit_entropy.planning.shape import Shape
from lit_entropy.planning.workload import Numbers, Workload

Parts = dict[str, float]
#: Block-sized arrays that the log-probs and entropies of the head hold at once: logits as the
#: product gives them, the same in float32, and their exponentials.
BLOCK_ARRAYS = 3
#: Arrays [N, V] of float32 where logits are few enough to be kept whole: log-probs, probabilities
#: and the two factors of the entropy's sum, and a gradient.
PLAIN_ARRAYS = 5


@dataclass(frozen=True)
class Memory:
    """Bytes of each phase on one device.

    Attributes:
        update: while a microbatch is trained on, at its largest: every sequence at its limits.
        step: while the optimizer steps.
        rollout: while responses are sampled.
    """

    update: Parts
    step: Parts
    rollout: Parts

    @property
    def phases(self) -> dict[str, float]:
        """Total bytes of each phase."""
        return {name: sum(getattr(self, name).values()) for name in ("update", "step", "rollout")}

    @property
    def peak(self) -> float:
        """Bytes of the largest phase."""
        return max(self.phases.values())


def memory(work: Workload, devices: int, device_memory: float) -> Memory:
    """What a device holds in each phase of an RL step.

    Args:
        work: the run.
        devices: their number.
        device_memory: bytes of one, of which an engine with its own weights takes its share.
    """
    held, engine = states(work, devices), rollout(work, devices, device_memory)
    awake = engine if work.engine == "own" and not work.engine_sleeps else {}
    update = working_copies(work, devices) | activations(work, devices)
    temporaries = work.trainable * float(work.weight_bytes) / _split(work, devices)
    step = {"optimizer_temporaries": 0.0 if work.fused else temporaries}
    return Memory(held | awake | update, held | awake | step, held | engine)


def loading(work: Workload) -> float:
    """Bytes of the host's memory that a rank's models take before they are on its device.

    Every rank builds them whole, also those that will be sharded.
    """
    models = 1 + work.reference + work.reward_model
    return models * (work.shape.parameters + _adapters(work)) * float(work.loaded_bytes)


def states(work: Workload, devices: int) -> Parts:
    """Weights, gradients and optimizer states, which stay from one RL step to the next."""
    split, size = _split(work, devices), work.weight_bytes
    model = work.shape.parameters + _adapters(work)
    parts: Parts = {
        "weights": model * size / split,
        "gradients": work.trainable * size / split,
        "optimizer": work.optimizer_states * work.trainable * size / split,
    }
    if work.strategy == "ddp" and devices > 1:
        parts["gradient_buckets"] = work.trainable * size
    if work.reference:
        parts["reference"] = model * size / split
    if work.reward_model:
        # never sharded: a copy of the policy on every device, with its own optimizer
        learned = (1 + work.optimizer_states) * work.trainable
        parts["reward_model"] = (model + learned) * float(size)
    return parts


def working_copies(work: Workload, devices: int) -> Parts:
    """Copies of weights that exist while the model computes: low-precision casts, gathered shards.

    Sharded weights are gathered a layer at a time, one ahead; embedding, head and final norm stay
    whole from the forward to the end of the backward pass, and their gradients with them.
    """
    shape = work.shape
    if work.strategy == "fsdp2" and devices > 1:
        whole = 2 * shape.layer_parameters + shape.outside
        gradients = shape.layer_parameters + shape.outside
        return {"gathered": whole * work.compute_bytes + gradients * (work.compute_bytes + 4.0)}
    return {"cast_weights": 2.0 * shape.parameters} if work.numbers == "autocast" else {}


def layer_activation(shape: Shape, numbers: Numbers, length: float) -> float:
    """Bytes that a layer keeps for its backward pass, for each token of a sequence.

    Two norms keep their input, normalised input and output (6 D); attention its queries, keys and
    values repeated for every query head, and its output (4 widths of the queries) and a row of the
    mask; the gated MLP four inner widths. The row statistics are float32: one a head of the
    softmax, one a norm. Float32 is also what norms compute in; autocast makes a copy of their
    output for each of the five projections that read it.

    Args:
        shape: the model.
        numbers: which numbers are kept in bfloat16.
        length: tokens of the sequence, the width of the mask's row.
    """
    inner = 4 * shape.queries + 4 * shape.intermediate + length
    wide, narrow = {
        "single": (6 * shape.hidden + inner, 0.0),
        "autocast": (4 * shape.hidden, 5 * shape.hidden + inner),
        "low": (2 * shape.hidden, 4 * shape.hidden + inner),
    }[numbers]
    return 4.0 * (wide + shape.heads + 2) + 2.0 * narrow


def activations(work: Workload, devices: int) -> Parts:
    """What a microbatch keeps for its backward pass when every sequence is as long as allowed."""
    shape, rows = work.shape, work.rows(devices)
    length = work.max_prompt_tokens + work.max_new_tokens
    tokens = rows * length
    layer = tokens * layer_activation(shape, work.numbers, length)
    residual = tokens * shape.hidden * (2.0 if work.numbers == "low" else 4.0)
    kept = shape.layers * residual + layer if work.checkpointing else shape.layers * layer
    temporaries = tokens * (3 * shape.intermediate + 2 * shape.hidden) * work.compute_bytes
    return {
        "activations": kept + 2 * residual,
        "backward_temporaries": float(temporaries),
        "logits": head(work, rows * work.max_new_tokens),
    }


def head(work: Workload, tokens: int) -> float:
    """Bytes of log-probs and entropies of response tokens.

    Few logits are kept whole. Otherwise: blocks of them, the hidden states of the tokens with their
    gradient, and the gradient of the head's weight before it joins what has been accumulated.
    """
    shape = work.shape
    if tokens * shape.vocab <= PLAIN_LOGITS:
        return PLAIN_ARRAYS * 4.0 * tokens * shape.vocab
    block = min(tokens, work.chunk_tokens) * min(shape.vocab, work.chunk_vocab)
    hidden = tokens * shape.hidden * (work.compute_bytes + 4.0)
    weight = shape.embedding * work.weight_bytes if work.trainable >= shape.parameters else 0
    return BLOCK_ARRAYS * 4.0 * block + hidden + weight


def _split(work: Workload, devices: int) -> int:
    return devices if work.strategy == "fsdp2" else 1


def _adapters(work: Workload) -> int:
    return work.trainable if work.trainable < work.shape.parameters else 0
