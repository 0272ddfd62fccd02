"""The on-policy change of entropy, split into policy and state distribution."""

from lit_entropy.callbacks.probe import Snapshot, sample_states, snapshot
from lit_entropy.step.sampler import Sampler
from lit_entropy.types import Experience


def on_policy_change(
    sampler: Sampler,
    own: Experience,
    before: Snapshot,
    after: Snapshot,
    keys: tuple[int | str, ...],
) -> dict[str, float]:
    """Entropy change on responses of one's own, over all tokens of all responses (nats).

    The updated policy answers the same prompts with the rollout's own random numbers, so that a
    response differs only where the policies do.

    Args:
        sampler: the policy after the updates, with its engine.
        own: whole groups of the rollout.
        before: the policy before the updates on ``own``.
        after: the policy after them on ``own``.
        keys: those of the rollout's draw that ``own`` belongs to.

    Returns:
        ``dynamics/on_policy/`` delta = fixed (change at the states of ``own``) + shift (of the
        state distribution, under the updated policy).
    """
    rows = zip(own.prompt_tokens_BS, own.prompt_mask_BS, strict=True)
    prompts = [tokens_S[mask_S].tolist() for tokens_S, mask_S in rows]
    ids = own.prompt_ids_B, own.sample_ids_B
    resampled = sample_states(sampler, prompts, *ids, keys, own.tokens_BT.device)
    old, fixed = float(before.entropies_M.mean()), float(after.entropies_M.mean())
    new = float(snapshot(sampler, resampled).entropies_M.mean())
    return {
        "dynamics/on_policy/delta": new - old,
        "dynamics/on_policy/fixed": fixed - old,
        "dynamics/on_policy/shift": new - fixed,
    }
