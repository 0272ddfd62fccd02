"""The adaptive coefficient: its path, its gate, its checkpoint."""

from __future__ import annotations

import pytest
import torch

from lit_entropy.regularizers import AdaptiveEntropy


def path(control: AdaptiveEntropy, entropies: list[float]) -> list[tuple[float, bool]]:
    steps = []
    for entropy in entropies:
        control.on_rollout(entropy)
        steps.append((control.coef.item(), bool(control.active)))
    return steps


def test_hand_path_with_bounds_and_gate() -> None:
    control = AdaptiveEntropy(target=0.2, step=0.25, max_coef=0.5)
    assert path(control, [0.1, 0.1, 0.1, 0.2, 0.3, 0.3]) == [
        (0.25, True),
        (0.5, True),
        (0.5, True),  # clipped at max_coef
        (0.25, True),  # at the target: smaller, and still applied
        (0.0, False),
        (0.0, False),  # clipped at min_coef
    ]


def test_bonus_is_applied_only_at_or_below_the_target(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch)
    control = AdaptiveEntropy(target=0.2, step=0.1, max_coef=1.0, initial_coef=0.5)
    assert not control(policy, batch).token_loss_BT.any()  # before the first rollout
    control.on_rollout(0.1)
    output = control(policy, batch)
    expected = -0.6 * policy.entropy_BT * batch.mask_BT
    torch.testing.assert_close(output.token_loss_BT, expected)
    assert output.token_loss_BT.dtype == torch.float32
    assert output.metrics["entropy_coef"].item() == pytest.approx(0.6, rel=1e-12)
    control.on_rollout(0.9)
    after = control(policy, batch)
    assert not after.token_loss_BT.any() and after.metrics["entropy_coef"] == 0.0
    assert control.coef.item() == pytest.approx(0.5, rel=1e-12)  # kept for the next time
    output.token_loss_BT.sum().backward()  # the coefficient has moved on since, the graph has not
    torch.testing.assert_close(policy.entropy_BT.grad, -0.6 * batch.mask_BT)


def test_checkpoint_restores_the_controller() -> None:
    control, other = AdaptiveEntropy(), AdaptiveEntropy()
    path(control, [0.1, 0.15, 0.1])
    other.load_state_dict(control.state_dict())
    assert path(other, [0.1, 0.5]) == path(control, [0.1, 0.5])
    assert set(control.state_dict()) == {"coef", "active"}


def test_half_precision_keeps_the_coefficient_in_float64() -> None:
    control = AdaptiveEntropy(step=1e-4, max_coef=0.005)
    torch.nn.ModuleList([control]).to(torch.bfloat16)
    path(control, [0.1] * 30)
    assert control.coef.dtype == torch.float64
    assert control.coef.item() == pytest.approx(3e-3, rel=1e-12)


def test_padding_of_nan_stays_out(make_batch, make_policy) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch()
    policy = make_policy(batch)
    control = AdaptiveEntropy()
    control.on_rollout(0.1)
    entropy = policy.entropy_BT.detach().masked_fill(~batch.mask_BT, float("nan")).requires_grad_()
    control(policy._replace(entropy_BT=entropy), batch).token_loss_BT.sum().backward()
    assert entropy.grad.isfinite().all() and not entropy.grad[~batch.mask_BT].any()


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"target=-1\.0"):
        AdaptiveEntropy(target=-1.0)
    with pytest.raises(ValueError, match=r"initial_coef=0\.1 is outside \[min_coef, max_coef\]"):
        AdaptiveEntropy(initial_coef=0.1)
