"""The contract of an advantage estimator."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from torch import Tensor, nn

from lit_entropy.types import Experience, State


class TokenContext(NamedTuple):
    """What an estimator that looks at tokens may read and use; the same on every rank.

    Attributes:
        experience: every sampled row of all ranks with its old log-probs, and the reference's
            if the estimator asks for them (``needs_reference``).
        group_size: samples (G) per prompt; rows are prompt-major.
        trained_P: bool, the groups that are trained on.
        minibatches: int64 rows of each optimizer minibatch of the policy's first pass, over all
            ranks.
        temperature: softmax temperature of the run.
        microbatches: cuts rows that every rank knows into this rank's forward passes with
            gradients; the shares of the ranks are disjoint.
        total: sum of a tensor over the ranks, the same bits on every rank.
        logprobs: float32 log-probs [B, T] of all rows under a model with the policy's signature,
            without gradients, joined over the ranks; its second argument names them in errors.
        forward_context: the trainer's precision context for passes with gradients.
    """

    experience: Experience
    group_size: int
    trained_P: Tensor
    minibatches: Sequence[Tensor]
    temperature: float
    microbatches: Callable[[Tensor], Sequence[Tensor]]
    total: Callable[[Tensor], Tensor]
    logprobs: Callable[[nn.Module, str], Tensor]
    forward_context: Callable[[], AbstractContextManager[None]]


class AdvantageEstimator(ABC):
    """Base of every advantage estimator. Subclass it in any file and name it by ``class_path``.

    Most estimators define :meth:`__call__` alone: one advantage per response from the rewards. The
    other methods have defaults that do nothing more. An estimator of token advantages overrides
    :meth:`token_advantages`, which is given the response advantages and the whole rollout; one that
    learns builds its model in :meth:`attach` and keeps it through :meth:`state_dict`.
    """

    #: Smallest number of samples per prompt for which the estimator is defined.
    min_group_size: int = 1
    #: True to find ``reference_logprobs_BT``, those of the base policy, in the experience.
    needs_reference: bool = False

    @abstractmethod
    def __call__(self, rewards_PG: Tensor) -> Tensor:
        """One advantage per response.

        Args:
            rewards_PG: float32 rewards of G samples for each of P prompts (the whole RL step,
                over all ranks, so that batch statistics do not depend on the rank count).

        Returns:
            float32 advantages [P, G].
        """

    def on_rollout(self, seed: int, rl_step: int) -> None:  # noqa: B027  optional
        """Called once per RL step before the estimate, so that random draws can be keyed.

        Args:
            seed: seed of the run.
            rl_step: the RL step under way, counted from 1.
        """

    def token_advantages(self, advantages_PG: Tensor, rollout: TokenContext) -> Tensor:
        """One advantage per token; by default that of its response.

        Args:
            advantages_PG: what :meth:`__call__` gave, for every group of the rollout.
            rollout: every sampled group with what is needed for forward passes.

        Returns:
            [B, T], 0 outside the response mask; float32, or float64 where rounding matters
            (``ExactGradient``): the loss takes it as it is.
        """
        mask_BT = rollout.experience.response_mask_BT
        return advantages_PG.flatten()[:, None] * mask_BT

    def metrics(self) -> Mapping[str, float]:
        """Numbers of the last rollout, the same on every rank.

        A key with ``/`` is logged as it is, another under ``rollout/``.
        """
        return {}

    def attach(self, policy: nn.Module) -> None:  # noqa: B027  optional
        """Build what is learned; called once, before training.

        Args:
            policy: the base policy. Copy it: a parameter of the trained policy would be updated by
                its optimizer, and the copy must stay outside of the module tree, where neither that
                optimizer nor DDP sees it.
        """

    def check_group_size(self, group_size: int) -> None:
        """Refuse a group that is too small.

        Raises:
            ValueError: names the setting and the remedy.
        """
        if group_size < self.min_group_size:
            raise ValueError(
                f"data.group_size={group_size}, but {type(self).__name__} compares the responses "
                f"of a group: set data.group_size to {self.min_group_size} or more, or take "
                "another model.advantage"
            )

    def state_dict(self) -> State:
        """State that a resumed run needs, of tensors, numbers, lists and dicts alone."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take up what :meth:`state_dict` gave.

        Raises:
            ValueError: the state is not that of this estimator.
        """
        if state:
            raise ValueError(f"{type(self).__name__} has no state, but was given {sorted(state)}")
