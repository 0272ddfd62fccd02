"""Clip-Cov against loops of eq. 10 to 12, the official setting, and its draw."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
import torch

from lit_entropy.losses import ClipCov, PPOClip
from lit_entropy.types import LossBatch, PolicyOutput

Token = tuple[int, int]


def loop_candidates(
    policy: PolicyOutput, batch: LossBatch, band: tuple[float, float], low: float, high: float
) -> tuple[list[Token], dict[Token, float]]:
    """Tokens in the band that the PPO clip did not remove, and every token's clipped loss."""
    B, T = batch.mask_BT.shape
    scored = [(b, t) for b in range(B) for t in range(T) if batch.mask_BT[b, t]]
    logprob = {i: float(policy.logprobs_BT[i].detach()) for i in scored}
    advantage = {i: float(batch.advantages_BT[i]) for i in scored}
    # clipped tokens are no candidates but do enter the means
    mean_logprob = statistics.fmean(logprob.values())
    mean_advantage = statistics.fmean(advantage.values())
    candidates, losses = [], {}
    for i in scored:
        ratio = math.exp(logprob[i] - float(batch.old_logprobs_BT[i]))
        plain = -advantage[i] * ratio
        clipped = -advantage[i] * min(max(ratio, 1 - low), 1 + high)
        losses[i] = max(plain, clipped)
        cov = (logprob[i] - mean_logprob) * (advantage[i] - mean_advantage)
        if band[0] <= cov <= band[1] and not clipped > plain + 1e-9:
            candidates.append(i)
    return candidates, losses


def dropped_tokens(output_loss: torch.Tensor, losses: dict[Token, float]) -> list[Token]:
    """Tokens whose loss is 0 although the clipped surrogate's is not; the rest must agree."""
    dropped, output_loss = [], output_loss.detach()
    for i, expected in losses.items():
        if float(output_loss[i]) == 0.0 and expected != 0.0:
            dropped.append(i)
        else:
            assert float(output_loss[i]) == pytest.approx(expected, rel=2e-5, abs=2e-6)
    return dropped


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (1.0, 1.0), (0.2, 0.28)])
def test_loop_of_the_papers_equations(low, high, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch(P=6, G=4, T=16, filter_groups=True)
    policy = make_policy(batch, drift=0.5)
    N = int(batch.mask_BT.sum())
    loss = ClipCov(fraction=0.05, bounds=(0.3, 2.0), clip_low=low, clip_high=high)
    output = loss(policy, batch)
    candidates, losses = loop_candidates(policy, batch, (0.3, 2.0), low, high)
    dropped = dropped_tokens(output.token_loss_BT, losses)
    assert len(candidates) > math.floor(0.05 * N) == len(dropped)
    assert set(dropped) <= set(candidates)
    assert output.metrics["candidates"] == pytest.approx(len(candidates) / N)
    assert output.metrics["selected"] == pytest.approx(len(dropped) / N)


@pytest.mark.parametrize("rows", [24, 8, 1])
def test_official_setting_selects_in_each_microbatch_at_least_one(  # type: ignore[no-untyped-def]
    rows, make_batch, make_policy
) -> None:
    batch = make_batch(P=6, G=4, T=16)
    policy = make_policy(batch, drift=0.5)
    official = {"scope": "microbatch", "quota": "official", "bounds": (0.3, 5.0)}
    one, all_of_them = ClipCov(fraction=2e-4, **official), ClipCov(fraction=1.0, **official)
    assert not one.selects_tokens
    for index in torch.arange(24).split(rows):
        part = replace(batch.rows(index), selected_BT=torch.ones(len(index), 16, dtype=torch.bool))
        piece = PolicyOutput(policy.logprobs_BT[index], policy.entropy_BT[index])
        candidates, losses = loop_candidates(piece, part, (0.3, 5.0), 1.0, 1.0)
        dropped = dropped_tokens(one(piece, part).token_loss_BT, losses)
        assert len(dropped) == min(1, len(candidates)) and set(dropped) <= set(candidates)
        assert dropped_tokens(all_of_them(piece, part).token_loss_BT, losses) == candidates
        # a single response has constant advantages: covariance 0, nothing in the band
        assert bool(candidates) == (rows > 1)


def test_by_old_log_probs_tokens_that_the_clip_removed_are_candidates(  # type: ignore[no-untyped-def]
    make_batch, make_policy
) -> None:
    batch = make_batch()
    policy = make_policy(batch)
    PPOClip()(policy, batch).token_loss_BT.sum().backward()
    removed_BT = batch.mask_BT & (policy.logprobs_BT.grad == 0) & (batch.advantages_BT != 0)
    for choice, expected in (("current", False), ("old", True)):
        loss = ClipCov(0.5, (0.0, 99.0), 0.2, 0.2, selection_logprobs=choice)
        assert bool((loss.select(policy, batch) & removed_BT).any()) == expected


def test_dropped_tokens_have_no_gradient_and_the_others_keep_theirs(  # type: ignore[no-untyped-def]
    make_batch, make_policy
) -> None:
    batch = make_batch()
    policy, reference = make_policy(batch), make_policy(batch)
    loss = ClipCov(fraction=0.1, bounds=(0.1, 5.0), clip_low=0.2, clip_high=0.2)
    loss(policy, batch).token_loss_BT.sum().backward()
    PPOClip()(reference, batch).token_loss_BT.sum().backward()
    selected = loss.select(policy, batch)
    assert selected.any()
    assert reference.logprobs_BT.grad[selected].all()  # no clipped token was spent on the quota
    expected = reference.logprobs_BT.grad.masked_fill(selected, 0.0)
    assert torch.equal(policy.logprobs_BT.grad, expected)


@pytest.mark.parametrize("off", [{"fraction": 0.0}, {"fraction": 0.5, "bounds": (1e6, 1e7)}])
def test_switched_off_it_is_ppo_clip(off, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch)
    loss = ClipCov(clip_low=0.2, clip_high=0.28, **off)
    expected = PPOClip(0.2, 0.28)(policy, batch)
    assert torch.equal(loss(policy, batch).token_loss_BT, expected.token_loss_BT)
    assert loss(policy, batch).metrics["clip_low"] == expected.metrics["clip_low"]


def test_draw_depends_on_seed_and_update_and_nothing_else(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch(P=8, G=8, T=16)
    policy = make_policy(batch)

    def draw(seed: int, update: int) -> torch.Tensor:
        torch.manual_seed(int(torch.randint(0, 1 << 30, ())))  # the global generator moves on
        loss = ClipCov(fraction=0.02, bounds=(0.1, 5.0), seed=seed)
        return loss.select(policy, replace(batch, update=update))

    assert torch.equal(draw(0, 0), draw(0, 0))
    assert not torch.equal(draw(0, 0), draw(1, 0))
    assert not torch.equal(draw(0, 0), draw(0, 1))
    assert not torch.equal(draw(0, 1), draw(1, 0))


def test_quantile_bounds(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch(P=8, G=8, T=16)
    policy = make_policy(batch, drift=0.0)  # nothing is clipped at ratio 1
    loss = ClipCov(fraction=0.01, bounds=(0.9, 1.0), bounds_kind="quantile")
    share = loss(policy, batch).metrics["candidates"]
    N = int(batch.mask_BT.sum())
    # indices round(0.9 (N - 1)) .. N - 1 of the sorted covariances
    assert share == pytest.approx((N - round(0.9 * (N - 1))) / N)


def test_defaults_are_the_papers_and_bad_arguments_are_named() -> None:
    loss = ClipCov()
    assert (loss.fraction, loss.bounds, loss.clip_low, loss.clip_high) == (2e-4, (1.0, 5.0), 1, 1)
    assert loss.selects_tokens and loss.quota == "floor" and loss.center == "batch"
    for arguments, message in (
        ({"fraction": -0.1}, r"fraction=-0\.1 is outside"),
        ({"bounds": (5.0, 1.0)}, r"bounds=\(5\.0, 1\.0\) is not an interval.*low <= high"),
        ({"bounds": (math.nan, 1.0)}, "bounds=.*not an interval"),
        ({"bounds": (1.0, 2.0, 3.0)}, "3 entries"),
        ({"bounds_kind": "quantile"}, r"bounds=\(1\.0, 5\.0\) with bounds_kind='quantile'"),
        ({"bounds_kind": "sigma"}, "bounds_kind='sigma' is unknown"),
        ({"clip_low": 2.0}, r"clip_low=2\.0"),
        ({"clip_high": -1.0}, r"clip_high=-1\.0"),
        ({"scope": "global"}, "scope='global'"),
    ):
        with pytest.raises(ValueError, match=message):
            ClipCov(**arguments)  # type: ignore[arg-type]
