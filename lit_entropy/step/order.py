"""The order of prompts and of minibatches, as pure functions of seed and RL step."""

import torch
from torch import Tensor

from lit_entropy.functional.rng import generator, permutation


def prompt_indices(size: int, count: int, seed: int, rl_step: int, attempt: int = 0) -> Tensor:
    """Which training problems an RL step uses: a pure function of its arguments.

    The first attempt walks through a fresh permutation each epoch of the data; later attempts
    (group resampling) draw at random, so that they do not shift the walk.

    Args:
        size: number of training problems.
        count: prompts per draw (P).
        seed: the run's seed.
        rl_step: number of the RL step, from 1.
        attempt: 0, or the number of the resampling attempt.

    Returns:
        int64 [P] indices.
    """
    if attempt > 0:
        source = generator(seed, "resampled prompts", rl_step - 1, attempt)
        return torch.randint(size, (count,), generator=source)
    indices: list[Tensor] = []
    position, needed = (rl_step - 1) * count, count
    while needed:
        epoch, offset = divmod(position, size)
        part = permutation(size, seed, "prompts", epoch)[offset : offset + needed]
        indices.append(part)
        position, needed = position + len(part), needed - len(part)
    return torch.cat(indices)


def minibatch_rows(rows: Tensor, size: int, seed: int, rl_step: int, epoch: int) -> list[Tensor]:
    """The optimizer minibatches of one pass over a rollout, over all ranks.

    Which rows a minibatch has is drawn; they ascend, so that rows of one prompt fall into few
    microbatches: a policy passes a prompt that rows of a batch share once.

    Args:
        rows: int64 rows of the experience that are trained on, prompt by prompt.
        size: sequences per minibatch; divides ``len(rows)``.
        seed: the run's seed.
        rl_step: number of the RL step, from 1.
        epoch: index of the pass over the rollout (0 .. update_epochs - 1).

    Returns:
        List of int64 [size] row indices.
    """
    order = permutation(len(rows), seed, "minibatches", rl_step, epoch)
    return [part.sort().values for part in rows[order].split(size)]
