"""KL-Cov against loops of eq. 10, 13 and 14, and the limits of its penalty."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lit_entropy.losses import KLCov, PPOClip
from lit_entropy.types import LossBatch, PolicyOutput

PENALTIES = {
    "abs": abs,
    "k1": lambda x: -x,
    "k2": lambda x: x * x / 2,
    "k3": lambda x: math.exp(x) - 1 - x,
}


def loop(policy: PolicyOutput, batch: LossBatch, count: int, penalty: str, beta: float) -> Tensor:
    """Eq. 14 a token at a time: the ``count`` tokens of highest covariance get the penalty."""
    B, T = batch.mask_BT.shape
    scored = [(b, t) for b in range(B) for t in range(T) if batch.mask_BT[b, t]]
    logprob = {i: float(policy.logprobs_BT[i].detach()) for i in scored}
    advantage = {i: float(batch.advantages_BT[i]) for i in scored}
    mean_logprob = statistics.fmean(logprob.values())
    mean_advantage = statistics.fmean(advantage.values())
    cov = {i: (logprob[i] - mean_logprob) * (advantage[i] - mean_advantage) for i in scored}
    selected = sorted(scored, key=lambda i: -cov[i])[:count]
    loss = torch.zeros(B, T)
    for i in scored:
        x = logprob[i] - float(batch.old_logprobs_BT[i])
        loss[i] = -advantage[i] * math.exp(x)
        if i in selected:
            loss[i] += beta * PENALTIES[penalty](x)
    return loss


@pytest.mark.parametrize("penalty", PENALTIES)
def test_loop_of_the_papers_equations(penalty, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch(P=4, G=4, T=12, filter_groups=True)
    policy = make_policy(batch, drift=0.5)
    N = int(batch.mask_BT.sum())
    loss = KLCov(fraction=0.1, kl_coef=0.7, kl_estimator=penalty)
    output = loss(policy, batch)
    expected = loop(policy, batch, math.floor(0.1 * N), penalty, 0.7)
    torch.testing.assert_close(output.token_loss_BT, expected, rtol=2e-5, atol=2e-6)
    assert output.metrics["selected"].item() == pytest.approx(math.floor(0.1 * N) / N)  # type: ignore[union-attr]


@pytest.mark.parametrize(("rows", "fraction"), [(16, 2e-3), (4, 2e-3), (16, 0.2), (1, 0.2)])
def test_official_setting_selects_in_each_microbatch_at_least_one(  # type: ignore[no-untyped-def]
    rows, fraction, make_batch, make_policy
) -> None:
    batch = make_batch(P=4, G=4, T=12)
    policy = make_policy(batch)
    loss = KLCov(fraction=fraction, scope="microbatch", quota="official")
    assert not loss.selects_tokens
    for index in torch.arange(16).split(rows):
        # a mask handed down is not for this scope
        part = replace(batch.rows(index), selected_BT=torch.ones(len(index), 12, dtype=torch.bool))
        piece = PolicyOutput(policy.logprobs_BT[index], policy.entropy_BT[index])
        count = max(1, int(fraction * int(part.mask_BT.sum())))
        output = loss(piece, part)
        assert output.metrics["kl_selected"].weight == count  # type: ignore[union-attr]
        if rows > 1:  # one response: every covariance is 0, all tie
            expected = loop(piece, part, count, "abs", 1.0)
            torch.testing.assert_close(output.token_loss_BT, expected, rtol=2e-5, atol=2e-6)


def test_gradient_on_selected_tokens(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch)
    loss = KLCov(fraction=0.2, kl_coef=2.0)
    loss(policy, batch).token_loss_BT.sum().backward()
    log_ratio = (policy.logprobs_BT - batch.old_logprobs_BT).detach()
    selected = loss.select(policy, batch)
    # d(-A r + beta |x|) / dx = -A r + beta sign(x)
    expected = -batch.advantages_BT * log_ratio.exp() + 2.0 * log_ratio.sign() * selected
    torch.testing.assert_close(policy.logprobs_BT.grad, expected * batch.mask_BT)
    assert selected.any()


@pytest.mark.parametrize(
    ("penalty", "slope"), [("abs", 0.0), ("k2", 0.0), ("k3", 0.0), ("k1", -1.0)]
)
def test_penalty_gradient_at_ratio_one(penalty, slope, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch, drift=0.0)
    loss = KLCov(fraction=0.2, kl_estimator=penalty)
    selected = loss.select(policy, batch)
    # without advantages the penalty is all that is left of the loss
    alone = replace(
        batch, advantages_BT=torch.zeros_like(batch.advantages_BT), selected_BT=selected
    )
    loss(policy, alone).token_loss_BT.sum().backward()
    assert selected.any()
    assert torch.equal(policy.logprobs_BT.grad, slope * selected.float())


@pytest.mark.parametrize("off", [{"fraction": 0.0}, {"kl_coef": 0.0, "fraction": 0.5}])
def test_switched_off_it_is_the_plain_surrogate(off, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch)
    unclipped = PPOClip(clip_low=1.0, clip_high=1e9)
    assert torch.equal(
        KLCov(**off)(policy, batch).token_loss_BT, unclipped(policy, batch).token_loss_BT
    )


def test_metrics_of_the_selected(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch)
    loss = KLCov(fraction=0.25)
    metrics = loss(policy, batch).metrics
    selected = loss.select(policy, batch)
    log_ratio = (policy.logprobs_BT - batch.old_logprobs_BT).detach()
    kl = metrics["kl_selected"]
    assert (kl.total / kl.weight).item() == pytest.approx(  # type: ignore[union-attr]
        log_ratio[selected].abs().double().mean().item()
    )
    cov = metrics["cov_selected"]
    logprobs, advantages = policy.logprobs_BT.detach()[batch.mask_BT], batch.advantages_BT
    deviations = (policy.logprobs_BT.detach() - logprobs.mean()) * (
        advantages - advantages[batch.mask_BT].mean()
    )
    assert (cov.total / cov.weight).item() == pytest.approx(  # type: ignore[union-attr]
        deviations[selected].mean().item(), rel=1e-5
    )


def test_defaults_are_the_papers_and_bad_arguments_are_named() -> None:
    loss = KLCov()
    assert (loss.fraction, loss.kl_coef, loss.kl_estimator) == (2e-3, 1.0, "abs")
    assert loss.selects_tokens and loss.scope == "minibatch" and loss.quota == "floor"
    for arguments, message in (
        ({"fraction": 20.0}, r"fraction=20\.0 is outside"),
        ({"kl_coef": -1.0}, r"kl_coef=-1\.0"),
        ({"kl_estimator": "k4"}, "kl_estimator='k4' is unknown: choose one of abs, k1, k2, k3"),
        ({"scope": "global"}, "scope='global' is unknown: choose one of minibatch, microbatch"),
        ({"quota": "ceil"}, "quota='ceil'"),
        ({"center": "median"}, "center='median'"),
        ({"selection_logprobs": "new"}, "selection_logprobs='new'"),
    ):
        with pytest.raises(ValueError, match=message):
            KLCov(**arguments)  # type: ignore[arg-type]
