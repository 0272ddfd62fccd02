"""Rollout engines: where responses are sampled."""

from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.enumerated import EnumeratingEngine
from lit_entropy.rollouts.local import LocalEngine
from lit_entropy.rollouts.vllm import VLLMEngine
from lit_entropy.rollouts.vllm_server import VLLMServerEngine

__all__ = ["EnumeratingEngine", "LocalEngine", "RolloutEngine", "VLLMEngine", "VLLMServerEngine"]
