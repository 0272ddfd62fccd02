"""The records that flow through one RL step, and the legend of shape suffixes.

Legend, used in every name of the package:
P prompts of an RL step, G samples per prompt, B = P * G sequences (prompt-major: row p * G + g),
S prompt tokens (left-padded), T response tokens (right-padded), L = S + T, V vocabulary, D hidden.
Logarithms are natural: entropies and KL divergences are in nats. Fractions are in [0, 1].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

#: State of a run as torch and Lightning save it: by name tensors, plain values, lists and dicts.
State = dict[str, Any]
#: A configuration as it stands in a YAML file: by name plain values, lists and dicts.
Config = Mapping[str, Any]


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
        mask_BT: bool, True on every token of the response: the sampled ones, end of sequence
            included, and those that an environment wrote between them.
        logprobs_BT: float32, log pi of the sampled tokens at the temperature, 0 on padding.
        entropies_BT: float32, exact entropy (nats) of each sampling distribution, 0 on padding;
            None from an engine that does not know whole distributions.
        truncated_B: bool, True where the limit of new tokens ended the response.
        environment_BT: bool, tokens that an environment wrote (a user, a tool): the policy reads
            them and is never trained on them; None from an engine that has no environment.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    logprobs_BT: Tensor
    entropies_BT: Tensor | None
    truncated_B: Tensor
    environment_BT: Tensor | None = None

    @property
    def sampled_BT(self) -> Tensor:
        """Bool [B, T]: the tokens that the policy sampled."""
        return self.mask_BT if self.environment_BT is None else self.mask_BT & ~self.environment_BT


@dataclass
class TensorRecord:
    """A dataclass whose tensors all have the sequences (B) as their first dimension."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensor fields that are set, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def map(self, function: Callable[[str, Tensor], Tensor]) -> Self:
        """``function(name, tensor)`` of every tensor field; the other fields are kept."""
        changes = {name: function(name, value) for name, value in self.tensors().items()}
        return replace(self, **changes)

    def rows(self, index: Tensor) -> Self:
        """The rows ``index`` (int64 [N])."""
        return self.map(lambda _, tensor: tensor[index.to(tensor.device)])

    def to(self, device: torch.device | str) -> Self:
        """Every tensor on ``device``."""
        return self.map(lambda _, tensor: tensor.to(device))


@dataclass
class Sequences(TensorRecord):
    """Prompts and responses as tokens: all that a policy needs to be asked about them.

    Attributes:
        tokens_BT: int64 response tokens, right-padded.
        mask_BT: bool, True on response tokens, an environment's included: the attention mask,
            which has no hole.
        prompt_tokens_BS: int64 prompt tokens, left-padded.
        prompt_mask_BS: bool, True on prompt tokens.
        environment_BT: bool, response tokens that an environment wrote; None without one.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    prompt_tokens_BS: Tensor
    prompt_mask_BS: Tensor
    environment_BT: Tensor | None = None

    def __len__(self) -> int:
        return self.mask_BT.shape[0]

    @property
    def sampled_BT(self) -> Tensor:
        """Bool [B, T]: the tokens that the policy sampled, each an action at its prefix."""
        return self.mask_BT if self.environment_BT is None else self.mask_BT & ~self.environment_BT

    def trimmed(self) -> Self:
        """Without the columns that are padding in every row: less to compute, nothing else."""
        used_T, used_S = self.mask_BT.any(0), self.prompt_mask_BS.any(0)
        stop = int(used_T.nonzero().max()) + 1 if bool(used_T.any()) else 0
        start = int(used_S.nonzero().min()) if bool(used_S.any()) else 0
        return self.map(
            lambda name, tensor: tensor[:, start:] if name.endswith("_BS") else tensor[:, :stop]
        )


@dataclass
class LossBatch(TensorRecord):
    """What a loss reads of a microbatch.

    Only the first three fields are required, so that a loss can be called alone on plain tensors.

    Attributes:
        mask_BT: bool, tokens of the objective (response tokens after the group filter).
        old_logprobs_BT: float32, log pi_old of the response tokens at the training temperature.
        advantages_BT: raw advantages, never pre-scaled; float32, but float64 of ``ExactGradient``.
        entropies_BT: float32, exact entropies under pi_old, nats.
        sampler_logprobs_BT: float32, log-probs as the rollout engine reported them.
        reference_logprobs_BT: float32, log-probs of the reference policy, when one is used.
        prompt_ids_B: int64 ``Problem.id``.
        sample_ids_B: int64 number of the sample among those of its prompt in the RL step; with the
            prompt id it names the sequence.
        selected_BT: bool, tokens that a covariance loss selected over the whole optimizer
            minibatch; None when the loss is to select within this batch.
        minibatch_tokens: tokens of the objective in the whole optimizer minibatch, over
            microbatches and ranks: its denominator.
        update: index of the optimizer update, counted from the start of the run; keys random draws.
    """

    mask_BT: Tensor
    old_logprobs_BT: Tensor
    advantages_BT: Tensor
    entropies_BT: Tensor | None = None
    sampler_logprobs_BT: Tensor | None = None
    reference_logprobs_BT: Tensor | None = None
    prompt_ids_B: Tensor | None = None
    sample_ids_B: Tensor | None = None
    selected_BT: Tensor | None = None
    minibatch_tokens: int | None = None
    update: int = 0

    def __len__(self) -> int:
        return self.mask_BT.shape[0]

    def columns(self, stop: int) -> Self:
        """The first ``stop`` response tokens of every row."""
        return self.map(lambda name, tensor: tensor[:, :stop] if name.endswith("_BT") else tensor)


@dataclass(kw_only=True)
class Samples(TensorRecord):
    """Responses as they were sampled and rewarded, whole groups, prompt-major.

    Attributes:
        tokens_BT: int64 response tokens, right-padded.
        response_mask_BT: bool, every token that the policy sampled.
        prompt_tokens_BS: int64 prompt tokens, left-padded.
        prompt_mask_BS: bool, True on prompt tokens.
        sampler_logprobs_BT: float32, log-probs as the rollout engine reported them.
        sampler_entropies_BT: float32, exact entropies of the sampling, nats; None from an engine
            that does not know whole distributions.
        rewards_B: float32; NaN where the response could not be checked.
        correct_B: bool, False where the response could not be checked.
        checked_B: bool, responses whose reward is known.
        truncated_B: bool, True where the limit of new tokens ended the response.
        prompt_ids_B: int64 ``Problem.id``.
        sample_ids_B: int64 number of the sample among those of its prompt in the RL step; with the
            prompt id it names the sequence.
        difficulty_B: int64 ``Problem.difficulty``.
        answers_B: int64 code of the final answer, -1 where a response names none; None for a task
            that does not name answers.
        environment_BT: bool, tokens between them that an environment wrote; None without one.
    """

    tokens_BT: Tensor
    response_mask_BT: Tensor
    prompt_tokens_BS: Tensor
    prompt_mask_BS: Tensor
    sampler_logprobs_BT: Tensor
    sampler_entropies_BT: Tensor | None = None
    rewards_B: Tensor
    correct_B: Tensor
    checked_B: Tensor
    truncated_B: Tensor
    prompt_ids_B: Tensor
    sample_ids_B: Tensor
    difficulty_B: Tensor
    answers_B: Tensor | None = None
    environment_BT: Tensor | None = None

    def __len__(self) -> int:
        return self.response_mask_BT.shape[0]

    @property
    def sequences(self) -> Sequences:
        """The tokens alone, an environment's included."""
        mask_BT, environment_BT = self.response_mask_BT, self.environment_BT
        if environment_BT is not None:
            mask_BT = mask_BT | environment_BT
        prompts = self.prompt_tokens_BS, self.prompt_mask_BS
        return Sequences(self.tokens_BT, mask_BT, *prompts, environment_BT)

    def checked_groups(self, group_size: int) -> Tensor:
        """Bool [P]: the groups of ``group_size`` rows whose responses were all checked."""
        return self.checked_B.view(-1, group_size).all(1)

    def checked_rows(self, group_size: int) -> Tensor:
        """Bool [B]: the rows of those groups."""
        return self.checked_groups(group_size).repeat_interleave(group_size)


@dataclass(kw_only=True)
class Experience(Samples):
    """The samples of an RL step with what the updates need.

    Attributes:
        mask_BT: bool, tokens of the objective: response tokens after the group filter.
        old_logprobs_BT: float32, log pi_old of the response tokens at the training temperature.
        entropies_BT: float32, exact entropies under pi_old, nats.
        advantages_BT: raw advantages, never pre-scaled; float32, but float64 of ``ExactGradient``.
        rescored_B: bool, rows whose old log-probs are the training path's; those of the others are
            the engine's.
        reference_logprobs_BT: float32, log-probs of the reference policy, when one is used.
    """

    mask_BT: Tensor
    old_logprobs_BT: Tensor
    entropies_BT: Tensor
    advantages_BT: Tensor
    rescored_B: Tensor
    reference_logprobs_BT: Tensor | None = None

    @property
    def loss_batch(self) -> LossBatch:
        """What a loss reads of it."""
        return LossBatch(
            mask_BT=self.mask_BT,
            old_logprobs_BT=self.old_logprobs_BT,
            advantages_BT=self.advantages_BT,
            entropies_BT=self.entropies_BT,
            sampler_logprobs_BT=self.sampler_logprobs_BT,
            reference_logprobs_BT=self.reference_logprobs_BT,
            prompt_ids_B=self.prompt_ids_B,
            sample_ids_B=self.sample_ids_B,
        )


class PolicyOutput(NamedTuple):
    """What the policy says of the response tokens of ``Sequences``, at the training temperature.

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
            ``mask_BT`` divided by its tokens in the whole optimizer minibatch.
        metrics: detached numbers to log under ``policy/<name>``. A scalar tensor is a mean over the
            batch's tokens of the objective; a ``Mean`` has its own weight, a ``Maximum`` none.
    """

    token_loss_BT: Tensor
    metrics: Mapping[str, Tensor | Mean | Maximum] = field(default_factory=dict)
