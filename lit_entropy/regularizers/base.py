"""The contract of a regularizer: a per-token loss that is added to any policy loss."""

from abc import ABC, abstractmethod

from torch import nn

from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class Regularizer(nn.Module, ABC):
    """Base of every regularizer. State that must survive a resume is a registered buffer."""

    #: True when ``batch.reference_logprobs_BT`` is needed: the module then keeps a frozen copy.
    needs_reference: bool = False

    @abstractmethod
    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token loss [B, T] to add, and metrics logged under ``policy/<name>``."""

    def on_rollout(self, entropy: float) -> None:
        """Called once an RL step, before the updates, on every rank.

        Args:
            entropy: token-mean entropy of the whole rollout over all ranks, nats.
        """
        return None
