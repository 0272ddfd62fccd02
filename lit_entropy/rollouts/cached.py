"""Decoding with a cache of keys and values: its two kinds of forward pass, and a check of both."""

from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from lit_entropy.functional.padding import left_pad, pad_right
from lit_entropy.policy.policy import Policy
from lit_entropy.policy.probe import difference, tolerance
from lit_entropy.rollouts.spare import SpareLayer


class Cache(Protocol):
    """The keys and values of a batch, as far as decoding asks for them."""

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows ``beam_idx`` (int64), in this order."""


def prefill(policy: Policy, prompts: list[list[int]], limit: int) -> tuple[Tensor, Tensor, Cache]:
    """Run each distinct prompt once; last logits [B, V], mask [B, S + limit] and cache by row."""
    distinct = {tuple(prompt): None for prompt in prompts}
    order = {prompt: index for index, prompt in enumerate(distinct)}
    device = next(policy.parameters()).device
    tokens_NS, mask_NS = left_pad(
        [list(prompt) for prompt in distinct], policy.pad_token_id, device
    )
    output = policy.model(
        use_cache=True, **policy.model_inputs(tokens_NS, mask_NS), **policy.last_logits
    )
    index_B = torch.tensor([order[tuple(prompt)] for prompt in prompts], device=device)
    mask_BL = pad_right(mask_NS[index_B], mask_NS.shape[1] + limit, True)
    return output.logits[index_B, -1], mask_BL, _by_row(output.past_key_values, index_B)


def _by_row(cache: Any, index_B: Tensor) -> Cache:
    """The rows ``index_B`` of a cache, whose plain layers get room for the tokens to come."""
    # other kinds of layers, empty ones, and caches with states of their own stay as they are
    if type(cache) is DynamicCache and all(
        type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers
    ):
        cache.layers = [SpareLayer(layer, index_B) for layer in cache.layers]
    else:
        cache.reorder_cache(index_B)
    return cache


def next_logits(policy: Policy, tokens_B: Tensor, mask_BL: Tensor, cache: Cache) -> Tensor:
    """Logits [B, V] after one more token of each row; the mask is that of all tokens so far."""
    inputs = policy.model_inputs(tokens_B[:, None], mask_BL)
    logits: Tensor = policy.model(past_key_values=cache, use_cache=True, **inputs).logits
    return logits[:, -1]


@torch.no_grad()
def check_cache(policy: Policy) -> None:
    """Refuse a model whose cached decoding is not its forward pass over whole sequences.

    Two prompts of 2 and 5 tokens are prefilled, shared out to three rows, of which one is dropped,
    and continued by three given tokens. A model on the meta device is taken on trust.

    Args:
        policy: in evaluation mode, with whole parameters.

    Raises:
        ValueError: the model has no cache of keys and values, cannot continue one whose rows were
            repeated and dropped, or continues it by other log-probs.
    """
    if policy.model.device.type == "meta":
        return
    title = f"model.engine=LocalEngine cannot sample from {type(policy.model).__name__}"
    remedy = "use VLLMEngine or VLLMServerEngine, or another model"
    ids_L = torch.arange(3, 11, device=policy.model.device) % policy.vocab_size
    prompts, later_T = [ids_L[:2].tolist(), ids_L[:5].tolist()], ids_L[5:]
    try:
        cached_NTV = _cached(policy, prompts, later_T)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{title}: it does not decode with a cache of keys and values whose rows can be "
            f"repeated and dropped ({type(error).__name__}: {error}); {remedy}"
        ) from error
    whole_NTV = _whole(policy, prompts, later_T)
    if (gap := difference(cached_NTV, whole_NTV)) > tolerance(policy.model, whole_NTV):
        raise ValueError(
            f"{title}: decoding with its cache gives other log-probs than the pass over the whole "
            f"sequence that it is trained by (up to {gap:.1e} nats); {remedy}"
        )


def _cached(policy: Policy, prompts: list[list[int]], later_T: Tensor) -> Tensor:
    """Log-probs [2, 1 + T, V] after both prompts and each later token."""
    logits, mask_BL, cache = prefill(policy, [prompts[1], *prompts], len(later_T))
    keep = torch.tensor([1, 2], device=later_T.device)
    cache.reorder_cache(keep)
    mask_BL, steps = mask_BL[keep], [logits[keep]]
    width = mask_BL.shape[1] - len(later_T)
    for count, token in enumerate(later_T, 1):
        steps.append(next_logits(policy, token.expand(2), mask_BL[:, : width + count], cache))
    return torch.stack(steps, 1).float().log_softmax(-1)


def _whole(policy: Policy, prompts: list[list[int]], later_T: Tensor) -> Tensor:
    """The same by passes over whole sequences, without cache and padding."""
    rows = []
    for prompt in prompts:
        tokens_1L = torch.tensor([prompt + later_T.tolist()], device=later_T.device)
        inputs = policy.model_inputs(tokens_1L, torch.ones_like(tokens_1L, dtype=torch.bool))
        logits = policy.model(**inputs, use_cache=False).logits[0, len(prompt) - 1 :]
        rows.append(logits.float().log_softmax(-1))
    return torch.stack(rows)
