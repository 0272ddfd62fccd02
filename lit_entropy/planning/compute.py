"""Operations of an RL step, and its tokens."""

from dataclasses import dataclass

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
    """Operations of sampling: prompts once per group, then token by token with a cache."""
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
