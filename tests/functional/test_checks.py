"""Argument checks name the field, the value and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch

from lit_entropy.advantages import GRPO, PRIME
from lit_entropy.evaluation import Evaluation
from lit_entropy.functional.checks import (
    require_choice,
    require_count,
    require_fraction,
    require_non_negative,
    require_rates,
    require_seconds,
    require_temperature,
)
from lit_entropy.losses import ClipCov, KLCov, PPOClip, TruncatedImportance
from lit_entropy.regularizers import AdaptiveEntropy, EntropyBonus, ReferenceKL
from lit_entropy.rollouts import VLLMServerEngine
from lit_entropy.step.plan import StepPlan
from lit_entropy.tasks import ChainArithmetic, Countdown, ShortSums, StrategyDiscovery
from lit_entropy.verify import MathChecker

HUGE = 10**30
#: Every part that takes a number without another upper bound, and the number.
OVERFLOWING: list[tuple[Callable[..., object], str, float]] = [
    *((part, "clip_high", 1e300) for part in (PPOClip, ClipCov)),
    (KLCov, "kl_coef", 1e300),
    (partial(TruncatedImportance, PPOClip()), "cap", 1e300),
    (GRPO, "epsilon", 1e300),
    (PRIME, "beta", 1e300),
    *((AdaptiveEntropy, name, 1e300) for name in ("target", "step", "max_coef")),
    *((part, "coef", 1e300) for part in (EntropyBonus, ReferenceKL)),
    (partial(VLLMServerEngine, "http://localhost:8000"), "timeout", 1e300),
    (MathChecker, "timeout", 1e300),
    (MathChecker, "memory_mb", HUGE),
    (Evaluation, "samples", HUGE),
    (Evaluation, "temperature", 1e300),
    *((StepPlan, name, HUGE) for name in ("prompts_per_step", "group_size", "minibatch_size")),
    *((t, "validation_size", HUGE) for t in (ChainArithmetic, Countdown, ShortSums)),
    (StrategyDiscovery, "validation_size", HUGE),
]


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, float("nan"), float("inf")])
def test_fraction_outside_the_unit_interval(value: float) -> None:
    with pytest.raises(ValueError, match=r"fraction=.*outside \[0, 1\]: give a fraction"):
        require_fraction("fraction", value)


def test_a_percentage_is_told_what_it_is_as_a_fraction() -> None:
    with pytest.raises(ValueError, match=r"give a fraction \(20 % is 0\.2\)"):
        require_fraction("fraction", 20.0)


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_negative_or_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match=r"coef=.*>= 0"):
        require_non_negative("coef", value)
    with pytest.raises(ValueError, match=r">= 0$"):  # 0 does not switch off everything
        require_non_negative("target", value)
    with pytest.raises(ValueError, match=r">= 0: use 0 to switch it off$"):
        EntropyBonus(value)
    for loss in (PPOClip, ClipCov):  # where 0 is the tightest clip
        with pytest.raises(ValueError, match=r"clip_high=.*: use a large number \(1e9\) for no up"):
            loss(clip_high=value)


@pytest.mark.parametrize(
    ("value", "end"), [(0, "must be at least 1"), (2**31, "is too large: use 2")]
)
def test_counts(value: int, end: str) -> None:
    with pytest.raises(ValueError, match=f"data.group_size={value} {end}"):
        require_count("data.group_size", value)
    assert require_count("data.group_size", 2**31 - 1) == 2**31 - 1


def test_unknown_choice_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="quota='ceil' is unknown: choose one of floor, official"):
        require_choice("quota", "ceil", ("floor", "official"))


def test_valid_values_pass_through() -> None:
    assert require_fraction("fraction", 0.0) == 0.0
    assert require_fraction("fraction", 1.0) == 1.0
    assert require_non_negative("coef", 3.5) == 3.5
    assert require_choice("quota", "floor", ("floor",)) == "floor"
    # what switches a bound off, or makes responses uniform, is no mistake
    assert require_non_negative("clip_high", 1e10) == 1e10
    assert require_temperature("temperature", 1000.0) == 1000.0
    assert require_seconds("timeout", 86_400) == 86_400


@pytest.mark.parametrize(
    ("part", "name", "value"), OVERFLOWING, ids=[f"{name}-{at}" for at, (_, name, _) in
                                                 enumerate(OVERFLOWING)]
)  # fmt: skip
def test_what_can_only_overflow_is_refused_by_name(
    part: Callable[..., object], name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=rf"{name}=1.* is too large: use [\d,e+]+ at most"):
        part(**{name: value})


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_no_time_limit(value: float) -> None:
    with pytest.raises(ValueError, match=r"timeout=.*: use a positive number of seconds"):
        require_seconds("timeout", value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 1e7}, r"o\.lr=10000000.0 is too large: use 1,000,000 at most"),
        ({"lr": torch.tensor(1e7)}, r"o\.lr=10000000.0 is too large"),
        ({"lr": float("inf")}, r"o\.lr=inf: use a finite number"),
        ({"weight_decay": float("inf")}, r"o\.weight_decay=inf: use a finite number"),
        ({"eps": 1e20}, r"o\.eps=1e\+20 is too large"),
    ],
)
def test_numbers_of_an_optimizer(options: dict[str, float], message: str) -> None:
    weights = [torch.nn.Parameter(torch.ones(1))]
    with pytest.raises(ValueError, match=message):
        require_rates("o", torch.optim.AdamW(weights, **options).param_groups)  # type: ignore[arg-type]


def test_what_optimizers_take_by_default_passes() -> None:
    weights = [torch.nn.Parameter(torch.ones(1))]
    for kind in (torch.optim.AdamW, torch.optim.SGD, torch.optim.ASGD, torch.optim.Adafactor):
        require_rates("o", kind(weights, lr=0.1).param_groups)
    require_rates("o", torch.optim.SGD(weights, lr=1000.0, momentum=0.9).param_groups)
