"""Sums and means over masked elements; what lies outside the mask never enters, not even NaN."""

import torch
from torch import Tensor


def zero_outside(values: Tensor, mask: Tensor) -> Tensor:
    """``values`` with 0 outside the mask.

    ``values * mask`` would keep NaN and inf (0 * inf = NaN) and send NaN gradients back;
    ``torch.where`` before any arithmetic does neither.

    Args:
        values: numbers of any shape, arbitrary (NaN too) outside the mask.
        mask: bool, broadcastable to ``values``.

    Returns:
        Tensor of the shape and dtype of ``values``.
    """
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))


def masked_sum(
    values: Tensor,
    mask: Tensor,
    dim: int | tuple[int, ...] | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Sum over the mask.

    Args:
        values: numbers of any shape, arbitrary (NaN too) outside the mask.
        mask: bool, same shape as ``values``.
        dim: dimension(s) to sum; None sums everything.
        dtype: dtype of the accumulation and the result, ``torch.float64`` for metrics; None keeps
            that of ``values``.

    Returns:
        The sum; 0 where the mask is empty.

    Raises:
        ValueError: the mask has another shape.
    """
    _require_same_shape(values, mask)
    zeroed = zero_outside(values, mask)
    return zeroed.sum(dtype=dtype) if dim is None else zeroed.sum(dim=dim, dtype=dtype)


def masked_mean(
    values: Tensor,
    mask: Tensor,
    dim: int | tuple[int, ...] | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Mean over the mask; 0 where the mask is empty, so that an empty microbatch adds nothing.

    Args:
        values: numbers of any shape, arbitrary (NaN too) outside the mask.
        mask: bool, same shape as ``values``.
        dim: dimension(s) to reduce; None reduces everything.
        dtype: dtype of the accumulation and the result, ``torch.float64`` for metrics; None keeps
            that of ``values``.

    Returns:
        The mean.

    Raises:
        ValueError: the mask has another shape.
    """
    count = mask.sum() if dim is None else mask.sum(dim=dim)
    return masked_sum(values, mask, dim, dtype=dtype) / count.clamp(min=1)


def _require_same_shape(values: Tensor, mask: Tensor) -> None:
    # broadcast, a value would count as often as the other has elements, and a mean leave [min, max]
    if values.shape != mask.shape:
        raise ValueError(
            f"values have the shape {list(values.shape)} and the mask {list(mask.shape)}: give "
            "both one shape, by expand_as where broadcasting is meant"
        )
