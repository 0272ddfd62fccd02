"""Rollouts that hold every response to each prompt, in place of samples."""

import torch
from torch import Tensor

from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.functional.enumeration import all_responses
from lit_entropy.functional.padding import left_pad
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.local import LocalEngine, evaluation_mode
from lit_entropy.types import Completions, Sequences


class EnumeratingEngine(LocalEngine):
    """Sample g of a prompt is response g of all; greedy decoding is that of ``LocalEngine``.

    For vocabularies of a few words and responses of a few tokens: with V words and the limit T
    there are V ** T responses, less those that end early. ``data.group_size`` must be their number;
    ``ExactGradient`` turns them into exact expectations.
    """

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
        """Response ``sample_ids_B`` of each row; see :class:`RolloutEngine`."""
        if temperature == 0:
            return super().generate(
                policy, prompts, prompt_ids_B, sample_ids_B, max_new_tokens=max_new_tokens,
                temperature=temperature, keys=keys,
            )  # fmt: skip
        device = next(policy.parameters()).device
        tokens_RT, mask_RT = all_responses(policy.vocab_size, max_new_tokens, policy.eos_token_ids)
        number_B = sample_ids_B % len(tokens_RT)  # a prompt that stands twice has all of them twice
        tokens_BT, mask_BT = tokens_RT[number_B].to(device), mask_RT[number_B].to(device)
        prompt_BS, prompt_mask_BS = left_pad(prompts, policy.pad_token_id, device)
        with evaluation_mode(policy), whole_parameters(policy):
            output = policy(Sequences(tokens_BT, mask_BT, prompt_BS, prompt_mask_BS), temperature)
        ends_BT = torch.isin(tokens_BT, torch.tensor(policy.eos_token_ids, device=device)) & mask_BT
        return Completions(
            tokens_BT=tokens_BT,
            mask_BT=mask_BT,
            logprobs_BT=output.logprobs_BT,
            entropies_BT=output.entropy_BT,
            truncated_B=~ends_BT.any(1),
        )
