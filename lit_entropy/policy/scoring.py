"""How a policy's forward pass over an ``Experience`` is laid out, and what is read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy, logprobs_and_entropy
from lit_entropy.functional.packing import pack, padded_places
from lit_entropy.types import Experience

if TYPE_CHECKING:
    from lit_entropy.policy.policy import Policy


class Layout(NamedTuple):
    """Arguments of the model's forward, and where its output predicts each response token.

    Attributes:
        inputs: arguments of the model's forward.
        sources_BT: int64 place in the flattened output, that of the token before each one.
    """

    inputs: dict[str, Any]
    sources_BT: Tensor


def response_mask(batch: Experience) -> Tensor:
    """The tokens that are scored, bool [B, T]."""
    return batch.mask_BT if batch.response_mask_BT is None else batch.response_mask_BT


def lay_out(policy: Policy, batch: Experience) -> Layout:
    """The batch as it was padded, or packed where the policy packs.

    Raises:
        ValueError: tokens are missing, or a prompt is empty or not left-padded.
    """
    tokens_BL, mask_BL = _whole_sequences(batch, policy.pad_token_id)
    T = batch.mask_BT.shape[1]
    if policy.packing:
        # a dense mask grows with the square of a row; flash attention reads positions of one row
        capacity = None if _flash(policy.model) else int(mask_BL.sum(1).max())
        packed = pack(tokens_BL, mask_BL, capacity, policy.pad_token_id)
        # without attention_mask and cache, transformers tells sequences apart by their positions
        inputs = {"input_ids": packed.tokens_RW, "position_ids": packed.positions_RW}
        places_BL = packed.places_BL
    else:
        inputs, places_BL = policy.model_inputs(tokens_BL, mask_BL), padded_places(mask_BL)
    return Layout(inputs | {"use_cache": False}, places_BL[:, -T - 1 : -1])


def score(
    policy: Policy, batch: Experience, mask_BT: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies, float32 [N], of the tokens under the mask, in row-major order."""
    if batch.tokens_BT is None:
        raise ValueError("tokens_BT=None: the policy needs the response tokens to score them")
    layout = lay_out(policy, batch)
    tokens_N, sources_N = batch.tokens_BT[mask_BT], layout.sources_BT[mask_BT]
    if not policy.plain_head:
        logits_NV = policy.model(**layout.inputs).logits.flatten(0, 1)[sources_N]
        return logprobs_and_entropy(logits_NV, tokens_N, temperature)
    hidden_RWD = policy.model.base_model(**layout.inputs).last_hidden_state
    return chunked_logprobs_and_entropy(
        hidden_RWD.flatten(0, 1)[sources_N],
        policy.model.get_output_embeddings(),
        tokens_N,
        temperature,
        vocab_size=policy.vocab_size,
        chunk_tokens=policy.chunk_tokens,
    )


def whole_logits(policy: Policy, batch: Experience) -> Tensor:
    """Logits [B, T, V], float32 at temperature 1, that predict every response token."""
    layout = lay_out(policy, batch)
    if not policy.plain_head:
        return policy.model(**layout.inputs).logits.flatten(0, 1)[layout.sources_BT].float()
    hidden_RWD = policy.model.base_model(**layout.inputs).last_hidden_state
    head = policy.model.get_output_embeddings()
    logits: Tensor = head(hidden_RWD.flatten(0, 1)[layout.sources_BT])
    return logits.float()


def _whole_sequences(batch: Experience, pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Prompts and responses side by side: int64 tokens and bool mask [B, L]."""
    tokens_BT, tokens_BS, mask_BS = batch.tokens_BT, batch.prompt_tokens_BS, batch.prompt_mask_BS
    if tokens_BT is None or tokens_BS is None or mask_BS is None:
        raise ValueError("the policy needs tokens_BT, prompt_tokens_BS and prompt_mask_BS")
    if not bool(mask_BS[:, -1].all()):
        raise ValueError("prompt_mask_BS ends in False: prompts must be non-empty, left-padded")
    mask_BL = torch.cat([mask_BS, response_mask(batch)], dim=1)
    tokens_BL = torch.cat([tokens_BS, tokens_BT], dim=1)
    return tokens_BL.masked_fill(~mask_BL, pad_token_id), mask_BL


def _flash(model: Any) -> bool:
    return "flash" in str(getattr(model.config, "_attn_implementation", ""))
