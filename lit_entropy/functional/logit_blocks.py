"""Blocks of a head's logits, n tokens by v vocabulary entries, and gradients from such blocks."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import linear


def exact_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of sums: float64 for float64 products, float32 for any other."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def logit_blocks(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    temperature: float,
    chunks: tuple[int, int],
) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Tokens n, vocabulary entries v, weight_vD and z_nv of each block; v is the outer loop."""
    dtype = hidden_ND.dtype
    for v in _slices(len(weight_VD), chunks[1]):
        weight_vD = weight_VD[v].to(dtype)
        bias_v = None if bias_V is None else bias_V[v].to(dtype)
        for n in _slices(len(hidden_ND), chunks[0]):
            z_nv = linear(hidden_ND[n], weight_vD, bias_v).to(exact_dtype(dtype))
            yield n, v, weight_vD, z_nv if temperature == 1 else z_nv.div_(temperature)


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def own_columns(tokens_n: Tensor, v: slice) -> tuple[Tensor, Tensor]:
    """Column [n, 1] of each token in the block (any where it lies outside), and which lie inside.

    Every row names one column, so that a scatter is deterministic, and no number is needed on the
    host, so that a GPU never waits.
    """
    inside_n = (tokens_n >= v.start) & (tokens_n < v.stop)
    return (tokens_n - v.start).clamp(0, v.stop - v.start - 1)[:, None], inside_n


class HeadGradients:
    """The gradients that are needed; blocks are summed in float32 (float64 for float64 inputs)."""

    def __init__(
        self,
        inputs: tuple[Tensor, Tensor, Tensor | None],
        needed: tuple[bool, ...],
        dtype: torch.dtype,
    ) -> None:
        hidden_ND, weight_VD, bias_V = inputs
        self.dtypes = tuple(None if tensor is None else tensor.dtype for tensor in inputs)
        self.hidden_ND = hidden_ND.to(dtype)
        self.exact = exact_dtype(dtype)
        self.hidden = torch.zeros_like(hidden_ND, dtype=self.exact) if needed[0] else None
        self.weight = torch.zeros_like(weight_VD) if needed[1] else None
        self.bias: Tensor | None = None
        if bias_V is not None and needed[2]:
            self.bias = torch.zeros_like(bias_V, dtype=self.exact)

    def add(self, n: slice, v: slice, weight_vD: Tensor, gradient_nv: Tensor) -> None:
        """Add what the gradient of a block of logits gives."""
        if self.bias is not None:
            self.bias[v] += gradient_nv.sum(0)
        gradient_nv = gradient_nv.to(weight_vD.dtype)
        if self.hidden is not None:
            _add_product(self.hidden[n], gradient_nv, weight_vD)
        if self.weight is None:
            return
        # the vocabulary is the outer loop: of a bfloat16 weight, only this part needs float32
        if n.start == 0:
            same = self.weight.dtype == self.exact
            self.part_vD = self.weight[v] if same else self.weight[v].to(self.exact)
        _add_product(self.part_vD, gradient_nv.T, self.hidden_ND[n])
        if n.stop == len(self.hidden_ND) and self.weight.dtype != self.exact:
            self.weight[v] = self.part_vD

    def results(self) -> tuple[Tensor | None, ...]:
        """Gradients of hidden states, weight and bias in the dtypes of those."""
        hidden = None if self.hidden is None else self.hidden.to(self.dtypes[0])
        bias = None if self.bias is None else self.bias.to(self.dtypes[2])
        return hidden, self.weight, bias


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in place and without a copy where the dtypes allow it."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
