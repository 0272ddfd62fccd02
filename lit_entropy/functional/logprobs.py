"""Exact log-probs of given tokens and exact entropies, whole or in chunks of tokens.

N stands for any number of tokens; float32 is used whatever the dtype of the logits.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lit_entropy.functional.head_logprobs import is_plain_linear, linear_logprobs_and_entropy

#: Below this many logits (64 MiB in float32) chunks cost time and save nothing that matters.
PLAIN_LOGITS = 2**24


def logprobs_and_entropy(
    logits: Tensor, tokens: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Log-probs of tokens and entropies of their distributions softmax(logits / temperature).

    A logit of -inf is an impossible token: it adds 0 to the entropy (0 log 0 = 0) and its gradient
    is 0. Both outputs are differentiable.

    Args:
        logits: [..., V], any float dtype.
        tokens: int64 [...].
        temperature: above 0.

    Returns:
        Log-probs and entropies (nats), float32 [...].

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature!r}: log-probs need a temperature above 0")
    scores = torch.log_softmax(logits.float() / temperature, dim=-1)
    logprobs = scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    # exp(-inf) * -inf is NaN in the value and in the gradient; exp(-inf) * 0 is right in both.
    entropy = -(scores.exp() * scores.masked_fill(scores == -torch.inf, 0.0)).sum(-1)
    return logprobs, entropy


def chunked_logprobs_and_entropy(
    hidden_ND: Tensor,
    head: Callable[[Tensor], Tensor],
    tokens_N: Tensor,
    temperature: float = 1.0,
    *,
    vocab_size: int,
    chunk_tokens: int = 256,
    plain_logits: int = PLAIN_LOGITS,
) -> tuple[Tensor, Tensor]:
    """:func:`logprobs_and_entropy` of ``head(hidden_ND)`` without ever keeping all N x V logits.

    A plain linear head goes to :func:`linear_logprobs_and_entropy`, block by block. Any other one
    (adapted, quantised, sharded on its own, with hooks) is called on chunks of tokens, which are
    recomputed in the backward pass (activation checkpointing, arXiv 1604.06174): the peak is then
    a few times ``chunk_tokens`` x V floats. Either costs a second head product.

    Args:
        hidden_ND: last hidden states [N, D].
        head: maps [n, D] to logits [n, V]; a language-model head.
        tokens_N: int64 [N].
        temperature: above 0.
        vocab_size: V.
        chunk_tokens: tokens a chunk, at least 1.
        plain_logits: up to this many logits (N * V) nothing is chunked.

    Returns:
        Log-probs and entropies (nats), float32 [N].

    Raises:
        ValueError: ``chunk_tokens`` is below 1 or the temperature is not above 0.
    """
    if chunk_tokens < 1:
        raise ValueError(f"chunk_tokens={chunk_tokens}: use at least 1 token a chunk")
    if hidden_ND.shape[0] * vocab_size > plain_logits and is_plain_linear(head):
        logprobs_N, entropy_N = linear_logprobs_and_entropy(
            hidden_ND, head.weight, head.bias, tokens_N, temperature, chunk_tokens=chunk_tokens
        )
        return logprobs_N.float(), entropy_N.float()

    def chunk(hidden_nD: Tensor, tokens_n: Tensor) -> tuple[Tensor, Tensor]:
        return logprobs_and_entropy(head(hidden_nD), tokens_n, temperature)

    if hidden_ND.shape[0] * vocab_size <= plain_logits or hidden_ND.shape[0] <= chunk_tokens:
        return chunk(hidden_ND, tokens_N)
    pieces = zip(hidden_ND.split(chunk_tokens), tokens_N.split(chunk_tokens), strict=True)
    if not torch.is_grad_enabled():
        results = [chunk(*piece) for piece in pieces]
    else:
        results = [
            checkpoint(chunk, *piece, use_reentrant=False, preserve_rng_state=False)
            for piece in pieces
        ]
    logprobs, entropies = zip(*results, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)
