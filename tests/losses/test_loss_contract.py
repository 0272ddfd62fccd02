"""The contract of every exported policy loss, found by introspection.

Selecting losses are built with a fraction that selects tokens of a small batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lit_entropy import losses
from lit_entropy.losses import ClipCov, KLCov, PolicyLoss, TruncatedImportance
from lit_entropy.types import LossBatch, LossOutput, Mean, PolicyOutput

LOSSES = sorted(
    (
        value
        for value in vars(losses).values()
        if inspect.isclass(value)
        and issubclass(value, PolicyLoss)
        and not inspect.isabstract(value)
        and value is not TruncatedImportance  # has a loss inside and tests of its own
    ),
    key=lambda cls: cls.__name__,
)
MakeBatch = Callable[..., LossBatch]
MakePolicy = Callable[..., PolicyOutput]


def build(loss_class: type[PolicyLoss]) -> PolicyLoss:
    if loss_class is ClipCov:
        return ClipCov(fraction=0.1, bounds=(0.1, 5.0), clip_low=0.2, clip_high=0.2)
    return KLCov(fraction=0.1) if loss_class is KLCov else loss_class()


every_loss = pytest.mark.parametrize("loss_class", LOSSES, ids=lambda cls: cls.__name__)


def run(loss: PolicyLoss, policy: PolicyOutput, batch: LossBatch) -> tuple[LossOutput, Tensor]:
    """The output and the gradient of its masked sum in the log-probs (a fresh leaf)."""
    leaf = policy.logprobs_BT.detach().clone().requires_grad_()
    output = loss(PolicyOutput(leaf, policy.entropy_BT), batch)
    torch.where(batch.mask_BT, output.token_loss_BT, 0.0).sum().backward()
    assert leaf.grad is not None
    return output, leaf.grad


def values(output: LossOutput) -> dict[str, list[float]]:
    return {
        name: [metric.total.item(), metric.weight.item()]
        if isinstance(metric, Mean)
        else [metric.item()]
        for name, metric in output.metrics.items()
    }


def assert_same_metrics(one: LossOutput, other: LossOutput) -> None:
    assert values(one).keys() == values(other).keys()
    for name, expected in values(one).items():
        assert values(other)[name] == pytest.approx(expected, rel=1e-9, abs=1e-12), name


def widen(tensor: Tensor, columns: int, filler: float) -> Tensor:
    return nn.functional.pad(tensor, (0, columns), value=filler)


def pad(policy: PolicyOutput, batch: LossBatch, filler: float) -> tuple[PolicyOutput, LossBatch]:
    """Three more columns, and ``filler`` in every float at every unscored token."""

    def poison(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return widen(tensor.detach().masked_fill(~batch.mask_BT, filler), 3, filler)

    names = ("old_logprobs_BT", "advantages_BT", "entropies_BT", "reference_logprobs_BT")
    return PolicyOutput(poison(policy.logprobs_BT), poison(policy.entropy_BT)), replace(  # type: ignore[arg-type]
        batch,
        mask_BT=widen(batch.mask_BT, 3, False),
        **{name: poison(getattr(batch, name)) for name in names},
    )


def test_the_four_losses_are_found() -> None:
    names = {cls.__name__ for cls in LOSSES}
    assert {"PolicyGradient", "PPOClip", "ClipCov", "KLCov"} <= names
    assert set(losses.__all__) == names | {"PolicyLoss", "TruncatedImportance"}


@every_loss
def test_shape_finiteness_and_detached_metrics(
    loss_class: type[PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch(filter_groups=True)
    output, gradient = run(build(loss_class), make_policy(batch), batch)
    assert output.token_loss_BT.shape == batch.mask_BT.shape
    assert output.token_loss_BT.dtype == torch.float32
    assert output.token_loss_BT.isfinite().all() and gradient.isfinite().all()
    assert gradient.any()
    assert not gradient[~batch.mask_BT].any()
    for name, metric in output.metrics.items():
        for tensor in metric if isinstance(metric, Mean) else (metric,):
            assert tensor.dim() == 0 and not tensor.requires_grad and tensor.isfinite(), name


@every_loss
@pytest.mark.parametrize("filler", [0.0, float("nan"), float("inf"), float("-inf")])
def test_padding_changes_nothing(
    loss_class: type[PolicyLoss],
    filler: float,
    make_batch: MakeBatch,
    make_policy: MakePolicy,
) -> None:
    batch = make_batch(filter_groups=True)
    policy = make_policy(batch)
    output, gradient = run(build(loss_class), policy, batch)
    padded_policy, padded_batch = pad(policy, batch, filler)
    padded, padded_gradient = run(build(loss_class), padded_policy, padded_batch)
    mask = batch.mask_BT
    assert torch.equal(padded.token_loss_BT[:, :-3][mask], output.token_loss_BT[mask])
    assert torch.equal(padded_gradient[:, :-3], gradient)
    assert not padded_gradient[:, -3:].any()
    assert_same_metrics(output, padded)


@every_loss
def test_rows_may_come_in_any_order(
    loss_class: type[PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch()
    policy = make_policy(batch)
    order = torch.randperm(len(batch))
    shuffled = PolicyOutput(policy.logprobs_BT[order], policy.entropy_BT[order])
    output, gradient = run(build(loss_class), policy, batch)
    other, other_gradient = run(build(loss_class), shuffled, batch.rows(order))
    mask = batch.mask_BT[order]
    assert torch.equal(other.token_loss_BT[mask], output.token_loss_BT[order][mask])
    assert torch.equal(other_gradient, gradient[order])
    assert_same_metrics(output, other)


@every_loss
def test_required_fields_alone_suffice(
    loss_class: type[PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch()
    alone = LossBatch(batch.mask_BT, batch.old_logprobs_BT, batch.advantages_BT)
    _, gradient = run(build(loss_class), make_policy(batch), alone)
    assert gradient.isfinite().all() and gradient.any()


@every_loss
def test_batch_without_scored_tokens(
    loss_class: type[PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch()
    empty = replace(batch, mask_BT=torch.zeros_like(batch.mask_BT))
    output, gradient = run(build(loss_class), make_policy(batch), empty)
    assert not gradient.any()
    assert all(torch.tensor(v).isfinite().all() for v in values(output).values())


@every_loss
def test_on_policy_gradient_is_reinforce(
    loss_class: type[PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch()
    loss = build(loss_class)
    _, gradient = run(loss, make_policy(batch, drift=0.0), batch)
    expected = -batch.advantages_BT * batch.mask_BT  # d(-A log pi) / d log pi
    if loss_class is ClipCov:  # the dropped tokens are the documented difference
        dropped = loss.select(make_policy(batch, drift=0.0), batch)
        assert dropped.any()
        expected = expected.masked_fill(dropped, 0.0)
    assert torch.equal(gradient, expected)


@every_loss
def test_metrics_are_exact_over_microbatches(
    loss_class: type[PolicyLoss], make_batch: MakeBatch, make_policy: MakePolicy
) -> None:
    batch = make_batch()
    policy = make_policy(batch)
    loss = build(loss_class)
    whole = loss(policy, batch)
    if loss.selects_tokens:
        batch = replace(batch, selected_BT=loss.select(policy, batch))
    totals: dict[str, list[float]] = {name: [0.0, 0.0] for name in whole.metrics}
    for rows in torch.arange(len(batch)).split(3):
        part = batch.rows(rows)
        output = loss(PolicyOutput(policy.logprobs_BT[rows], policy.entropy_BT[rows]), part)
        for name, metric in output.metrics.items():
            tokens = part.mask_BT.sum().double()
            mean = metric if isinstance(metric, Mean) else Mean(metric * tokens, tokens)
            totals[name][0] += mean.total.item()
            totals[name][1] += mean.weight.item()
    for name, metric in whole.metrics.items():
        expected = (metric.total / metric.weight if isinstance(metric, Mean) else metric).item()
        assert totals[name][0] / totals[name][1] == pytest.approx(expected, rel=1e-6), name
