"""Numbers that the module logs of a rollout and of its updates."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_entropy.functional.answer_entropy import answer_entropy
from lit_entropy.metrics import reduce_maxima, reduce_means
from lit_entropy.types import Experience, Maximum, Mean


class UpdateMeans:
    """Exact means and maxima over an RL step's updates, microbatches and ranks (float64)."""

    def __init__(self) -> None:
        self._sums: dict[str, Mean] = {}
        self._maxima: dict[str, Tensor] = {}

    def add(self, name: str, total: Tensor, weight: Tensor | float) -> None:
        """Add a total and its weight to the mean ``name``."""
        total = total.detach().double()
        weight = torch.as_tensor(weight, dtype=torch.float64, device=total.device)
        before = self._sums.get(name)
        self._sums[name] = Mean(
            total if before is None else before.total + total,
            weight if before is None else before.weight + weight,
        )

    def add_metric(self, name: str, value: Tensor | Mean | Maximum, tokens: Tensor) -> None:
        """Add a loss metric: a scalar is a mean over ``tokens``, a ``Mean`` has its own weight."""
        if isinstance(value, Maximum):
            largest = value.value.detach().double()
            before = self._maxima.get(name)
            self._maxima[name] = largest if before is None else torch.maximum(before, largest)
        elif isinstance(value, Mean):
            self.add(name, value.total, value.weight)
        else:
            self.add(name, value.double() * tokens, tokens)

    def reset(self, device: torch.device) -> dict[str, float]:
        """The numbers over all ranks, without those of no weight; starts again from nothing."""
        zero = torch.zeros((), dtype=torch.float64)
        nothing = Mean(zero, zero)
        # the names of the maxima too: ranks that disagree on names are found out there
        values = reduce_means(self._sums | dict.fromkeys(self._maxima, nothing), device)
        values |= reduce_maxima(self._maxima, device)
        self._sums, self._maxima = {}, {}
        return values


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
