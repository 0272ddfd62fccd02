"""Methods that cannot act say so, once, after a streak of updates."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from lit_entropy.losses import ClipCov, KLCov
from lit_entropy.losses.inert import InertAlarm, ShortQuotaAlarm


def messages(function) -> list[str]:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(item.message) for item in caught]


def test_alarm_warns_once_after_the_streak() -> None:
    alarm = InertAlarm("nothing moves", patience=3)

    def updates(first: int, last: int) -> list[str]:
        return messages(lambda: [alarm.observe(True, u) for u in range(first, last) for _ in "ab"])

    assert updates(0, 3) == []  # three updates of two microbatches
    alarm.observe(False, 3)  # one microbatch that acts ends the streak
    assert updates(4, 7) == []
    assert updates(7, 20) == ["nothing moves (updates 4 to 7)"]


def test_one_rank_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    def warned() -> list[str]:
        alarm, quota = InertAlarm("nothing moves", patience=1), ShortQuotaAlarm("KLCov", 1e-3)
        return messages(
            lambda: [(alarm.observe(True, update), quota.observe(0, 9)) for update in range(2)]
        )

    assert len(warned()) == 2
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert warned() == []


def streak(loss, policy, batch, updates: int = 21) -> list[str]:  # type: ignore[no-untyped-def]
    return messages(lambda: [loss(policy, replace(batch, update=u)) for u in range(updates)])


@pytest.mark.parametrize(
    ("estimator", "drift", "warns"), [("abs", 0.0, True), ("abs", 0.01, False), ("k1", 0.0, False)]
)
def test_kl_cov_on_policy(estimator, drift, warns, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    loss = KLCov(fraction=0.1, kl_estimator=estimator)
    found = streak(loss, make_policy(batch, drift=drift), batch)
    assert len(found) == warns
    assert all("all ratios are 1" in text and "updates per rollout" in text for text in found)


def test_kl_cov_off_policy_every_second_update_is_silent(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    on, off = make_policy(batch, drift=0.0), make_policy(batch, drift=0.1)
    loss = KLCov(fraction=0.1)
    assert not messages(
        lambda: [loss((on, off)[u % 2], replace(batch, update=u)) for u in range(60)]
    )


def test_a_quota_of_no_token_is_said_at_the_second_scope() -> None:
    """Now and then one token is no cure: the quickstart's minibatches have 400 to 520 tokens."""

    def observed(*quotas: int) -> list[str]:
        alarm = ShortQuotaAlarm("KLCov", 0.002)
        return messages(lambda: [alarm.observe(quota, 450) for quota in quotas])

    said = (
        "KLCov does not act: model.loss.fraction=0.002 of 450 scored tokens is less than one "
        "token, so that none is selected. Raise it, to 0.02 for about ten tokens, or set "
        "model.loss.quota=official, which selects at least one"
    )
    assert observed(0, 0, 0, 0) == observed(0, 1, 1, 0) == observed(0, 1, 0) == [said]
    assert observed(0, 1, 1, 1, 0, 0, 0) == observed(0) == observed(1, 1, 1, 1) == []


@pytest.mark.parametrize("kind", [KLCov, ClipCov])
@pytest.mark.parametrize(
    ("fraction", "quota", "said"),
    [(2e-4, "floor", 1), (2e-4, "official", 0), (0.0, "floor", 0), (0.5, "floor", 0)],
)
def test_a_fraction_of_less_than_a_token(kind, fraction, quota, said, make_batch, make_policy):  # type: ignore[no-untyped-def]
    batch = make_batch()
    found = streak(kind(fraction=fraction, quota=quota), make_policy(batch, drift=0.1), batch, 2)
    assert len(found) == said
    tokens = int(batch.mask_BT.sum())
    assert all(f"fraction={fraction} of {tokens} scored tokens" in text for text in found)


@pytest.mark.parametrize("arguments", [{"fraction": 0.1, "bounds": (50, 60)}])
def test_clip_cov_that_selects_nothing(arguments, make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    (text,) = streak(ClipCov(**arguments), make_policy(batch), batch, 60)
    assert "ClipCov does not act: it selected no token" in text
    assert not streak(ClipCov(**arguments), make_policy(batch), batch, 20)
    assert not streak(ClipCov(fraction=0.0), make_policy(batch), batch)  # off on purpose


def test_constant_advantages(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch().rows(torch.tensor([0]))  # one row a microbatch
    loss = KLCov(fraction=0.1, scope="microbatch")
    (text,) = streak(loss, make_policy(batch), batch)
    assert "all advantages of the selection scope are equal" in text and "scope" in text
