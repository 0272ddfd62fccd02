"""The contract of a policy loss: per-token losses in, one aggregation in the module."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lit_entropy.types import LossBatch, LossOutput, PolicyOutput


class PolicyLoss(nn.Module, ABC):
    """Base of every policy loss. Subclass it in any file and name it by ``class_path``.

    A loss that picks tokens over the whole optimizer minibatch sets ``selects_tokens`` and
    implements :meth:`select`; the module then calls it once per minibatch on all of its rows (over
    microbatches and ranks) and hands the result to :meth:`forward` as ``batch.selected_BT``.
    """

    #: True when :meth:`select` must see the whole optimizer minibatch.
    selects_tokens: bool = False
    #: ``current``: the minibatch is selected by the current policy's log-probs (eq. 10), which
    #: costs a no-grad pass when it is split; ``old``: by the rollout's log-probs, free of cost.
    selection_logprobs: str = "current"

    @abstractmethod
    def forward(self, output: PolicyOutput, batch: LossBatch) -> LossOutput:
        """Per-token losses of a microbatch.

        Args:
            output: log-probs and exact entropies of the batch's response tokens, [B, T].
            batch: the microbatch; ``advantages_BT`` are raw.

        Returns:
            Per-token loss [B, T] (anything on unscored tokens: the module masks) and metrics.
        """

    def select(self, output: PolicyOutput, batch: LossBatch) -> Tensor:
        """Mask of selected tokens, bool [B, T], over a whole optimizer minibatch."""
        raise TypeError(f"{type(self).__name__} sets selects_tokens but does not define select()")
