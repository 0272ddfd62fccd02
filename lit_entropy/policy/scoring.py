"""How a policy's forward pass over ``Sequences`` is laid out, and what is read from it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy, logprobs_and_entropy
from lit_entropy.functional.packing import pack, padded_places
from lit_entropy.functional.padding import holes
from lit_entropy.functional.unpadded import Unpadded, unpad
from lit_entropy.policy.compiled import ForwardPass
from lit_entropy.policy.unpadded import attention_of_rows, row_inputs
from lit_entropy.types import Sequences

#: Share of a batch's places above which leaving padding out saves less than its copies cost.
MOST_LEFT = 0.9


class ScoredModel(NamedTuple):
    """A causal LM with how it is asked for log-probs.

    Attributes:
        model: the Hugging Face causal LM.
        inputs: arguments of its forward from padded tokens [B, L] and their mask.
        pad_token_id: the padding id.
        vocab_size: V, the rows of the output embedding.
        plain_head: whether logits are the head of the base model's last hidden states.
        packing: whether sequences are put side by side instead of padded.
        row_groups: groups of rows of like length whose attention is taken, of tokens that are laid
            out without padding; 0 for a batch as it was padded.
        chunk_tokens: response tokens whose logits are held at once.
        context: tokens of the longest sequence; None without a limit.
        forward: how a forward pass is taken, compiled or not.
    """

    model: PreTrainedModel
    inputs: Callable[[Tensor, Tensor], dict[str, Tensor]]
    pad_token_id: int
    vocab_size: int
    plain_head: bool
    packing: bool
    row_groups: int
    chunk_tokens: int
    context: int | None
    forward: ForwardPass


class Layout(NamedTuple):
    """Arguments of the model's forward, and where its output predicts each response token.

    Attributes:
        inputs: arguments of the model's forward.
        sources_BT: int64 place in the flattened output, that of the token before each one.
        of_rows: whether attention is that of rows, which stand among the inputs.
    """

    inputs: dict[str, Any]
    sources_BT: Tensor
    of_rows: bool


def lay_out(policy: ScoredModel, batch: Sequences) -> Layout:
    """The batch as it was padded, packed where the policy packs, or without padding.

    Raises:
        ValueError: a prompt is empty or not left-padded, a response not right-padded, or a sequence
            exceeds the context.
    """
    tokens_BL, mask_BL = _whole_sequences(batch, policy.pad_token_id)
    longest = int(mask_BL.sum(1).max())
    if policy.context is not None and longest > policy.context:
        raise ValueError(
            f"a sequence of {longest} tokens exceeds the model's context of {policy.context}: "
            "lower model.max_new_tokens, or the turns of a dialogue"
        )
    T = batch.mask_BT.shape[1]
    unpadded = None
    if policy.packing:
        # a dense mask grows with the square of a row; flash attention reads positions of one row
        capacity = None if uses_flash(policy.model) else longest
        packed = pack(tokens_BL, mask_BL, capacity, policy.pad_token_id)
        # without attention_mask and cache, transformers tells sequences apart by their positions
        inputs = {"input_ids": packed.tokens_RW, "position_ids": packed.positions_RW}
        places_BL = packed.places_BL
    elif unpadded := _unpadded(policy, tokens_BL, mask_BL, T):
        inputs = row_inputs(unpadded.tokens_N, unpadded.positions_N, unpadded.rows)
        places_BL = unpadded.places_BL
    else:
        inputs, places_BL = policy.inputs(tokens_BL, mask_BL), padded_places(mask_BL)
    return Layout(inputs | {"use_cache": False}, places_BL[:, -T - 1 : -1], unpadded is not None)


def _unpadded(
    policy: ScoredModel, tokens_BL: Tensor, mask_BL: Tensor, response_width: int
) -> Unpadded | None:
    """The batch without padding; None where the policy does not take it or it spares little."""
    if not policy.row_groups:
        return None
    prompt_width = mask_BL.shape[1] - response_width
    return unpad(tokens_BL, mask_BL, prompt_width, policy.row_groups, MOST_LEFT)


def score(policy: ScoredModel, batch: Sequences, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies, float32 [N], of the response tokens, in row-major order."""
    layout = lay_out(policy, batch)
    tokens_N, sources_N = batch.tokens_BT[batch.mask_BT], layout.sources_BT[batch.mask_BT]
    if not policy.plain_head:
        logits_RWV = _passed(policy, policy.model, layout, "logits")
        return logprobs_and_entropy(logits_RWV.flatten(0, 1)[sources_N], tokens_N, temperature)
    hidden_RWD = _passed(policy, policy.model.base_model, layout, "last_hidden_state")
    return chunked_logprobs_and_entropy(
        hidden_RWD.flatten(0, 1).index_select(0, sources_N),
        policy.model.get_output_embeddings(),
        tokens_N,
        temperature,
        vocab_size=policy.vocab_size,
        chunk_tokens=policy.chunk_tokens,
    )


def whole_logits(policy: ScoredModel, batch: Sequences) -> Tensor:
    """Logits [B, T, V], float32 at temperature 1, that predict every response token."""
    layout = lay_out(policy, batch)
    if not policy.plain_head:
        logits_RWV = _passed(policy, policy.model, layout, "logits")
        return logits_RWV.flatten(0, 1)[layout.sources_BT].float()
    hidden_RWD = _passed(policy, policy.model.base_model, layout, "last_hidden_state")
    head = policy.model.get_output_embeddings()
    logits: Tensor = head(hidden_RWD.flatten(0, 1)[layout.sources_BT])
    return logits.float()


def _passed(policy: ScoredModel, model: nn.Module, layout: Layout, field: str) -> Tensor:
    """A field of the output of one forward pass, of the model or of the base model in it."""
    attention = attention_of_rows(policy.model.config) if layout.of_rows else nullcontext()
    with attention:
        return policy.forward(model, layout.inputs, field)


def _whole_sequences(batch: Sequences, pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Prompts and responses side by side: int64 tokens and bool mask [B, L]."""
    if not bool((batch.prompt_mask_BS[:, -1] & ~holes(batch.prompt_mask_BS.flip(1))).all()):
        raise ValueError(
            "prompt_mask_BS ends in False or has a hole: prompts must be non-empty, left-padded"
        )
    if bool(holes(batch.mask_BT).any()):
        raise ValueError(
            "mask_BT has a hole: it is the attention mask, and would hide from a token what it "
            "followed; keep tokens that are not scored True, and leave them out of the loss's mask "
            "(Samples.sequences does so with what an environment wrote)"
        )
    mask_BL = torch.cat([batch.prompt_mask_BS, batch.mask_BT], dim=1)
    tokens_BL = torch.cat([batch.prompt_tokens_BS, batch.tokens_BT], dim=1)
    return tokens_BL.masked_fill(~mask_BL, pad_token_id), mask_BL


def uses_flash(model: PreTrainedModel) -> bool:
    """Whether attention is a flash kernel, which computes in half precision alone."""
    return "flash" in str(getattr(model.config, "_attn_implementation", ""))
