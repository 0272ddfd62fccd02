"""States of the policy and its distributions on them: fixed states, and a rollout's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from lit_entropy.callbacks.rounding import unrounded
from lit_entropy.distributed.sharding import whole_parameters
from lit_entropy.functional.dynamics import entropy
from lit_entropy.functional.rng import uniforms
from lit_entropy.policy import Policy
from lit_entropy.step.sampler import Sampler
from lit_entropy.types import Problem, Sequences

#: Logits of one forward pass, and of one piece of float64 arithmetic (64 MiB and 32 MiB).
PASS_LOGITS, PIECE_LOGITS = 2**24, 2**22
#: The tensors of the states by their names in a checkpoint, in the order of ``Sequences``; the last
#: is there where an environment took part.
STATE_FIELDS = (
    "tokens_BT",
    "response_mask_BT",
    "prompt_tokens_BS",
    "prompt_mask_BS",
    "environment_BT",
)


class Snapshot(NamedTuple):
    """The policy on a set of states.

    Attributes:
        entropies_M: float64, exact entropy at the training temperature of every state, nats.
        logits_NV: logits over the temperature of the kept states, in the policy's float type.
    """

    entropies_M: Tensor
    logits_NV: Tensor


@dataclass(frozen=True)
class ProbeSource:
    """Where the fixed states come from.

    Attributes:
        sampler: the policy with its engine.
        problems: the held-out problems.
        encode: token ids of each problem's prompt.
        seed: keys the draws.
    """

    sampler: Sampler
    problems: Sequence[Problem]
    encode: Callable[[Sequence[Problem]], list[list[int]]]
    seed: int

    def states(self, count: int, device: torch.device) -> Sequences:
        """One response to each of ``count`` held-out problems, spread evenly over their order.

        All of them are taken where there are fewer.
        """
        problems = self.problems
        count = min(count, len(problems))
        chosen = [problems[index * len(problems) // count] for index in range(count)]
        return sample_states(
            self.sampler,
            self.encode(chosen),
            torch.tensor([problem.id for problem in chosen]),
            torch.zeros(count, dtype=torch.int64),
            (self.seed, "probe"),
            device,
        )


def sample_states(
    sampler: Sampler,
    prompts: list[list[int]],
    prompt_ids_B: Tensor,
    sample_ids_B: Tensor,
    keys: tuple[int | str, ...],
    device: torch.device,
) -> Sequences:
    """Responses of the current policy with counter-based draws, the same on every rank.

    Args:
        sampler: the policy with its engine.
        prompts: token ids of each row's prompt.
        prompt_ids_B: int64 ``Problem.id``.
        sample_ids_B: int64 number of the sample within its prompt.
        keys: seed, purpose and step that key the draws.
        device: of the result.
    """
    completions = sampler.sample(prompts, prompt_ids_B, sample_ids_B, keys)
    return sampler.sequences(prompts, completions).to(device)


def tell_fewer(name: str, wanted: int, available: int, what: str) -> None:
    """Say that a callback takes all there are, where its argument asks for more.

    Args:
        name: the argument, with its callback.
        wanted: its value.
        available: how many there are.
        what: of what, with the key that decides it.

    Raises:
        ValueError: there are none.
    """
    if available == 0:
        callback = name.partition(".")[0]
        raise ValueError(f"{callback} needs {what}, and there are none")
    if wanted > available:
        rank_zero_info(f"{name}={wanted}: there are {available} {what}, which are all taken")


def tell_fewer_held_out(callback: str, wanted: int, available: int) -> None:
    """:func:`tell_fewer` of the held-out prompts of a probe."""
    what = "held-out problems (validation size of data.task)"
    tell_fewer(f"{callback}.probe_prompts", wanted, available, what)


def kept_states(mask_BT: Tensor, maximum: int, seed: int) -> Tensor:
    """Bool [B, T]: all tokens of ``mask_BT``, or ``maximum`` of them drawn without replacement.

    The draw is keyed by (seed, row, token index), hence the same on every rank and device.
    """
    row_N, token_N = mask_BT.cpu().nonzero(as_tuple=True)
    if len(row_N) <= maximum:
        return mask_BT
    chosen = uniforms(seed, "kept states", row_N, token_N).argsort(stable=True)[:maximum]
    kept_BT = torch.zeros(mask_BT.shape, dtype=torch.bool)
    kept_BT[row_N[chosen], token_N[chosen]] = True
    return kept_BT.to(mask_BT.device)


@torch.no_grad()
def snapshot(
    sampler: Sampler,
    states: Sequences,
    kept_BT: Tensor | None = None,
    policy: Policy | None = None,
) -> Snapshot:
    """Entropies of every state and the logits of the kept ones, row-major.

    States are the prefixes of the tokens that the policy sampled; what an environment wrote is read
    and is no action of the policy's.

    The policy is the sampler's unless another one is given. Rows pass through it in blocks of at
    most ``PASS_LOGITS`` logits (one row at least), and in float32 where its weights are: logits in
    half precision are rounded by more than most updates change them.
    """
    policy = sampler.policy if policy is None else policy
    mask_BT = states.mask_BT
    kept_BT = torch.zeros_like(mask_BT) if kept_BT is None else kept_BT
    block = max(1, PASS_LOGITS // (mask_BT.shape[1] * policy.vocab_size))
    entropies, logits = [], []
    with whole_parameters(policy):  # gathered once, not in every block
        for rows in torch.arange(len(mask_BT), device=mask_BT.device).split(block):
            part = states.rows(rows).trimmed()
            with sampler.context(), unrounded(policy):
                logits_BTV = policy.logits(part) / sampler.temperature
            entropies += [entropy(piece.double()) for piece in pieces(logits_BTV[part.sampled_BT])]
            logits.append(logits_BTV[kept_BT[rows][:, : part.mask_BT.shape[1]]])
    return Snapshot(torch.cat(entropies), torch.cat(logits))


def pieces(values_NV: Tensor) -> Sequence[Tensor]:
    """The rows in blocks of at most ``PIECE_LOGITS`` numbers (one row at least)."""
    return values_NV.split(max(1, PIECE_LOGITS // values_NV.shape[1]))


def to_state(states: Sequences) -> dict[str, Tensor]:
    """The states as plain CPU tensors for a checkpoint."""
    tensors = states.tensors().values()
    named = zip(STATE_FIELDS[: len(tensors)], tensors, strict=True)
    return {name: tensor.cpu().clone() for name, tensor in named}


def from_state(state: dict[str, Tensor], device: torch.device | str) -> Sequences:
    """The inverse of :func:`to_state`."""
    return Sequences(*(state[name].clone() for name in STATE_FIELDS if name in state)).to(device)
