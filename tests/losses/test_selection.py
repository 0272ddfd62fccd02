"""The selection is of the minibatch: the same for any split, padding and row order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from lit_entropy.functional.rng import uniforms
from lit_entropy.losses import ClipCov, KLCov
from lit_entropy.losses.selection import CovarianceLoss, token_uniforms
from lit_entropy.types import LossBatch, Mean, PolicyOutput

BUILDERS: dict[str, Callable[..., CovarianceLoss]] = {
    "ClipCov": lambda **kw: ClipCov(fraction=0.05, bounds=(0.1, 5.0), **kw),
    "KLCov": lambda **kw: KLCov(fraction=0.05, **kw),
}
both = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


def widen(batch: LossBatch, policy: PolicyOutput, columns: int) -> tuple[LossBatch, PolicyOutput]:
    def nan(tensor: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(tensor.detach(), (0, columns), value=float("nan"))

    wide = replace(
        batch,
        mask_BT=nn.functional.pad(batch.mask_BT, (0, columns)),
        old_logprobs_BT=nan(batch.old_logprobs_BT),
        advantages_BT=nan(batch.advantages_BT),
        entropies_BT=nan(batch.entropies_BT),  # type: ignore[arg-type]
    )
    return wide, PolicyOutput(nan(policy.logprobs_BT), nan(policy.entropy_BT))


@both
@pytest.mark.parametrize("center", ["batch", "state"])
@pytest.mark.parametrize("logprobs", ["current", "old"])
@pytest.mark.parametrize("rows", [1, 2, 4, 8])
def test_same_tokens_for_any_split_padding_and_order(  # type: ignore[no-untyped-def]
    build, center, logprobs, rows, make_batch, make_policy
) -> None:
    batch = make_batch(P=8, G=4, T=12, filter_groups=True)
    policy = make_policy(batch)
    loss = build(center=center, selection_logprobs=logprobs)
    assert loss.selects_tokens
    whole = loss(policy, batch)
    whole_loss = torch.where(batch.mask_BT, whole.token_loss_BT, 0.0).detach()

    order = torch.randperm(32)
    wide, wide_policy = widen(
        batch.rows(order), PolicyOutput(*(t[order] for t in policy)), columns=rows
    )
    selected = loss.select(wide_policy, wide)
    assert torch.equal(selected[:, :12], loss.select(policy, batch)[order])
    assert int(selected.sum()) == int(0.05 * int(batch.mask_BT.sum()))
    wide.selected_BT = selected
    pieces = []
    for index in torch.arange(32).split(rows):
        part = wide.rows(index)
        output = loss(PolicyOutput(*(t[index] for t in wide_policy)), part)
        pieces.append(torch.where(part.mask_BT, output.token_loss_BT, 0.0))
    assert torch.equal(torch.cat(pieces)[:, :12], whole_loss[order])


@both
def test_ties_do_not_depend_on_the_order_of_rows(build, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch(P=8, G=4, T=12)
    # four values of covariance alone, so that nearly every token ties
    batch.old_logprobs_BT = torch.where(batch.old_logprobs_BT > -1, -0.5, -2.0)
    batch.advantages_BT = batch.advantages_BT.sign()
    policy = make_policy(batch, drift=0.0)
    order = torch.randperm(32)
    loss = build()
    selected = loss.select(policy, batch)
    shuffled = PolicyOutput(policy.logprobs_BT[order], policy.entropy_BT[order])
    assert selected.any()
    assert torch.equal(loss.select(shuffled, batch.rows(order)), selected[order])


def test_old_logprobs_select_by_the_rollout(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    far, near = make_policy(batch, drift=2.0), make_policy(batch, drift=0.0)
    old = KLCov(fraction=0.2, selection_logprobs="old")
    current = KLCov(fraction=0.2)
    assert torch.equal(old.select(far, batch), current.select(near, batch))
    assert not torch.equal(current.select(far, batch), current.select(near, batch))


def test_old_state_centring_needs_the_rollouts_entropies(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = replace(make_batch(), entropies_BT=None)
    loss = KLCov(fraction=0.2, selection_logprobs="old", center="state")
    with pytest.raises(ValueError, match=r"needs batch\.entropies_BT"):
        loss.select(make_policy(batch), batch)


def test_uniforms_are_keyed_by_identity(make_batch) -> None:  # type: ignore[no-untyped-def]
    batch = replace(make_batch(), update=7)
    numbers = token_uniforms(batch, 3, "clip_cov")
    expected = uniforms(3, "clip_cov", 7, int(batch.prompt_ids_B[5]), int(batch.sample_ids_B[5]), 2)
    assert numbers[5, 2] == expected
    assert numbers.unique().numel() == numbers.numel()


def test_without_ids_the_rank_among_scored_tokens_is_the_key(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = replace(make_batch(), prompt_ids_B=None)
    wide, _ = widen(batch, make_policy(batch), 5)
    mask = batch.mask_BT
    assert torch.equal(token_uniforms(wide, 0)[:, :12][mask], token_uniforms(batch, 0)[mask])


@both
def test_foreign_mask_is_used_and_its_unknown_metrics_are_left_out(  # type: ignore[no-untyped-def]
    build, make_batch, make_policy
) -> None:
    batch = make_batch(filter_groups=True)
    batch.selected_BT = torch.ones_like(batch.mask_BT)  # unscored tokens never count as selected
    metrics = build()(make_policy(batch), batch).metrics
    if "kl_selected" in metrics:
        assert metrics["kl_selected"].weight == batch.mask_BT.sum()
    assert metrics["selected"] == 1.0
    assert "cov_selected" not in metrics and "candidates" not in metrics
    assert isinstance(
        build()(make_policy(batch), replace(batch, selected_BT=None)).metrics["cov_selected"], Mean
    )
