"""The policy: a Hugging Face causal LM, how it is loaded, checked and asked for log-probs."""

from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy

__all__ = ["LoraOptions", "Policy"]
