"""The plan against memory and time measured on this machine's CPU."""

from __future__ import annotations

import sys

import pytest
import torch
from benchmarks.plan_cases import CASES, Case
from benchmarks.plan_measure import (
    calibrated,
    measured_decode,
    measured_memory,
    measured_update,
    predicted_decode,
    predicted_memory,
    predicted_update,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("case", [Case("chain-s", 128, 20, 80), *CASES[1:]], ids=str)
def test_memory_of_an_update_is_as_predicted(case: Case) -> None:
    assert predicted_memory(case) == pytest.approx(measured_memory(case), rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["chain-l", "smollm2-135m"])
def test_time_is_of_the_predicted_order(model: str) -> None:
    """Rates are those of large products, and nothing but products is counted: times are longer."""
    torch.set_num_threads(1)
    hardware, rates = calibrated()
    update, decode = Case(model, 4, 64, 128), Case(model, 4, 32, 16)
    for predicted, measured in (
        (predicted_update(update, hardware, rates), measured_update(update)),
        (predicted_decode(decode, hardware, rates), measured_decode(decode)),
    ):
        assert 0.2 < predicted / measured < 1.25
