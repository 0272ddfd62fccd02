"""An update (forward, backward, AdamW) beside a large float32 product: what the arithmetic costs.

The operations are counted by ``lit_entropy.planning``, matrix products alone. A share of 1 would
be an update at the speed of a large product.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from benchmarks.plan_cases import Case, update
from benchmarks.records import Outcome, Series, Size, share
from benchmarks.rounds import alternate, clocked

from lit_entropy.planning.compute import training_flops

CASES: dict[Size, list[Case]] = {
    "smoke": [Case("chain-xs", 2, 4, 4)],
    "full": [
        Case("chain-s", 32, 20, 60),
        Case("chain-l", 32, 20, 60),
        Case("smollm2-135m", 8, 48, 16),
    ],
}
#: Rows of the square matrices of the product.
SIDE: dict[Size, int] = {"smoke": 64, "full": 2048}


def measure(size: Size, rounds: int) -> Outcome:
    """Operations a second of updates and of a product, and their shares."""
    left, right = torch.randn(SIDE[size], SIDE[size]), torch.randn(SIDE[size], SIDE[size])
    found: list[Series] = []
    for case in CASES[size]:
        flops = training_flops(case.workload(), case.rows)
        product = clocked(lambda: left @ right)
        passes = clocked(_update(case))
        name = f"update of {case.model}"
        rates = alternate(
            {
                name: lambda passes=passes, flops=flops: flops / passes() / 1e9,
                "product": lambda product=product: 2 * len(left) ** 3 / product() / 1e9,
            },
            rounds,
            "Gflop/s",
        )
        found += [rates[name], share(f"{name} by a product", rates[name], rates["product"])]
    return Outcome(tuple(found))


def _update(case: Case) -> Callable[[], None]:
    policy = case.policy()
    batch, optimizer = case.batch(policy), torch.optim.AdamW(policy.parameters(), lr=1e-6)
    return lambda: update(policy, optimizer, batch)
