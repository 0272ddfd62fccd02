"""A model's pass over tokens without padding: its own, but for attention, which is row by row.

Products, norms and activations of a causal model see one token at a time: a batch's tokens can go
through them side by side, in one pass, and a prompt that several rows share once. Attention alone
sees sequences: transformers lets its function be named, and the one here puts the tokens into rows,
calls transformers' own for them, and takes each token's answer from the first row that it is in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from lit_entropy.functional.unpadded import Rows, unpad
from lit_entropy.policy.probe import Inputs, difference, tolerance

#: Name of the attention function in transformers, which makes no mask for a name unknown to it.
ATTENTION = "lit_entropy_rows"
#: Name of the attention in whose place it is taken.
USUAL = "sdpa"
#: What a model may tell its attention function without asking for another attention.
_ORDINARY = {"dropout", "scaling", "is_causal", "position_ids", "use_cache"}


def attend_rows(
    module: nn.Module,
    query_1HNE: Tensor,
    key_1KNE: Tensor,
    value_1KNE: Tensor,
    attention_mask: Tensor | None,
    *,
    rows: Rows | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each row; transformers' interface of attention functions.

    Args:
        module: the attention layer.
        query_1HNE: queries of N tokens for H heads of E numbers.
        key_1KNE: keys for K heads.
        value_1KNE: values.
        attention_mask: None, a mask is not understood.
        rows: the sequences of which the tokens are.
        options: transformers', of which those that change attention are not understood.

    Returns:
        [1, N, H, E], and None for weights.

    Raises:
        ValueError: the model asks for another attention (a window, a softcap, a mask), or does not
            pass ``rows`` on.
    """
    asked = {key for key, value in options.items() if value is not None} - _ORDINARY
    if rows is None or attention_mask is not None or asked:
        raise ValueError(f"attention of rows is causal and plain, without {sorted(asked)} or mask")
    heads = [states.shape[1] for states in (query_1HNE, key_1KNE, value_1KNE)]
    states = [states.transpose(1, 2) for states in (query_1HNE, key_1KNE, value_1KNE)]
    states_NHE = torch.cat(states, 2)[0]
    parts = states_NHE.flatten(1).index_select(0, rows.tokens_M)
    seen = []
    for part, size in zip(parts.split([b * w for b, w in rows.sizes]), rows.sizes, strict=True):
        part_bHWE = part.view(*size, *states_NHE.shape[1:]).transpose(1, 2)
        seen_bWHE, _ = sdpa_attention_forward(module, *part_bHWE.split(heads, 1), None, **options)
        seen.append(seen_bWHE.flatten(0, 1))
    seen_MHE = torch.cat(seen) if len(seen) > 1 else seen[0]
    return seen_MHE.index_select(0, rows.first_N)[None], None


AttentionInterface.register(ATTENTION, attend_rows)


@contextmanager
def attention_of_rows(config: PreTrainedConfig) -> Iterator[None]:
    """The model's attention function is that of rows within the block."""
    usual = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = usual


@torch.no_grad()
def takes_rows(model: PreTrainedModel, inputs: Inputs) -> bool:
    """Whether a model's pass over unpadded tokens is its pass over padded ones.

    Three short sequences are tried, of which two share a prompt. A model on the meta device, on a
    GPU, for which flash attention packs, or of another attention than ``sdpa`` over whole sequences
    in any layer is not taken.

    Args:
        model: the causal LM.
        inputs: arguments of its forward from padded tokens and their mask.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or [])
    usual = model.config._attn_implementation == USUAL and kinds <= {"full_attention"}
    if model.device.type != "cpu" or not usual:
        return False
    mask_BL = torch.ones(3, 7, dtype=torch.bool)
    mask_BL[0, :2] = mask_BL[1:, 0] = mask_BL[1, 6] = False
    tokens_BL = torch.arange(21).view(3, 7) % int(config.vocab_size)
    tokens_BL[2, :4] = tokens_BL[1, :4]
    batch = unpad(tokens_BL, mask_BL, 4, 2)
    assert batch is not None  # all may be left
    was_training = model.training
    model.eval()
    try:
        expected = model(**inputs(tokens_BL, mask_BL), use_cache=False).logits[mask_BL]
        with attention_of_rows(model.config):
            inputs_1N = row_inputs(batch.tokens_N, batch.positions_N, batch.rows)
            output = model(**inputs_1N, use_cache=False)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False  # it has its own pass, which every other check has tried
    finally:
        model.train(was_training)
    found = output.logits[0, batch.places_BL[mask_BL]]
    logprobs = [logits.float().log_softmax(-1) for logits in (found, expected)]
    return difference(*logprobs) <= tolerance(model, logprobs[1])


def row_inputs(tokens_N: Tensor, positions_N: Tensor, rows: Rows) -> dict[str, Any]:
    """Arguments of a model's forward from tokens without padding."""
    return {"input_ids": tokens_N[None], "position_ids": positions_N[None], "rows": rows}
