"""Changes and predictions at given states, by hand and against loops."""

from __future__ import annotations

import math

import pytest
import torch
from experiences import whole_experience

from lit_entropy.callbacks.probe import Snapshot, kept_states
from lit_entropy.callbacks.state_change import (
    exact_change,
    run_agreements,
    step_means,
    summarise,
    summarise_theorems,
    theorem_predictions,
)
from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    second_order_prediction,
)
from lit_entropy.types import Experience


def snapshots(count: int = 9, step: float = 0.1) -> tuple[Snapshot, Snapshot]:
    before, change = torch.randn(count, 6), step * torch.randn(count, 6)
    after = before + change
    return Snapshot(entropy(before.double()), before), Snapshot(entropy(after.double()), after)


def test_change_in_pieces_is_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = snapshots()
    whole = exact_change(before, after)
    monkeypatch.setattr("lit_entropy.callbacks.probe.PIECE_LOGITS", 13)  # two states a piece
    for name, value in exact_change(before, after).items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, whole[name], rtol=1e-14, atol=1e-16)
    old, new = before.logits_NV.double(), after.logits_NV.double()
    assert torch.equal(whole["delta"], entropy(new) - entropy(old))
    assert torch.equal(whole["lemma1"], lemma1_prediction(old, new - old))
    assert torch.equal(whole["second_order"], second_order_prediction(old, new - old))


def test_summary_by_hand() -> None:
    change = {
        "delta": torch.tensor([3.0, 0.0, -4.0]),
        "lemma1": torch.tensor([3.0, 0.0, -3.0]),
        "second_order": torch.tensor([0.0, 0.0, -1.0]),
    }
    values = summarise("dynamics/own", change)
    assert values["dynamics/own/delta"] == pytest.approx(-1 / 3)
    assert values["dynamics/own/lemma1"] == 0.0
    assert values["dynamics/own/lemma1_slope"] == pytest.approx(21 / 18)
    assert values["dynamics/own/lemma1_relative_error"] == pytest.approx(1 / 5)
    assert values["dynamics/own/lemma1_sign_agreement"] == 1.0
    assert values["dynamics/own/second_order_relative_error"] == 0.0


def scored_rows() -> tuple[Experience, Snapshot, torch.Tensor]:
    """Two rows of two tokens; the last token is padding, the third is not scored."""
    mask_BT = torch.tensor([[True, True], [True, False]])
    experience = whole_experience(
        torch.tensor([[True, True], [False, False]]),
        response_mask_BT=mask_BT,
        tokens_BT=torch.tensor([[1, 0], [2, 0]]),
        advantages_BT=torch.tensor([[2.0, 0.0], [5.0, 7.0]]),
    )
    logits_NV = torch.tensor([[0.0, 0.0, -math.inf], [0.0, math.log(3.0), -math.inf], [1.0, 2, 3]])
    return experience, Snapshot(entropy(logits_NV.double()), logits_NV), mask_BT


def test_theorems_by_hand() -> None:
    experience, before, kept_BT = scored_rows()
    predicted = theorem_predictions(before, experience, kept_BT)
    assert predicted.scored_N.tolist() == [True, True, False]
    assert predicted.acting_n.tolist() == [True, False]
    # state 0 is uniform over two actions: log pi + H = 0 for both; state 1 has A = 0
    for name in ("theorem1_state", "theorem2_state", "discriminator"):
        assert predicted.by_theorem[name].tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    # log pi = -ln 2 and -ln 4, mean -1.5 ln 2; A = 2, 0, mean 1
    half = 0.5 * math.log(2)
    assert predicted.by_theorem["theorem2_batch"].tolist() == pytest.approx([-half, -half])
    # pi A = 1, 0, mean 0.5
    assert predicted.by_theorem["theorem1_batch"].tolist() == pytest.approx([-half / 2, -half / 2])
    values = summarise_theorems("own", predicted, torch.tensor([-1.0, 9.0, 9.0]))
    # agreement over the one acting state
    assert values["own/theorem2_batch_slope"] == pytest.approx(1 / half)
    assert values["own/theorem2_batch_sign_agreement"] == 1.0
    assert "own/theorem2_batch_r2" not in values


def test_no_scored_state_predicts_nothing() -> None:
    experience, before, kept_BT = scored_rows()
    experience.mask_BT = torch.zeros_like(kept_BT)
    predicted = theorem_predictions(before, experience, kept_BT)
    assert summarise_theorems("own", predicted, torch.ones(3)) == {}


def test_run_agreement_skips_steps_without_a_prediction() -> None:
    values = {
        "dynamics/fixed/delta": 1.0,
        "dynamics/own/delta": 2.0,
        "dynamics/on_policy/delta": 3.0,
        "dynamics/fixed/lemma1": 1.0,
        "dynamics/own/lemma1": 4.0,
        "dynamics/own/lemma1_r2": 0.5,
        "dynamics/on_policy/shift": 1.0,
    }
    row = step_means(values)
    assert set(row) == {
        "fixed/delta", "own/delta", "on_policy/delta", "fixed/lemma1", "own/lemma1"
    }  # fmt: skip
    agreed = run_agreements([row, row | {"own/theorem2_state": -1.0}])
    assert agreed["dynamics/fixed/lemma1_run_slope"] == 1.0
    assert agreed["dynamics/on_policy/lemma1_run_slope"] == 0.75
    assert agreed["dynamics/on_policy/lemma1_run_relative_error"] == pytest.approx(1 / 3)
    assert agreed["dynamics/on_policy/theorem2_state_run_slope"] == -3.0
    assert agreed["dynamics/own/theorem2_state_run_sign_agreement"] == 0.0
    assert not any("theorem1" in key for key in agreed)


def test_kept_states(make_experience: object) -> None:
    experience: Experience = make_experience(P=4, G=4, T=12)  # type: ignore[operator]
    mask_BT = experience.response_mask_BT
    total = int(mask_BT.sum())
    assert torch.equal(kept_states(mask_BT, total, 0), mask_BT)
    kept_BT = kept_states(mask_BT, 10, 0)
    assert int(kept_BT.sum()) == 10 and not bool((kept_BT & ~mask_BT).any())
    assert bool((kept_BT <= kept_states(mask_BT, 20, 0)).all())  # nested
    assert not torch.equal(kept_BT, kept_states(mask_BT, 10, 1))
