"""The records that flow through one RL step, and the legend of shape suffixes.

Legend, used in every name of the package:
P prompts of an RL step, G samples a prompt, B = P * G sequences (prompt-major: row p * G + g),
S prompt tokens (left-padded), T response tokens (right-padded), L = S + T, V vocabulary, D hidden.
Logarithms are natural: entropies and KL divergences are in nats. Fractions are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Problem(NamedTuple):
    """One prompt with what is needed to score a response to it.

    Attributes:
        id: Stable identity; keys the random numbers of its samples.
        prompt: Plain text, or chat messages ``[{"role": ..., "content": ...}]``.
        answer: The reference answer as text.
        difficulty: Integer level by which validation is split (chain length, say); 0 if none.
        source: Name of the set that the problem is from, by which validation is split; may be "".
    """

    id: int
    prompt: str | list[dict[str, str]]
    answer: str
    difficulty: int = 0
    source: str = ""


@dataclass
class Completions:
    """What a rollout engine returns for B prompts-times-samples.

    Attributes:
        tokens_BT: int64, right-padded with the pad token.
        mask_BT: bool, True on sampled tokens including the end-of-sequence token.
        logprobs_BT: float32, log pi of the sampled tokens at the temperature, 0 on padding.
        entropies_BT: float32, exact entropy (nats) of each sampling distribution, 0 on padding;
            None from an engine that does not know whole distributions.
        truncated_B: bool, True where the limit of new tokens ended the response.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    logprobs_BT: Tensor
    entropies_BT: Tensor | None
    truncated_B: Tensor


@dataclass(frozen=True)
class Sequences:
    """Prompts and responses as tokens: all that a policy needs to be asked about them.

    Attributes:
        tokens_BT: int64 response tokens, right-padded.
        mask_BT: bool, True on response tokens.
        prompt_tokens_BS: int64 prompt tokens, left-padded.
        prompt_mask_BS: bool, True on prompt tokens.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    prompt_tokens_BS: Tensor
    prompt_mask_BS: Tensor

    def __len__(self) -> int:
        return self.mask_BT.shape[0]

    def rows(self, index: Tensor) -> Sequences:
        """The rows ``index`` (int64 [N])."""
        return self._map(lambda tensor: tensor[index.to(tensor.device)])

    def to(self, device: torch.device | str) -> Sequences:
        """Every tensor on ``device``."""
        return self._map(lambda tensor: tensor.to(device))

    def trimmed(self) -> Sequences:
        """Without the columns that are padding in every row: less to compute, nothing else."""
        used_T, used_S = self.mask_BT.any(0), self.prompt_mask_BS.any(0)
        stop = int(used_T.nonzero().max()) + 1 if bool(used_T.any()) else 0
        start = int(used_S.nonzero().min()) if bool(used_S.any()) else 0
        return Sequences(
            self.tokens_BT[:, :stop],
            self.mask_BT[:, :stop],
            self.prompt_tokens_BS[:, start:],
            self.prompt_mask_BS[:, start:],
        )

    def _map(self, function: Callable[[Tensor], Tensor]) -> Sequences:
        return Sequences(*(function(getattr(self, item.name)) for item in fields(self)))


@dataclass
class Experience:
    """Rows of a rollout with everything a loss needs; every tensor has B as its first dimension.

    Only the first three fields are required, so that a loss can be called alone on plain tensors.

    Attributes:
        mask_BT: bool, tokens that are scored by the loss (after the group filter).
        old_logprobs_BT: float32, log pi_old of the response tokens at the training temperature.
        advantages_BT: float32, raw advantages, never pre-scaled.
        response_mask_BT: bool, every response token, before the group filter.
        tokens_BT: int64 response tokens, right-padded.
        prompt_tokens_BS: int64 prompt tokens, left-padded.
        prompt_mask_BS: bool, True on prompt tokens.
        entropies_BT: float32, exact entropies under pi_old, nats.
        sampler_logprobs_BT: float32, log-probs as the rollout engine reported them.
        reference_logprobs_BT: float32, log-probs of the reference policy, when one is used.
        rescored_B: bool, rows whose old log-probs are the training path's; those of the others are
            the engine's.
        rewards_B: float32; NaN where the response could not be checked.
        correct_B: bool, False where the response could not be checked.
        checked_B: bool, responses whose reward is known; None when all are.
        truncated_B: bool.
        prompt_ids_B: int64 ``Problem.id``.
        sample_ids_B: int64 number of the sample among those of its prompt in the RL step; with the
            prompt id it names the sequence.
        difficulty_B: int64.
        answers_B: int64 code of the final answer, -1 where a response names none; None for a task
            that does not name answers.
        selected_BT: bool, tokens that a covariance loss selected over the whole optimiser
            minibatch; None when the loss is to select within this batch.
        minibatch_tokens: scored tokens of the whole optimiser minibatch, over microbatches and
            ranks: the denominator of the objective.
        update: index of the optimiser update, counted from the start of the run; keys random draws.
    """

    mask_BT: Tensor
    old_logprobs_BT: Tensor
    advantages_BT: Tensor
    response_mask_BT: Tensor | None = None
    tokens_BT: Tensor | None = None
    prompt_tokens_BS: Tensor | None = None
    prompt_mask_BS: Tensor | None = None
    entropies_BT: Tensor | None = None
    sampler_logprobs_BT: Tensor | None = None
    reference_logprobs_BT: Tensor | None = None
    rescored_B: Tensor | None = None
    rewards_B: Tensor | None = None
    correct_B: Tensor | None = None
    checked_B: Tensor | None = None
    truncated_B: Tensor | None = None
    prompt_ids_B: Tensor | None = None
    sample_ids_B: Tensor | None = None
    difficulty_B: Tensor | None = None
    answers_B: Tensor | None = None
    selected_BT: Tensor | None = None
    minibatch_tokens: int | None = None
    update: int = 0

    def __len__(self) -> int:
        return self.mask_BT.shape[0]

    def rows(self, index: Tensor) -> Experience:
        """The rows ``index`` (int64 [N]) of every per-sequence field; scalars are kept."""
        return self._map(lambda tensor: tensor[index.to(tensor.device)])

    def to(self, device: torch.device | str) -> Experience:
        """Every tensor on ``device`` (Lightning's batch transfer calls this)."""
        return self._map(lambda tensor: tensor.to(device))

    def checked_groups(self, group_size: int) -> Tensor:
        """Bool [P]: the groups of ``group_size`` rows whose responses were all checked."""
        if self.checked_B is None:
            return self.mask_BT.new_ones(len(self) // group_size, dtype=torch.bool)
        return self.checked_B.view(-1, group_size).all(1)

    def checked_rows(self, group_size: int) -> Tensor:
        """Bool [B]: the rows of those groups."""
        return self.checked_groups(group_size).repeat_interleave(group_size)

    def trimmed(self) -> Experience:
        """Without the columns that are padding in every row: less to compute, nothing else."""
        scored_BT = self.mask_BT if self.response_mask_BT is None else self.response_mask_BT
        stop = int(scored_BT.any(0).nonzero().max()) + 1 if bool(scored_BT.any()) else 0
        changes = {
            name: value[:, :stop] for name, value in self.tensors().items() if name.endswith("_BT")
        }
        if self.prompt_mask_BS is not None and self.prompt_tokens_BS is not None:
            used_S = self.prompt_mask_BS.any(0)
            start = int(used_S.nonzero().min()) if bool(used_S.any()) else 0
            changes["prompt_tokens_BS"] = self.prompt_tokens_BS[:, start:]
            changes["prompt_mask_BS"] = self.prompt_mask_BS[:, start:]
        return replace(self, **changes)  # type: ignore[arg-type]

    def tensors(self) -> dict[str, Tensor]:
        """The tensor fields that are set, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def _map(self, function: Callable[[Tensor], Tensor]) -> Experience:
        changes = {name: function(value) for name, value in self.tensors().items()}
        return replace(self, **changes)  # type: ignore[arg-type]


class PolicyOutput(NamedTuple):
    """What the policy says of an ``Experience``'s response tokens, at the training temperature.

    Attributes:
        logprobs_BT: float32, log pi of the given tokens, differentiable.
        entropy_BT: float32, exact entropy of each token distribution in nats, differentiable.
    """

    logprobs_BT: Tensor
    entropy_BT: Tensor


class Mean(NamedTuple):
    """A metric as a total and its weight, so that means stay exact over microbatches and ranks."""

    total: Tensor
    weight: Tensor


class Maximum(NamedTuple):
    """A metric that is a maximum, over microbatches and ranks too; -inf where there is nothing."""

    value: Tensor


@dataclass
class LossOutput:
    """What a loss returns.

    Attributes:
        token_loss_BT: float32, loss of each token. The module alone aggregates: the sum over
            ``mask_BT`` divided by the scored tokens of the whole optimiser minibatch.
        metrics: detached numbers to log under ``policy/<name>``. A scalar tensor is a mean over the
            batch's scored tokens; a ``Mean`` carries its own weight; a ``Maximum`` has none.
    """

    token_loss_BT: Tensor
    metrics: Mapping[str, Tensor | Mean | Maximum] = field(default_factory=dict)
