"""The policy with the engine that samples from it, as one thing to ask for responses."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_entropy.contracts import checked_completions
from lit_entropy.functional.masked import zero_outside
from lit_entropy.functional.padding import holes, left_pad
from lit_entropy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.types import Completions, Sequences

#: Rows in a forward pass without gradients; a number that all ranks share, as a sharded policy's
#: passes are collectives, and few, as rows of a large model may have 10,000 tokens.
ROWS = 8
#: Nats per token that rounding explains: in float32 (measured: some 1e-7), and in bfloat16 (1e-2).
FULL_GAP, LOW_GAP = 1e-3, 0.1


def check_masks(completions: Completions, engine: str) -> None:
    """Refuse masks by which a token would not be read that a later one has read.

    Args:
        completions: what an engine returned.
        engine: what it is called in the error.

    Raises:
        ValueError: names the row, and ``environment_BT``, which leaves tokens out of the loss.
    """
    mask_BT, environment_BT = completions.mask_BT, completions.environment_BT
    bad_B = holes(mask_BT)
    if environment_BT is not None:
        bad_B = bad_B | (environment_BT & ~mask_BT).any(1)
    if bool(bad_B.any()):
        row = int(bad_B.nonzero()[0])
        raise ValueError(
            f"model.engine={engine}: mask_BT of row {row} leaves out a token before the response's "
            "end, which the policy would then not read: set it True on every token of the "
            "response, and mark those that an environment wrote in environment_BT, which keeps "
            "them out of the loss"
        )


class SamplerGapError(RuntimeError):
    """An engine that runs the policy has other log-probs than the updates' forward pass."""


@dataclass(frozen=True)
class Sampler:
    """What samples responses and says how likely they were.

    Attributes:
        policy: the policy that is trained.
        engine: where responses are sampled.
        temperature: softmax temperature of sampling, ratios and entropies.
        max_new_tokens: longest response, end-of-sequence token included.
        context: the precision context of forward passes.
        full_precision: whether forward passes compute in the weights' own float32 or float64.
    """

    policy: Policy
    engine: RolloutEngine
    temperature: float = 1.0
    max_new_tokens: int = 8192
    context: Callable[[], AbstractContextManager[None]] = nullcontext
    full_precision: bool = True

    @property
    def same_logprobs(self) -> bool:
        """Whether the engine's log-probs are the training path's, up to rounding."""
        return self.engine.runs_policy and self.full_precision and self._full_weights

    @property
    def _full_weights(self) -> bool:
        # forward passes in bfloat16 differ by 1e-2 nats with the shape of their batch
        return not any(weight.dtype == torch.bfloat16 for weight in self.policy.parameters())

    def check_gap(self, gap: float, rl_step: int) -> None:
        """Stop where an engine that runs the policy samples from something else.

        Args:
            gap: ``policy/sampler_gap``, nats per token; NaN where nothing was compared.
            rl_step: number of the RL step, from 1.

        Raises:
            SamplerGapError: names the gap, the tolerance and the remedy.
        """
        tolerance = self.engine.gap_tolerance
        if tolerance is None:
            tolerance = FULL_GAP if self.same_logprobs else LOW_GAP
        if self.engine.runs_policy and gap > tolerance:
            raise SamplerGapError(
                f"model.engine={type(self.engine).__name__}: at RL step {rl_step} its log-probs "
                f"differ by {gap:.3g} nats per token from those of the updates' forward pass, and "
                f"gap_tolerance is {tolerance:g}: ratios would compare two policies. The model "
                "computes a sequence in another way with a cache, or beside longer ones: sample by "
                "VLLMEngine, or name another model; where rounding alone (TF32, say) explains it, "
                "raise model.engine.gap_tolerance"
            )

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        prompt_ids_B: Tensor,
        sample_ids_B: Tensor,
        keys: tuple[int | str, ...],
        temperature: float | None = None,
        max_new_tokens: int | None = None,
    ) -> Completions:
        """One response per row, by counter-based draws; see :meth:`RolloutEngine.generate`.

        Args:
            prompts: token ids of each row's prompt.
            prompt_ids_B: int64 ``Problem.id`` of each row.
            sample_ids_B: int64 number of the sample within its prompt.
            keys: seed, purpose and step that key the draws.
            temperature: by default that of the run; 0 decodes greedily.
            max_new_tokens: by default that of the run.

        Raises:
            ContractError: the engine returned something of another type or shape.
            ValueError: a mask of the engine has a hole; see :func:`check_masks`.
        """
        with self.context():
            given = self.engine.generate(
                self.policy,
                [list(prompt) for prompt in prompts],
                prompt_ids_B.cpu(),
                sample_ids_B.cpu(),
                max_new_tokens=self.max_new_tokens if max_new_tokens is None else max_new_tokens,
                temperature=self.temperature if temperature is None else temperature,
                keys=keys,
            )
        completions = checked_completions(self.engine, given, len(prompts))
        check_masks(completions, type(self.engine).__name__)
        return completions

    def sequences(self, prompts: Sequence[Sequence[int]], completions: Completions) -> Sequences:
        """Prompts and completions side by side, on the completions' device."""
        prompt_tokens_BS, prompt_mask_BS = left_pad(
            [list(prompt) for prompt in prompts],
            self.policy.pad_token_id,
            completions.tokens_BT.device,
        )
        return Sequences(
            completions.tokens_BT,
            completions.mask_BT,
            prompt_tokens_BS,
            prompt_mask_BS,
            completions.environment_BT,
        )

    @torch.no_grad()
    def entropies(
        self,
        prompts: Sequence[Sequence[int]],
        completions: Completions,
        temperature: float | None = None,
    ) -> Tensor:
        """The engine's exact entropies, or else the policy's of the same tokens.

        Args:
            prompts: token ids of each row's prompt.
            completions: what the engine sampled, on the policy's device.
            temperature: by default that of the run; at 0 the entropies are those of temperature 1.

        Returns:
            float32 [B, T] in nats, 0 on tokens that the policy did not sample.
        """
        if completions.entropies_BT is not None:
            return zero_outside(completions.entropies_BT, completions.sampled_BT)
        temperature = self.temperature if temperature is None else temperature
        sequences = self.sequences(prompts, completions)
        entropies_BT = torch.zeros_like(completions.logprobs_BT)
        for rows in torch.arange(len(sequences), device=entropies_BT.device).split(ROWS):
            with self.context():
                output = self.policy(sequences.rows(rows).trimmed(), temperature or 1.0)
            entropies_BT[rows, : output.entropy_BT.shape[1]] = output.entropy_BT
        return zero_outside(entropies_BT, completions.sampled_BT)
