"""Decoding with a small model of Llama's kind in fewer operations than its own pass has.

With few rows or little width a decoding step costs what its calls cost, and attention of one query
a row is slow in kernels that are made for many. Here weights that read the same numbers are joined,
positions are looked up, and attention is two products of batches: 109 operations in place of 186
for two layers, and none that would make the host wait for a GPU. Compiled, attention is sums of
products, which become a few loops over the cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.llama import Layer, LlamaWeights

#: Fewest rows that a compiled step is for; one row would be another graph.
FEWEST = 8
#: Keys and values of a layer, [B, K, L, E] each.
Held = tuple[Tensor, Tensor]
#: Attention from queries [B, H, E], a layer's keys and values, the bias [B * K, 1, W] of its scores
#: (the first L of its columns) and their scaling: [B, H * E].
Attention = Callable[[Tensor, Held, Tensor, float], Tensor]
#: :func:`next_logits` with an attention.
Step = Callable[[LlamaWeights, Tensor, Tensor, list[Held], Tensor, int], Tensor]


def by_products(queries_BHE: Tensor, held: Held, bias_N1W: Tensor, scaling: float) -> Tensor:
    """Attention in two products of batches, one batch a row and head of keys."""
    keys_NLE, values_NLE = (states.flatten(0, 1) for states in held)
    queries_NGE = queries_BHE.reshape(len(keys_NLE), -1, queries_BHE.shape[2])
    bias_N1L = bias_N1W[:, :, : keys_NLE.shape[1]]
    scores = torch.baddbmm(bias_N1L, queries_NGE, keys_NLE.transpose(1, 2), alpha=scaling)
    return torch.bmm(scores.softmax(-1), values_NLE).view(len(queries_BHE), -1)


def by_sums(queries_BHE: Tensor, held: Held, bias_N1W: Tensor, scaling: float) -> Tensor:
    """The same for a compiler, which never holds the products that are summed."""
    keys_BK1LE, values_BK1LE = (states[:, :, None] for states in held)
    rows, kv_heads, _, columns, _ = keys_BK1LE.shape
    queries_BKG1E = queries_BHE.reshape(rows, kv_heads, -1, 1, queries_BHE.shape[2])
    scores_BKGL = (queries_BKG1E * keys_BK1LE).sum(-1) * scaling
    bias_BK1L = bias_N1W.view(rows, kv_heads, 1, -1)[..., :columns]
    weights_BKGL = (scores_BKGL + bias_BK1L).softmax(-1)
    return (weights_BKGL[..., None] * values_BK1LE).sum(-2).reshape(rows, -1)


def next_logits(
    weights: LlamaWeights,
    tokens_B: Tensor,
    positions_B: Tensor,
    rooms: list[Held],
    bias_N1W: Tensor,
    count: int,
    attend: Attention = by_products,
) -> Tensor:
    """Logits after one more token of each row, whose keys and values are written.

    Args:
        weights: of the model.
        tokens_B: int64.
        positions_B: int64, theirs.
        rooms: keys and values by layer, with columns that are still to be written.
        bias_N1W: 0 on tokens and -inf on padding, N for each row and head of keys.
        count: columns with this token's, which is the last of them.
        attend: how attention is computed.

    Returns:
        [B, V].
    """
    turn = weights.cos[positions_B, None], weights.sin[positions_B, None]
    heads, kv_heads = weights.heads, weights.kv_heads
    states_BD = nn.functional.embedding(tokens_B, weights.embedding)
    for layer, room in zip(weights.layers, rooms, strict=True):
        normed_BD = _normed(states_BD, layer.norm, weights.eps)
        every = nn.functional.linear(normed_BD, layer.queries_keys_values, layer.bias)
        every_BHE = every.view(len(tokens_B), heads + 2 * kv_heads, -1)
        turned_BHE = _turned(every_BHE[:, : heads + kv_heads], *turn)
        keys, values = (states[:, :, :count] for states in room)
        keys[:, :, -1] = turned_BHE[:, heads:]
        values[:, :, -1] = every_BHE[:, heads + kv_heads :]
        seen_BF = attend(turned_BHE[:, :heads], (keys, values), bias_N1W, weights.scaling)
        states_BD = _after(layer, states_BD, seen_BF, weights.eps)
    return nn.functional.linear(_normed(states_BD, weights.norm, weights.eps), weights.head)


def next_logits_by_sums(
    weights: LlamaWeights,
    tokens_B: Tensor,
    positions_B: Tensor,
    rooms: list[Held],
    bias_N1W: Tensor,
    count: int,
) -> Tensor:
    """:func:`next_logits` for a compiler."""
    return next_logits(weights, tokens_B, positions_B, rooms, bias_N1W, count, by_sums)


def _after(layer: Layer, states_BD: Tensor, seen_BF: Tensor, eps: float) -> Tensor:
    """The states after a layer whose attention gave ``seen_BF``."""
    states_BD = torch.addmm(states_BD, seen_BF, layer.output)
    normed_BD = _normed(states_BD, layer.later_norm, eps)
    gate, up = nn.functional.linear(normed_BD, layer.gate_up).chunk(2, -1)
    return torch.addmm(states_BD, nn.functional.silu(gate) * up, layer.down)


def _normed(states_BD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    return nn.functional.rms_norm(states_BD, weight_D.shape, weight_D, eps)


def _turned(states_BHE: Tensor, cos_B1E: Tensor, sin_B1E: Tensor) -> Tensor:
    """Queries and keys rotated to their positions."""
    swapped_BHE = states_BHE.roll(states_BHE.shape[-1] // 2, -1)
    return torch.addcmul(states_BHE * cos_B1E, swapped_BHE, sin_B1E)


@dataclass
class LlamaContinuation:
    """Continues rows token by token; see :class:`lit_entropy.rollouts.cached.Continuation`.

    Attributes:
        weights: of the model.
        cache: keys and values of each row, by layer, each a
            :class:`lit_entropy.rollouts.spare.SpareLayer`.
        bias_N1W: 0 on tokens and -inf on padding, N for each row and head of keys.
        positions_B: of the next token of each row.
        step: :func:`next_logits`, compiled or not.
    """

    weights: LlamaWeights
    cache: Any
    bias_N1W: Tensor
    positions_B: Tensor
    step: Step

    @classmethod
    def after(
        cls, policy: Policy, weights: LlamaWeights, cache: Any, mask_BL: Tensor, width: int
    ) -> Self:
        """Continue prompts of ``width`` columns.

        Args:
            policy: says whether steps are compiled.
            weights: of its model.
            cache: keys and values of the prompts, by layer.
            mask_BL: bool, False on padding alone; columns of tokens to come are True.
            width: columns of the prompts.
        """
        # nothing that a step is given is a view: a compiler would make another graph
        mask_B1W = mask_BL[:, None]
        zeros_B1W = torch.zeros(mask_B1W.shape, dtype=weights.norm.dtype, device=mask_BL.device)
        bias_B1W = zeros_B1W.masked_fill(~mask_B1W, -torch.inf)
        rows_N = torch.arange(len(mask_BL), device=mask_BL.device)
        rows_N = rows_N.repeat_interleave(weights.kv_heads)
        bias_N1W = bias_B1W.index_select(0, rows_N)
        step = policy.as_compiled(next_logits_by_sums) if policy.compiled else next_logits
        return cls(weights, cache, bias_N1W, mask_BL[:, :width].sum(1), step)

    def next_logits(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token of each row."""
        rooms = [layer.room_for(1) for layer in self.cache.layers]
        positions_B, count = self.positions_B, self.cache.get_seq_length()
        self.positions_B = positions_B + 1
        step = self.step if len(tokens_B) >= FEWEST else next_logits
        return step(self.weights, tokens_B, positions_B, rooms, self.bias_N1W, count)

    def keep(self, rows_N: Tensor) -> None:
        """Keep these rows (int64), in this order."""
        self.cache.reorder_cache(rows_N)
        self.positions_B = self.positions_B[rows_N]
        heads_K = torch.arange(self.weights.kv_heads, device=rows_N.device)
        places_N = (rows_N[:, None] * len(heads_K) + heads_K).flatten()
        self.bias_N1W = self.bias_N1W.index_select(0, places_N)
