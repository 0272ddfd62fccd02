"""Truncated importance weights: by hand, against a second route, and what they must not touch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lit_entropy.losses import (
    ClipCov,
    KLCov,
    PolicyGradient,
    PolicyLoss,
    PPOClip,
    TruncatedImportance,
)
from lit_entropy.tracking.means import UpdateMeans
from lit_entropy.types import LossBatch, LossOutput, Maximum, Mean, PolicyOutput

MakeBatch = Callable[..., LossBatch]
MakePolicy = Callable[..., PolicyOutput]
INNER: list[Callable[[], PolicyLoss]] = [
    PolicyGradient,
    PPOClip,
    lambda: KLCov(fraction=0.1),
    lambda: ClipCov(fraction=0.1, bounds=(0.1, 5.0), clip_low=0.2, clip_high=0.2),
]
every_inner = pytest.mark.parametrize("inner", INNER, ids=["gradient", "ppo", "kl", "clip"])


def gradient(loss: PolicyLoss, policy: PolicyOutput, batch: LossBatch) -> tuple[LossOutput, Tensor]:
    leaf = policy.logprobs_BT.detach().clone().requires_grad_()
    output = loss(PolicyOutput(leaf, policy.entropy_BT), batch)
    torch.where(batch.mask_BT, output.token_loss_BT, 0.0).sum().backward()
    assert leaf.grad is not None
    return output, leaf.grad


def parts_of(metric: Tensor | Mean | Maximum) -> list[Tensor]:
    return [metric] if isinstance(metric, Tensor) else list(metric)


def off_sampler(batch: LossBatch, spread: float = 0.6) -> tuple[LossBatch, Tensor]:
    """A sampler that is off by known log-weights, and the truncated weights."""
    log_weight_BT = spread * torch.randn(batch.mask_BT.shape)
    sampler_BT = batch.old_logprobs_BT - log_weight_BT
    weight_BT = (batch.old_logprobs_BT - sampler_BT).exp().clamp(max=2.0)
    return replace(batch, sampler_logprobs_BT=sampler_BT), weight_BT


def test_by_hand() -> None:
    """Weights 1.5, 4 (cut to 2), 0.5; advantages 1, 1, -2; ratio 1: losses -w A."""
    old_BT = torch.tensor([[-1.0, -1.0, -1.0, -9.0]])
    batch = LossBatch(
        mask_BT=torch.tensor([[True, True, True, False]]),
        old_logprobs_BT=old_BT,
        advantages_BT=torch.tensor([[1.0, 1.0, -2.0, 100.0]]),
        sampler_logprobs_BT=old_BT - torch.tensor([[1.5, 4.0, 0.5, 99.0]]).log(),
    )
    output = TruncatedImportance(PPOClip())(PolicyOutput(old_BT, torch.zeros(1, 4)), batch)
    torch.testing.assert_close(output.token_loss_BT[0, :3], torch.tensor([-1.5, -2.0, 1.0]))
    mean, largest = output.metrics["importance_mean"], output.metrics["importance_max"]
    assert isinstance(mean, Mean) and isinstance(largest, Maximum)
    assert float(mean.total) == pytest.approx(4.0, abs=1e-6) and float(mean.weight) == 3
    assert float(largest.value) == pytest.approx(4.0, abs=1e-5)  # before the cap
    assert float(output.metrics["importance_clipped"]) == pytest.approx(1 / 3)
    assert {"ratio", "clip_low", "clip_high"} <= set(output.metrics)  # the inner loss's own


@every_inner
def test_a_sampler_that_is_the_policy_changes_nothing(
    inner: Callable[[], PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch()  # its sampler's log-probs are the old ones
    policy = make_policy(batch)
    plain, plain_gradient = gradient(inner(), policy, batch)
    output, weighted_gradient = gradient(TruncatedImportance(inner()), policy, batch)
    assert torch.equal(output.token_loss_BT, plain.token_loss_BT)
    assert torch.equal(weighted_gradient, plain_gradient)


@pytest.mark.parametrize("inner", [PolicyGradient, PPOClip], ids=["gradient", "ppo"])
def test_gradient_is_weighted_token_by_token(
    inner: Callable[[], PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch, weight_BT = off_sampler(make_batch())
    policy = make_policy(batch)
    _, plain = gradient(inner(), policy, batch)
    _, weighted = gradient(TruncatedImportance(inner()), policy, batch)
    torch.testing.assert_close(weighted, plain * weight_BT, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(weighted, plain)


def test_selection_is_by_raw_advantages(make_batch: MakeBatch, make_policy: MakePolicy) -> None:
    """Weights large enough to reorder the covariances do not reorder the selection."""
    batch, weight_BT = off_sampler(make_batch(P=8), spread=3.0)
    policy = make_policy(batch)
    loss = KLCov(fraction=0.1)
    raw_BT = loss.select(policy, batch)
    weighted = replace(batch, advantages_BT=batch.advantages_BT * weight_BT)
    assert not torch.equal(loss.select(policy, weighted), raw_BT)
    wrapped = TruncatedImportance(KLCov(fraction=0.1))
    assert wrapped.selects_tokens and wrapped.selection_logprobs == "current"
    assert torch.equal(wrapped.select(policy, batch), raw_BT)
    # the penalty: what is left with advantages of 0, from the same selection
    nothing = replace(batch, advantages_BT=torch.zeros_like(weight_BT), selected_BT=raw_BT)
    _, penalty = gradient(KLCov(fraction=0.1), policy, nothing)
    _, plain = gradient(KLCov(fraction=0.1), policy, batch)
    for handed in (None, raw_BT):
        _, result = gradient(wrapped, policy, replace(batch, selected_BT=handed))
        expected = (plain - penalty) * weight_BT + penalty
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-6)
    assert penalty.any()


def test_clip_cov_drops_the_tokens_of_the_raw_advantages(
    make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch, weight_BT = off_sampler(make_batch(P=8), spread=2.0)
    policy = make_policy(batch)
    inner = ClipCov(fraction=0.1, bounds=(0.1, 5.0), clip_low=0.2, clip_high=0.2)
    dropped_BT = inner.select(policy, batch)
    _, plain = gradient(inner, policy, batch)
    _, weighted = gradient(TruncatedImportance(inner), policy, batch)
    assert dropped_BT.any() and not weighted[dropped_BT].any()
    torch.testing.assert_close(weighted, plain * weight_BT, rtol=1e-5, atol=1e-7)


@every_inner
@pytest.mark.parametrize("filler", [float("nan"), float("inf")])
def test_unscored_tokens_change_nothing(
    inner: Callable[[], PolicyLoss],
    filler: float,
    make_batch: MakeBatch,
    make_policy: MakePolicy,
) -> None:
    batch, _ = off_sampler(make_batch(filter_groups=True))
    policy = make_policy(batch)
    output, clean = gradient(TruncatedImportance(inner()), policy, batch)
    poisoned = replace(
        batch,
        sampler_logprobs_BT=batch.sampler_logprobs_BT.masked_fill(~batch.mask_BT, filler),
        old_logprobs_BT=batch.old_logprobs_BT.masked_fill(~batch.mask_BT, filler),
    )
    other, dirty = gradient(TruncatedImportance(inner()), policy, poisoned)
    assert torch.equal(clean, dirty) and clean.any()
    for name, metric in output.metrics.items():
        assert not any(part.requires_grad for part in parts_of(metric))
        assert str(other.metrics[name]) == str(metric), name


def test_a_batch_without_scored_tokens(make_batch: MakeBatch, make_policy: MakePolicy) -> None:
    batch = make_batch()
    empty = replace(batch, mask_BT=torch.zeros_like(batch.mask_BT))
    output, result = gradient(TruncatedImportance(PPOClip()), make_policy(batch), empty)
    assert not result.any()
    assert float(parts_of(output.metrics.pop("importance_max"))[0]) == -math.inf
    assert all(
        math.isfinite(float(part))
        for metric in output.metrics.values()
        for part in parts_of(metric)
    )


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_numbers_do_not_depend_on_the_microbatches(
    rows: int, make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    """Unequal microbatches, of which some hold no scored token; the maximum is one of tokens."""
    batch, _ = off_sampler(make_batch(filter_groups=True))
    policy = make_policy(batch)
    loss = TruncatedImportance(PPOClip())
    means = UpdateMeans()
    for index in torch.arange(len(batch)).split(rows):
        part = batch.rows(index)
        piece = PolicyOutput(policy.logprobs_BT[index], policy.entropy_BT[index])
        for name, metric in loss(piece, part).metrics.items():
            means.add_metric(name, metric, part.mask_BT.sum())
    values = means.reset(torch.device("cpu"))
    weights_N = (batch.old_logprobs_BT - batch.sampler_logprobs_BT)[batch.mask_BT].double().exp()
    assert values["importance_max"] == float(weights_N.max()) > 2.0  # bit for bit
    assert values["importance_mean"] == pytest.approx(float(weights_N.clamp(max=2).mean()))
    assert values["importance_clipped"] == pytest.approx(float((weights_N > 2).double().mean()))


def test_means_are_exact_over_microbatches(make_batch: MakeBatch, make_policy: MakePolicy) -> None:
    batch, _ = off_sampler(make_batch())
    policy = make_policy(batch)
    loss = TruncatedImportance(PPOClip())
    whole = loss(policy, batch).metrics
    parts = [
        loss(PolicyOutput(policy.logprobs_BT[rows], policy.entropy_BT[rows]), batch.rows(rows))
        for rows in torch.arange(len(batch)).split(3)
    ]
    means = [part.metrics["importance_mean"] for part in parts]
    total, weight = (sum(float(mean[i]) for mean in means) for i in (0, 1))  # type: ignore[index]
    assert total / weight == pytest.approx(
        float(whole["importance_mean"].total / whole["importance_mean"].weight),  # type: ignore[union-attr]
        rel=1e-12,
    )
    largest = max(float(part.metrics["importance_max"].value) for part in parts)  # type: ignore[union-attr]
    assert largest == float(whole["importance_max"].value)  # type: ignore[union-attr]


@pytest.mark.parametrize("cap", [0.5, float("nan"), float("inf")])
def test_bad_caps(cap: float) -> None:
    with pytest.raises(ValueError, match="cap="):
        TruncatedImportance(PPOClip(), cap)


def test_what_cannot_be_wrapped(make_batch: MakeBatch, make_policy: MakePolicy) -> None:
    with pytest.raises(ValueError, match="twice"):
        TruncatedImportance(TruncatedImportance(PPOClip()))
    with pytest.raises(ValueError, match="scope=microbatch"):
        TruncatedImportance(KLCov(scope="microbatch"))
    batch = make_batch()
    with pytest.raises(ValueError, match="sampler_logprobs_BT is None"):
        TruncatedImportance(PPOClip())(make_policy(batch), replace(batch, sampler_logprobs_BT=None))
