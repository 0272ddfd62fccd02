"""The on-policy change of entropy, split into policy and state distribution."""

from __future__ import annotations

from lightning.pytorch import LightningModule

from lit_entropy.callbacks.base import required
from lit_entropy.callbacks.probe import Snapshot, sample_states, snapshot
from lit_entropy.types import Experience


def on_policy_change(
    module: LightningModule,
    own: Experience,
    before: Snapshot,
    after: Snapshot,
    keys: tuple[int | str, ...],
) -> dict[str, float]:
    """Entropy change on responses of one's own, over all tokens of all responses (nats).

    The updated policy answers the same prompts with the rollout's own random numbers, so that a
    response differs only where the policies do.

    Args:
        module: the module, after the updates.
        own: whole groups of the rollout.
        before: the policy before the updates on ``own``.
        after: the policy after them on ``own``.
        keys: those of the rollout's draw that ``own`` belongs to.

    Returns:
        ``dynamics/on_policy/`` delta = fixed (change at the states of ``own``) + shift (of the
        state distribution, under the updated policy).
    """
    tokens_BS, mask_BS = required(own, "prompt_tokens_BS"), required(own, "prompt_mask_BS")
    prompts = [row[mask].tolist() for row, mask in zip(tokens_BS, mask_BS, strict=True)]
    ids = required(own, "prompt_ids_B"), required(own, "sample_ids_B")
    resampled = sample_states(module, prompts, *ids, keys)
    old, fixed = float(before.entropies_M.mean()), float(after.entropies_M.mean())
    new = float(snapshot(module, resampled).entropies_M.mean())
    return {
        "dynamics/on_policy/delta": new - old,
        "dynamics/on_policy/fixed": fixed - old,
        "dynamics/on_policy/shift": new - fixed,
    }
