"""Numbers that the module logs of a rollout."""

import torch
from torch import Tensor

from lit_entropy.functional.answer_entropy import answer_entropy
from lit_entropy.types import Experience


def sampler_gap(experience: Experience) -> Tensor:
    """Mean absolute difference of the engine's and the training path's log-probs, nats per token.

    Over the sampled tokens of the rows that were scored again; float64, NaN where there are none.
    """
    gap_BT = (experience.old_logprobs_BT - experience.sampler_logprobs_BT).abs()
    again_BT = experience.response_mask_BT & experience.rescored_B[:, None]
    return gap_BT[again_BT].double().mean()


def rollout_statistics(
    experience: Experience, group_size: int, signal_P: Tensor
) -> dict[str, float]:
    """Statistics of everything sampled in an RL step, before the group filter.

    What depends on rewards is over the checked responses, or over the groups whose responses were
    all checked; a key of groups is left out where there is no such group.

    Args:
        experience: all groups of the RL step over all ranks.
        group_size: samples per prompt (G).
        signal_P: bool, groups whose rewards differ.

    Returns:
        Values by key; ``entropy/answer`` (mean over prompts, nats) only for a task that names
        answers.
    """
    mask_BT, checked_B = experience.response_mask_BT, experience.checked_B
    checked_P = experience.checked_groups(group_size)
    correct_PG = experience.correct_B.view(-1, group_size)[checked_P]
    values = {
        "rollout/reward": experience.rewards_B[checked_B].double().mean(),
        "rollout/accuracy": experience.correct_B[checked_B].double().mean(),
        "rollout/unchecked": (~checked_B).double().mean(),
        "rollout/length": mask_BT.sum(1).double().mean(),
        "rollout/truncated": experience.truncated_B.double().mean(),
        "rollout/groups": torch.tensor(len(signal_P)),
        "policy/sampler_gap": sampler_gap(experience),
    }
    if len(correct_PG):
        values["rollout/solved_all"] = correct_PG.all(1).double().mean()
        values["rollout/solved_none"] = (~correct_PG).all(1).double().mean()
        values["rollout/no_signal"] = (~signal_P[checked_P]).double().mean()
    if experience.answers_B is not None:
        values["entropy/answer"] = answer_entropy(experience.answers_B.view(-1, group_size)).mean()
    return {key: float(value) for key, value in values.items()}
