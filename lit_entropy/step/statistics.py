"""Numbers that the module logs of a rollout."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_entropy.functional.answer_entropy import answer_entropy
from lit_entropy.types import Experience


def rollout_statistics(
    experience: Experience, group_size: int, signal_P: Tensor
) -> dict[str, float]:
    """Statistics of everything sampled in an RL step, before the group filter.

    What depends on rewards is over the checked responses, or over the groups whose responses were
    all checked; a key of groups is left out where there is no such group.

    Args:
        experience: all groups of the RL step over all ranks.
        group_size: samples a prompt (G).
        signal_P: bool, groups whose rewards differ.

    Returns:
        Values by key; ``entropy`` (token mean, nats) and ``tokens`` are for internal use.
        ``entropy/answer`` (mean over prompts, nats) only for a task that names answers.
    """
    mask_BT = experience.response_mask_BT
    assert mask_BT is not None and experience.entropies_BT is not None
    assert experience.correct_B is not None and experience.rewards_B is not None
    assert experience.truncated_B is not None and experience.sampler_logprobs_BT is not None
    checked_P = experience.checked_groups(group_size)
    checked_B = experience.checked_B
    if checked_B is None:
        checked_B = torch.ones_like(experience.correct_B)
    correct_PG = experience.correct_B.view(-1, group_size)[checked_P]
    assert experience.rescored_B is not None
    gap_BT = (experience.old_logprobs_BT - experience.sampler_logprobs_BT).abs()
    rescored_BT = mask_BT & experience.rescored_B[:, None]
    values = {
        "entropy": experience.entropies_BT[mask_BT].double().mean(),
        "tokens": mask_BT.sum(),
        "reward": experience.rewards_B[checked_B].double().mean(),
        "accuracy": experience.correct_B[checked_B].double().mean(),
        "unchecked": (~checked_B).double().mean(),
        "length": mask_BT.sum(1).double().mean(),
        "truncated": experience.truncated_B.double().mean(),
        "groups": torch.tensor(len(signal_P)),
        "policy/sampler_gap": gap_BT[rescored_BT].double().mean(),
    }
    if len(correct_PG):
        values["solved_all"] = correct_PG.all(1).double().mean()
        values["solved_none"] = (~correct_PG).all(1).double().mean()
        values["no_signal"] = (~signal_P[checked_P]).double().mean()
    if experience.answers_B is not None:
        values["entropy/answer"] = answer_entropy(experience.answers_B.view(-1, group_size)).mean()
    return {key: float(value) for key, value in values.items()}
