"""Decoding with a cache of keys and values: its two kinds of forward pass, and a check of both."""

from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from lit_entropy.functional.padding import left_pad, pad_right
from lit_entropy.policy.policy import Policy
from lit_entropy.policy.probe import difference, tolerance
from lit_entropy.rollouts.llama import LlamaContinuation, LlamaWeights
from lit_entropy.rollouts.recorded import Record, RecordedContinuation, can_be_recorded
from lit_entropy.rollouts.spare import SpareLayer


class Continuation(Protocol):
    """A batch of rows that is continued token by token."""

    def next_logits(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token (int64) of each row.

        The next call may overwrite them.
        """

    def keep(self, rows_N: Tensor) -> None:
        """Keep these rows (int64), in this order."""


class ModelContinuation:
    """Continues rows by the model's own forward pass, with its cache."""

    def __init__(self, policy: Policy, cache: Any, mask_BL: Tensor, width: int) -> None:
        """Continue prompts.

        Args:
            policy: its model is asked.
            cache: the model's, of these rows.
            mask_BL: bool, False on padding alone; columns of tokens to come are True.
            width: columns of the prompts.
        """
        self.policy, self.cache = policy, cache
        self.mask_BL, self.width = mask_BL, width

    def next_logits(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token of each row."""
        self.width += 1
        inputs = self.policy.model_inputs(tokens_B[:, None], self.mask_BL[:, : self.width])
        output = self.policy.model(past_key_values=self.cache, use_cache=True, **inputs)
        logits_BTV: Tensor = output.logits
        return logits_BTV[:, -1]

    def keep(self, rows_N: Tensor) -> None:
        """Keep these rows (int64), in this order."""
        self.cache.reorder_cache(rows_N)
        self.mask_BL = self.mask_BL[rows_N]


def prefill(
    policy: Policy, prompts: list[list[int]], limit: int, record: Record | None = None
) -> tuple[Tensor, Continuation]:
    """Run each distinct prompt once.

    Args:
        policy: in evaluation mode, with whole parameters.
        prompts: token ids of each row.
        limit: most tokens that follow.
        record: records decoding steps, where the model's can be; None takes each as it comes.

    Returns:
        Logits [B, V] of the first token, and what continues the rows.
    """
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
    width = mask_NS.shape[1]
    mask_BL = pad_right(mask_NS[index_B], width + limit, True)
    return output.logits[index_B, -1], _continuation(
        policy, output.past_key_values, index_B, mask_BL, width, record
    )


def _continuation(
    policy: Policy,
    cache: Any,
    index_B: Tensor,
    mask_BL: Tensor,
    width: int,
    record: Record | None,
) -> Continuation:
    """What continues the rows ``index_B`` of a cache, whose plain layers get room for more."""
    # other kinds of layers, empty ones, and caches with states of their own stay as they are
    if type(cache) is not DynamicCache or not all(
        type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers
    ):
        cache.reorder_cache(index_B)
        return ModelContinuation(policy, cache, mask_BL, width)
    if record is not None and can_be_recorded(policy):
        cache.reorder_cache(index_B)
        return RecordedContinuation(policy, cache, mask_BL, width, record)
    cache.layers = [SpareLayer(layer, index_B) for layer in cache.layers]
    weights = LlamaWeights.of(policy.model, mask_BL.shape[1])
    if weights is None:
        return ModelContinuation(policy, cache, mask_BL, width)
    return LlamaContinuation.after(weights, cache, mask_BL, width)


@torch.no_grad()
def check_cache(policy: Policy, record: Record | None = None) -> None:
    """Refuse a model whose cached decoding is not its forward pass over whole sequences.

    Two prompts of 2 and 5 tokens are prefilled, shared out to three rows, of which one is dropped,
    and continued by three given tokens. A model on the meta device is taken on trust.

    Args:
        policy: in evaluation mode, with whole parameters.
        record: records decoding steps, which are then what is checked.

    Raises:
        ValueError: the model has no cache of keys and values, cannot continue one whose rows were
            repeated and dropped, or continues it by other log-probs.
    """
    if policy.model.device.type == "meta":
        return
    title = f"model.engine=LocalEngine cannot sample from {type(policy.model).__name__}"
    remedy = "use VLLMEngine or VLLMServerEngine, or another model"
    if record is not None:
        title += " by recorded steps"
        remedy = "decode step by step, by --model.engine=LocalEngine --model.engine.graphs=false"
    ids_L = torch.arange(3, 11, device=policy.model.device) % policy.vocab_size
    prompts, later_T = [ids_L[:2].tolist(), ids_L[:5].tolist()], ids_L[5:]
    try:
        cached_NTV = _cached(policy, prompts, later_T, record)
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


def _cached(
    policy: Policy, prompts: list[list[int]], later_T: Tensor, record: Record | None
) -> Tensor:
    """Log-probs [2, 1 + T, V] after both prompts and each later token."""
    logits, rows = prefill(policy, [prompts[1], *prompts], len(later_T), record)
    keep = torch.tensor([1, 2], device=later_T.device)
    rows.keep(keep)
    steps = [logits[keep]]
    for token in later_T:
        steps.append(rows.next_logits(token.expand(2)).clone())
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
