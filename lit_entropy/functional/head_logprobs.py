"""Log-probs and entropies straight from hidden states and a linear head, block by block.

The whole logits [N, V] never exist, neither in the forward nor in the backward pass. The forward
pass runs the online softmax (Milakov and Gimelshein, arXiv 1805.02867) over blocks of the
vocabulary and keeps three numbers per token; the backward pass computes each block of logits again
and adds its part to the gradients of hidden states and weight at once, the idea of Cut
Cross-Entropy (Wijmans et al., arXiv 2411.09009), here with the entropy as a second output.

With z the logits over the temperature, p = softmax(z) and H the entropy,

    d log p_a / dz_j = 1[j = a] - p_j        dH / dz_j = -p_j (log p_j + H).
"""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from lit_entropy.functional.logit_blocks import (
    HeadGradients,
    exact_dtype,
    logit_blocks,
    own_columns,
)

#: exp of this is 0 in float32 and float64; in place of -inf it makes no NaN when times 0.
_NEVER = -1e4


def is_plain_linear(head: object) -> TypeGuard[nn.Linear]:
    """Whether calling a head is nothing but the product with its weight.

    Not so for a subclass (adapters, quantisation, parametrisation, a module that FSDP shards on its
    own), a weight that is a tensor subclass (sharded), or hooks, which the product would pass by.
    """
    if type(head) is not nn.Linear or type(head.weight) is not nn.Parameter:
        return False
    hooks = head._forward_pre_hooks, head._forward_hooks
    return not any((*hooks, head._backward_pre_hooks, head._backward_hooks))


def linear_logprobs_and_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    tokens_N: Tensor,
    temperature: float = 1.0,
    *,
    chunk_tokens: int = 256,
    chunk_vocab: int = 8192,
) -> tuple[Tensor, Tensor]:
    """Log-probs of tokens and entropies of softmax(linear(hidden, weight, bias) / temperature).

    Matrix products are of the dtype that ``torch.nn.functional.linear`` would use, under autocast
    as well; everything after them is float32 (float64 for float64 inputs). Chunk sizes decide
    memory and time and change results by rounding alone. The gradient can be taken once.

    Args:
        hidden_ND: last hidden states [N, D].
        weight_VD: weight of the head.
        bias_V: bias of the head or None; a bias of -inf makes a token impossible.
        tokens_N: int64 [N].
        temperature: above 0.
        chunk_tokens: tokens of a block of logits, at least 1.
        chunk_vocab: vocabulary entries of a block of logits, at least 1.

    Returns:
        Log-probs and entropies (nats), float32 [N] (float64 for float64 inputs).

    Raises:
        ValueError: a chunk size is below 1 or the temperature is not above 0.
        RuntimeError: in a backward pass with ``create_graph``.
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature!r}: log-probs need a temperature above 0")
    for name, size in (("chunk_tokens", chunk_tokens), ("chunk_vocab", chunk_vocab)):
        if size < 1:
            raise ValueError(f"{name}={size}: use at least 1")
    device = hidden_ND.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else weight_VD.dtype
    chunks = (chunk_tokens, chunk_vocab)
    with torch.autocast(device, enabled=False):
        return LinearScores.apply(
            hidden_ND, weight_VD, bias_V, tokens_N, temperature, chunks, dtype
        )


class LinearScores(torch.autograd.Function):
    """The autograd function behind :func:`linear_logprobs_and_entropy`."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        tokens_N: Tensor,
        temperature: float,
        chunks: tuple[int, int],
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        """Online softmax: m the largest z, s the sum of e^(z-m), u that of e^(z-m) (z-m)."""
        exact = exact_dtype(dtype)
        max_N = hidden_ND.new_full((len(tokens_N),), torch.finfo(exact).min, dtype=exact)
        own_N, sum_N, weighted_N = (torch.zeros_like(max_N) for _ in range(3))
        blocks = logit_blocks(hidden_ND.to(dtype), weight_VD, bias_V, temperature, chunks)
        for n, v, _, z_nv in blocks:
            column_n1, inside_n = own_columns(tokens_N[n], v)
            own_N[n] = torch.where(inside_n, z_nv.gather(1, column_n1).squeeze(1), own_N[n])
            max_n = torch.maximum(max_N[n], z_nv.amax(1))
            shift_n = (max_N[n] - max_n).clamp_(min=_NEVER)
            z_nv.sub_(max_n[:, None]).clamp_(min=_NEVER)
            e_nv = z_nv.exp()
            weighted_n = (weighted_N[n] + sum_N[n] * shift_n) * shift_n.exp()
            weighted_N[n] = weighted_n + z_nv.mul_(e_nv).sum(1)
            sum_N[n] = sum_N[n] * shift_n.exp() + e_nv.sum(1)
            max_N[n] = max_n
        entropy_N = sum_N.log() - weighted_N / sum_N
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, tokens_N, max_N, sum_N, entropy_N)
        ctx.options = temperature, chunks, dtype
        ctx.set_materialize_grads(False)
        return own_N - max_N - sum_N.log(), entropy_N

    @staticmethod
    def backward(
        ctx: Any, onto_N: Tensor | None, onto_entropy_N: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Each block of logits again; it becomes its own gradient and is used up at once."""
        if torch.is_grad_enabled():  # a graph of in-place steps would be wrong without a word
            raise RuntimeError(
                "create_graph=True: scores from blocks of logits have a first derivative only; "
                "for a second one call logprobs_and_entropy on whole logits"
            )
        hidden_ND, weight_VD, bias_V, tokens_N, max_N, sum_N, entropy_N = ctx.saved_tensors
        temperature, chunks, dtype = ctx.options
        # the gradient of a logit is e^(z-m) (constant + slope (z-m)) + 1[j = a] onto
        onto_N = torch.zeros_like(sum_N) if onto_N is None else onto_N / temperature
        constant_N, slope_N = -onto_N / sum_N, None
        if onto_entropy_N is not None:
            slope_N = -onto_entropy_N / (sum_N * temperature)
            constant_N = constant_N + slope_N * (entropy_N - sum_N.log())
        gradients = HeadGradients((hidden_ND, weight_VD, bias_V), ctx.needs_input_grad, dtype)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            blocks = logit_blocks(hidden_ND.to(dtype), weight_VD, bias_V, temperature, chunks)
            for n, v, weight_vD, z_nv in blocks:
                z_nv.sub_(max_N[n, None]).clamp_(min=_NEVER)
                e_nv = z_nv.exp()
                if slope_N is None:
                    e_nv.mul_(constant_N[n, None])
                else:
                    e_nv.mul_(z_nv.mul_(slope_N[n, None]).add_(constant_N[n, None]))
                column_n1, inside_n = own_columns(tokens_N[n], v)
                e_nv.scatter_add_(1, column_n1, torch.where(inside_n, onto_N[n], 0.0)[:, None])
                gradients.add(n, v, weight_vD, e_nv)
        return *gradients.results(), None, None, None, None
