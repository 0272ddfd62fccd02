"""Masked sums and means, and their indifference to what padding holds."""

from __future__ import annotations

import pytest
import torch

from lit_entropy.functional.masked import masked_mean, masked_sum, zero_outside

VALUES = [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]
MASK = torch.tensor([[True, True, False], [False, True, False]])


def test_hand_values() -> None:
    values = torch.tensor(VALUES)
    assert masked_sum(values, MASK).item() == 19.0  # 1 + 2 + 16
    assert masked_mean(values, MASK).item() == pytest.approx(19.0 / 3.0)
    assert masked_sum(values, MASK, 1).tolist() == [3.0, 16.0]
    assert masked_mean(values, MASK, 1).tolist() == [1.5, 16.0]
    assert masked_mean(values, MASK, (0, 1)).item() == pytest.approx(19.0 / 3.0)


@pytest.mark.parametrize(
    ("values", "mask"), [((4, 6), (4, 1)), ((4, 1), (4, 6)), ((4, 6), (6,)), ((), (4,))]
)
def test_nothing_is_broadcast(values: tuple[int, ...], mask: tuple[int, ...]) -> None:
    """Of ones under a mask [4, 1] the mean would be 6."""
    numbers, chosen = torch.ones(values), torch.ones(mask, dtype=torch.bool)
    for function in (masked_sum, masked_mean):
        with pytest.raises(ValueError, match="both one shape"):
            function(numbers, chosen)
    whole = torch.ones(4, 6)
    assert masked_mean(whole, torch.ones(4, 1, dtype=torch.bool).expand_as(whole)).item() == 1.0


def test_empty_mask_gives_zero() -> None:
    empty = torch.zeros(2, 3, dtype=torch.bool)
    assert masked_mean(torch.full((2, 3), float("nan")), empty).item() == 0.0


@pytest.mark.parametrize("filler", [float("nan"), float("inf"), float("-inf")])
def test_padding_enters_neither_values_nor_gradients(filler: float) -> None:
    values = torch.tensor(VALUES).masked_fill(~MASK, filler).requires_grad_()
    mean = masked_mean(values.square(), MASK)
    mean.backward()
    assert mean.item() == pytest.approx((1 + 4 + 256) / 3)
    # d mean / d x = 2 x / 3 inside. Outside, square's own derivative 2 * filler meets a zero:
    # the mask comes after the arithmetic here, so only the inside is promised.
    assert values.grad is not None
    assert values.grad[MASK].tolist() == pytest.approx([2 / 3, 4 / 3, 32 / 3])
    leaf = torch.tensor(VALUES).masked_fill(~MASK, filler).requires_grad_()
    zero_outside(leaf, MASK).square().sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[2.0, 4.0, 0.0], [0.0, 32.0, 0.0]]


def test_float64_accumulation_keeps_what_float32_loses() -> None:
    values = torch.tensor([2.0**24, 1.0, 1.0, 1.0])
    mask = torch.ones(4, dtype=torch.bool)
    total = masked_sum(values, mask, dtype=torch.float64)
    assert total.dtype == torch.float64
    assert total.item() == 2.0**24 + 3  # float32 cannot hold 2^24 + 1
