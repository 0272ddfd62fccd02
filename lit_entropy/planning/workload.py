"""What a run does, in numbers: everything that memory and time depend on but the hardware."""

from dataclasses import dataclass
from typing import Literal

from lit_entropy.planning.shape import Shape

Numbers = Literal["single", "autocast", "low"]
Strategy = Literal["one", "ddp", "fsdp2"]


@dataclass(frozen=True)
class Workload:
    """A run as its configuration and the stated assumptions describe it.

    Attributes:
        shape: the policy's model.
        trainable: trained parameters; fewer than the model's under LoRA.
        numbers: ``single`` float32 throughout; ``autocast`` float32 weights with matrix products in
            bfloat16; ``low`` layers computed in bfloat16.
        weight_bytes: bytes of a stored weight, gradient or moment.
        loaded_bytes: bytes of a weight as it is loaded, before the trainer's precision.
        optimizer_states: numbers that the optimizer keeps for each trained parameter.
        fused: whether the optimizer changes weights and moments in one pass, without temporaries.
        strategy: how the weights lie on the devices.
        checkpointing: whether layers are computed again in the backward pass.
        prompts: P of an RL step.
        samples: G a prompt.
        minibatch: sequences an optimizer update, over all devices.
        accumulation: microbatches of a minibatch on each device.
        passes: passes over a rollout (``data.update_epochs``).
        prompt_tokens: mean length of a prompt.
        max_prompt_tokens: longest prompt.
        response_tokens: mean length of a response.
        max_new_tokens: longest response.
        chunk_tokens: response tokens of a block of logits.
        chunk_vocab: vocabulary entries of a block of logits.
        draws: draws of P prompts per RL step, more than 1 where groups are sampled again.
        reference: whether a frozen copy of the base policy is kept.
        reward_model: whether PRIME's reward model is trained beside the policy.
        scored: share of the rollout that the policy scores again before the updates.
        selects: whether a split minibatch is scored once more to select tokens.
        engine: ``policy`` samples with the training weights, ``own`` with a copy of them on the
            same devices, ``elsewhere`` on as many other devices.
        engine_named: whether the configuration names the engine, or leaves it to the default.
        engine_rows: most sequences that the engine decodes at once on a device.
        engine_memory: share of the device's memory that an engine with its own weights may use.
        engine_cache: bytes of that engine's key-value cache, in place of what its share leaves.
        engine_bytes: bytes of a weight and of a cached number in an engine with its own weights;
            None for those of a stored weight.
        engine_sleeps: whether such an engine gives its memory back between rollouts.
        validation: responses of one evaluation; 0 leaves evaluations out.
        validate_every: RL steps between evaluations.
        rl_steps: RL steps of the run.
    """

    shape: Shape
    trainable: int
    numbers: Numbers = "single"
    weight_bytes: int = 4
    loaded_bytes: int = 4
    optimizer_states: int = 2
    fused: bool = False
    strategy: Strategy = "one"
    checkpointing: bool = False
    prompts: int = 256
    samples: int = 8
    minibatch: int = 256
    accumulation: int = 1
    passes: int = 1
    prompt_tokens: float = 256
    max_prompt_tokens: int = 1024
    response_tokens: float = 4096
    max_new_tokens: int = 8192
    chunk_tokens: int = 1024
    chunk_vocab: int = 8192
    draws: float = 1.0
    reference: bool = False
    reward_model: bool = False
    scored: float = 0.0
    selects: bool = False
    engine: Literal["policy", "own", "elsewhere"] = "policy"
    engine_named: bool = True
    engine_rows: int = 1024
    engine_memory: float = 0.5
    engine_cache: float | None = None
    engine_bytes: int | None = None
    engine_sleeps: bool = True
    validation: int = 0
    validate_every: int = 1
    rl_steps: int = 1

    @property
    def compute_bytes(self) -> int:
        """Bytes of a number in a matrix product."""
        return 4 if self.numbers == "single" else 2

    @property
    def sampling_bytes(self) -> int:
        """Bytes of a weight and of a cached number where responses are sampled."""
        if self.engine == "policy":
            return self.compute_bytes
        return self.engine_bytes or self.weight_bytes

    @property
    def sequences(self) -> int:
        """Sequences of an RL step that are trained on, P * G."""
        return self.prompts * self.samples

    @property
    def updates(self) -> int:
        """Optimizer updates per RL step."""
        return self.passes * self.sequences // self.minibatch

    def rows(self, devices: int) -> int:
        """Sequences of a microbatch on a device; at least 1."""
        return max(1, self.minibatch // (self.accumulation * devices))
