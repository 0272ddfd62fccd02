"""Rollouts from vLLM in the trainer's process, on the trainer's device, with the policy's weights.

What is guaranteed: each row has a seed of its own, a function of (keys, prompt id, sample id), so
the number that decides a draw depends on the row alone. What is not: vLLM's log-probs may differ
in the last bits with the batch that a row is computed in, so that a resumed run is bit-equal only
where vLLM is batch invariant (on GPUs: VLLM_BATCH_INVARIANT=1), and never equal to LocalEngine's.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.responses import row_seeds, to_completions
from lit_entropy.rollouts.vllm_build import (
    EngineOptions,
    build,
    check_device,
    check_model,
    quiet_vllm,
    require_vllm,
)
from lit_entropy.rollouts.vllm_requests import plain_numbers, sample
from lit_entropy.rollouts.weights import fingerprint, full_weights, require_same_weights
from lit_entropy.types import Completions

if TYPE_CHECKING:
    from vllm import LLM


class VLLMEngine(RolloutEngine):
    """A vLLM engine that is given the policy's weights whenever they have changed.

    Before every rollout the weights are compared by their fingerprint; changed ones are loaded in
    place, tensor by tensor, and cached prefixes are dropped. Old log-probs and entropies are the
    training path's; how far the engine's are from them is ``policy/sampler_gap``. Under DDP and
    FSDP2 every rank has an engine of its own.

    Attributes:
        version: how many times weights were handed over; 0 before the first rollout.
    """

    def __init__(
        self,
        dtype: Literal["policy", "float32", "bfloat16"] = "policy",
        memory_fraction: float = 0.4,
        kv_cache_gb: float | None = None,
        max_model_len: int | None = None,
        max_sequences: int = 256,
        eager: bool | None = None,
        sleep: bool = True,
        gap_tolerance: float = 0.1,
    ) -> None:
        """Check the installed vLLM; the engine is built at the first rollout.

        Args:
            dtype: dtype of the engine's weights; ``policy`` for that of the policy's.
            memory_fraction: share of the device's memory for the engine's weights and cache.
            kv_cache_gb: GiB of the KV cache instead of what ``memory_fraction`` leaves.
            max_model_len: longest prompt and response together; None for the model's context.
            max_sequences: most sequences decoded at once.
            eager: run without compiled graphs; None for eager on a CPU only.
            sleep: give the device's memory to the updates between rollouts, where the platform
                can; the weights are handed over again on waking.
            gap_tolerance: largest mean difference of log-probs, in nats per token, of the first
                rollout's first rows; above it the engine does not compute the policy's model.

        Raises:
            ValueError: vLLM is not installed or of another version, or a number is out of range.
        """
        if dtype not in ("policy", "float32", "bfloat16"):
            raise ValueError(f"model.engine.dtype={dtype!r}: use 'policy', 'float32' or 'bfloat16'")
        if not 0 < memory_fraction <= 1:
            raise ValueError(f"model.engine.memory_fraction={memory_fraction} must lie in (0, 1]")
        if kv_cache_gb is not None and not kv_cache_gb > 0:
            raise ValueError(f"model.engine.kv_cache_gb={kv_cache_gb} must be positive, or null")
        for name, value in (("max_sequences", max_sequences), ("max_model_len", max_model_len)):
            if value is not None and value < 1:
                raise ValueError(f"model.engine.{name}={value} must be at least 1")
        if not gap_tolerance > 0:
            raise ValueError(f"model.engine.gap_tolerance={gap_tolerance} must be positive")
        require_vllm()
        self.options = EngineOptions(
            dtype, memory_fraction, kv_cache_gb, max_model_len, max_sequences, eager, sleep
        )
        self.gap_tolerance: float = gap_tolerance
        self.version = 0
        self._llm: LLM | None = None
        self._held: int | None = None  # fingerprint of the weights in the engine
        self._proved = False

    def setup(self, policy: Policy) -> None:
        """Check that vLLM can run the model; see :class:`RolloutEngine`."""
        quiet_vllm()
        check_model(policy)

    def close(self) -> None:
        """Free the engine and its memory; with several ranks it stays until the process ends."""
        if self._llm is None:
            return
        parallel = self._llm.llm_engine.vllm_config.parallel_config
        if parallel.distributed_executor_backend == "external_launcher":
            return  # vLLM would end the process group, which is the trainer's
        self._llm.llm_engine.engine_core.shutdown()
        self._llm, self._held, self._proved = None, None, False

    @torch.no_grad()
    def prepare(self, policy: Policy) -> None:
        """Take the policy's weights; every rank builds its engine here or at a rollout."""
        with plain_numbers(next(policy.parameters()).device.type):
            self._hand_over(policy)

    @torch.no_grad()
    def generate(
        self,
        policy: Policy,
        prompts: list[list[int]],
        prompt_ids_B: Tensor,
        sample_ids_B: Tensor,
        *,
        max_new_tokens: int,
        temperature: float,
        keys: tuple[int | str, ...],
    ) -> Completions:
        """Sample one response for each row; see :class:`RolloutEngine`.

        Raises:
            StaleWeightsError: the first rollout shows that the engine computes another model.
            ValueError: device or model do not fit vLLM, or a prompt is too long for it.
        """
        device = next(policy.parameters()).device
        seeds = row_seeds(keys, prompt_ids_B, sample_ids_B)
        with plain_numbers(device.type):
            self._hand_over(policy)
            self._check_lengths(prompts, max_new_tokens)
            responses = sample(
                self._llm, prompts, seeds, policy.eos_token_ids, max_new_tokens, temperature
            )
        completions = to_completions(responses, policy.pad_token_id, device)
        if not self._proved:
            require_same_weights(
                policy, prompts, completions, temperature, self.gap_tolerance, "vLLM"
            )
            self._proved = True
        self._rest()
        return completions

    def _hand_over(self, policy: Policy) -> None:
        """Build or wake the engine, and load the policy's weights unless it holds them."""
        sleeping = self._llm is not None and self._sleeps and self._held is None
        if self._llm is None:
            quiet_vllm()
            check_device(next(policy.parameters()).device.type)
            _give_back()
            self._llm = build(policy, self.options)
        elif sleeping:
            _give_back()
            self._llm.wake_up(tags=["weights"])
        current = fingerprint(policy)
        if current != self._held:
            weights = {"weights_iterator": full_weights(policy)}
            self._llm.collective_rpc("reload_weights", kwargs=weights)
            if not self._llm.reset_prefix_cache():
                raise RuntimeError("vLLM kept cached prefixes of the weights before the update")
            self._held = current
            self.version += 1
        if sleeping:
            _give_back()
            self._llm.wake_up(tags=["kv_cache"])

    @property
    def _built(self) -> LLM:
        assert self._llm is not None  # _hand_over has built it
        return self._llm

    @property
    def _sleeps(self) -> bool:
        return bool(self._built.model_config.enable_sleep_mode)

    def _rest(self) -> None:
        """Between rollouts the device belongs to the updates; the weights are dropped."""
        if self._sleeps:
            self._built.sleep(level=2)
            self._held = None

    def _check_lengths(self, prompts: list[list[int]], max_new_tokens: int) -> None:
        longest, limit = max(map(len, prompts)), self._built.model_config.max_model_len
        if longest + max_new_tokens > limit:
            raise ValueError(
                f"a prompt of {longest} tokens and model.max_new_tokens={max_new_tokens} exceed "
                f"the {limit} tokens of the engine: lower model.max_new_tokens, or raise "
                "model.engine.max_model_len as far as the model's positions go"
            )


def _give_back() -> None:
    """Memory that torch keeps for later tensors of the updates is no use to the engine."""
    gc.collect()
    torch.cuda.empty_cache()  # nothing where no GPU is in use
