"""The weights of a policy on their way to another engine: whole tensors, and proof of arrival."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lit_entropy.distributed.sharding import full
from lit_entropy.functional.padding import left_pad
from lit_entropy.functional.rng import hash_keys
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Completions, Sequences

#: Entries that are widened to int64 at once.
_BLOCK = 2**22
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class StaleWeightsError(RuntimeError):
    """An engine samples from other weights than the policy's."""


@torch.no_grad()
def fingerprint(policy: nn.Module) -> int:
    """A number that changes with any parameter: a weighted sum of all bit patterns, mod 2^64.

    The sum is over the whole tensors, so it is the same on every rank and for sharded and whole
    parameters of one dtype. For a sharded policy it is a collective. It tells policies apart, and
    is no defence against somebody who looks for two of one number.

    Args:
        policy: the module whose parameters count, frozen ones included.
    """
    device = next(policy.parameters()).device
    total = torch.zeros((), dtype=torch.int64, device=device)
    sharded = False
    for index, parameter in enumerate(policy.parameters()):
        local, first = parameter.detach(), 0
        if isinstance(local, DTensor):
            # FSDP2 gives each rank the next rows, as many as the first one has
            ranks = local.device_mesh
            first = ranks.get_local_rank() * math.ceil(len(local) / ranks.size())
            local, sharded = local.to_local(), True
        total += weighted_bits(local, index, first)
    if sharded:
        torch.distributed.all_reduce(total)
    return int(total)


def weighted_bits(part: Tensor, index: int, first: int = 0) -> Tensor:
    """Sum of a tensor's bit patterns, each weighted by its place; int64 scalar, wrapping around.

    A bfloat16 update often moves a few weights by one bit up or down, which a sum without places
    does not see. Rows have odd and columns even weights: one changed entry always changes the sum.

    Args:
        part: rows of a parameter.
        index: the parameter's number.
        first: number of the first of these rows in the whole parameter.
    """
    bits = part.contiguous().view(_BITS[part.element_size()])
    bits_RC = bits.flatten(1) if bits.dim() > 1 else bits.reshape(-1, 1)
    rows_R = torch.arange(first, first + len(bits_RC), device=part.device)
    columns_C = torch.arange(bits_RC.shape[1], device=part.device)
    row_weights_R = hash_keys("rows", index, rows_R) | 1
    column_weights_C = hash_keys("columns", index, columns_C) << 1
    total = torch.zeros((), dtype=torch.int64, device=part.device)
    size = max(1, _BLOCK // max(1, bits_RC.shape[1]))
    for block_RC, weights_R in zip(bits_RC.split(size), row_weights_R.split(size), strict=True):
        exact_RC = block_RC.long()
        total += (exact_RC.sum(1) * weights_R).sum() + (exact_RC.sum(0) * column_weights_C).sum()
    return total


def full_weights(policy: Policy) -> Iterator[tuple[str, Tensor]]:
    """Names and whole tensors of a policy's model, adapters added in, one tensor at a time.

    For a sharded policy each step is a collective: every rank must take all of them. A weight that
    has two names, as a head tied to the embedding, comes under both: vLLM packs the head anew only
    when it is named.

    Args:
        policy: the :class:`lit_entropy.policy.Policy`; the names are those of transformers.
    """
    # a state dict would shard again what is held whole for a validation
    plain = dict(policy.model.named_parameters(remove_duplicate=False))
    tensors = plain if policy.lora is None else policy.merged_state_dict()
    for name, tensor in tensors.items():
        yield name, full(tensor).detach()


def write_weights(policy: Policy, folder: Path | None, shard_bytes: int = 2**32) -> None:
    """Write whole weights as safetensors, a shard in memory at a time.

    For a sharded policy this is a collective.

    Args:
        policy: the policy.
        folder: is made; None on the ranks that only take part.
        shard_bytes: size at which a file is closed.
    """
    shard: dict[str, Tensor] = {}
    number = 0
    if folder is not None:
        folder.mkdir(exist_ok=True)
    for name, tensor in full_weights(policy):
        if folder is None:
            continue
        # a copy: a tensor under two names is written twice
        shard[name] = tensor.to("cpu", copy=True).contiguous()
        if sum(value.nbytes for value in shard.values()) >= shard_bytes:
            save_file(shard, folder / f"model-{number:05d}.safetensors")
            number, shard = number + 1, {}
    if folder is not None and shard:
        save_file(shard, folder / f"model-{number:05d}.safetensors")


@torch.no_grad()
def engine_gap(
    policy: Policy, prompts: list[list[int]], completions: Completions, temperature: float
) -> float:
    """Mean absolute difference, in nats per token, of an engine's log-probs and the policy's own.

    Args:
        policy: the policy with the weights that the engine should hold.
        prompts: token ids of each row's prompt.
        completions: what the engine sampled; on the policy's device.
        temperature: of the log-probs; at 0 they are those of temperature 1.
    """
    prompt_tokens_BS, prompt_mask_BS = left_pad(
        prompts, policy.pad_token_id, completions.tokens_BT.device
    )
    batch = Sequences(completions.tokens_BT, completions.mask_BT, prompt_tokens_BS, prompt_mask_BS)
    own_BT = policy(batch, temperature or 1.0).logprobs_BT
    difference_BT = (own_BT - completions.logprobs_BT).abs()
    return float(difference_BT[completions.sampled_BT].double().mean())


def require_same_weights(
    policy: Policy,
    prompts: list[list[int]],
    completions: Completions,
    temperature: float,
    tolerance: float,
    engine: str,
    rows: int = 4,
) -> None:
    """Refuse an engine whose log-probs of its own first rows are not the policy's.

    Args:
        policy: the policy.
        prompts: token ids of each row's prompt.
        completions: what the engine sampled.
        temperature: as :func:`engine_gap`.
        tolerance: largest accepted :func:`engine_gap`, in nats per token.
        engine: what the engine is called in the error.
        rows: rows that are compared.

    Raises:
        StaleWeightsError: names the gap, the tolerance and the remedy.
    """
    width = max(1, int(completions.mask_BT[:rows].sum(1).max()))
    environment_BT = completions.environment_BT
    probe = Completions(
        completions.tokens_BT[:rows, :width],
        completions.mask_BT[:rows, :width],
        completions.logprobs_BT[:rows, :width],
        None,
        completions.truncated_B[:rows],
        None if environment_BT is None else environment_BT[:rows, :width],
    )
    gap = engine_gap(policy, prompts[:rows], probe, temperature)
    if not gap <= tolerance:
        raise StaleWeightsError(
            f"{engine} samples from other weights than the policy's: its log-probs differ by "
            f"{gap:.3g} nats per token, and gap_tolerance={tolerance:g}. Give it the policy's "
            "weights; where only its precision is lower, raise gap_tolerance"
        )
