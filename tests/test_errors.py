"""The finite check: what it lets pass and what its message says."""

import pytest
import torch

from lit_entropy.errors import NonFiniteError, ensure_finite


def test_message_names_quantity_step_counts_and_remedy():
    bad = torch.tensor([[1.0, float("nan"), float("inf")], [float("-inf"), 0.0, 2.0]])
    with pytest.raises(NonFiniteError) as caught:
        ensure_finite("advantages", bad, 17)
    message = str(caught.value)
    assert "advantages is not finite at RL step 17" in message
    assert "3 of 6 entries (1 NaN, 2 infinite)" in message
    assert "learning rate" in message


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_finite_and_integer_tensors_pass(dtype):
    ensure_finite("x", torch.ones(3, dtype=dtype), 1)
    ensure_finite("x", torch.empty(0, dtype=dtype), 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_one_bad_entry_in_any_floating_type_stops(dtype):
    value = torch.zeros(1000, dtype=dtype)
    ensure_finite("x", value, 1)
    value[999] = float("inf")
    with pytest.raises(NonFiniteError, match="1 of 1000"):
        ensure_finite("x", value, 1)


def test_is_an_arithmetic_error():
    assert issubclass(NonFiniteError, FloatingPointError)
