"""The fused step of Adam and AdamW: the same numbers, and no choice of the user overruled."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from lit_entropy.functional.fused import fused

Kind = type[Adam] | type[AdamW]


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((7, 5), (11,))
    return [
        torch.nn.Parameter(torch.randn(*size, generator=generator, dtype=torch.float64))
        for size in sizes
    ]


def descend(optimizer: Optimizer, steps: int) -> list[torch.Tensor]:
    """The parameters after steps on the sum of their fourth powers."""
    trained = [each for group in optimizer.param_groups for each in group["params"]]
    for _ in range(steps):
        optimizer.zero_grad()
        torch.stack([each.pow(4).sum() for each in trained]).sum().backward()
        optimizer.step()
    return [each.detach().clone() for each in trained]


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1}, {"betas": (0.8, 0.9), "eps": 1e-5}, {"amsgrad": True}]
)
def test_the_numbers_are_those_of_the_plain_step(kind: Kind, options: dict[str, Any]) -> None:
    plain = kind(parameters(), lr=0.01, **options)
    changed = fused(kind(parameters(), lr=0.01, **options))
    assert type(changed) is kind and changed.defaults["fused"] is True
    for expected, found in zip(descend(plain, 25), descend(changed, 25), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_groups_keep_their_own_options() -> None:
    first, second = parameters()
    groups = [{"params": [first], "lr": 0.5}, {"params": [second], "weight_decay": 0.25}]
    changed = fused(AdamW(groups, lr=0.01, weight_decay=0.0))
    found = [(group["lr"], group["weight_decay"], group["fused"]) for group in changed.param_groups]
    assert found == [(0.5, 0.0, True), (0.01, 0.25, True)]
    assert changed.param_groups[0]["params"][0] is first


@pytest.mark.parametrize(
    "optimizer",
    [
        AdamW(parameters(), lr=0.01, fused=False),
        AdamW(parameters(), lr=0.01, foreach=False),
        Adam(parameters(), lr=0.01, differentiable=True),
        Adam(parameters(), lr=torch.tensor(0.01)),
        AdamW([torch.nn.Parameter(torch.zeros(2, device="meta"))], lr=0.01),
        SGD(parameters(), lr=0.01),
        type("Own", (AdamW,), {})(parameters(), lr=0.01),
    ],
)
def test_what_it_leaves_alone(optimizer: Optimizer) -> None:
    before = [dict(group) for group in optimizer.param_groups]
    assert fused(optimizer) is optimizer
    assert all(
        group[key] is value
        for group, old in zip(optimizer.param_groups, before, strict=True)
        for key, value in old.items()
    )


def test_a_state_of_the_plain_step_goes_on_with_its_bits() -> None:
    plain, copy = AdamW(parameters(), lr=0.01), parameters()
    descend(plain, 3)
    for own, other in zip(copy, plain.param_groups[0]["params"], strict=True):
        own.data.copy_(other)
    resumed = fused(AdamW(copy, lr=0.01))
    resumed.load_state_dict(deepcopy(plain.state_dict()))
    for expected, found in zip(descend(plain, 5), descend(resumed, 5), strict=True):
        assert torch.equal(found, expected)
