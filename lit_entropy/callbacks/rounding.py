"""Changes of entropy are smaller than half precision rounds logits: how they are measured then."""

from contextlib import AbstractContextManager, nullcontext

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch.distributed.fsdp import FSDPModule

from lit_entropy.policy import Policy
from lit_entropy.policy.scoring import uses_flash
from lit_entropy.step.settings import low_dtypes, measurement_note


def unrounded(policy: Policy) -> AbstractContextManager[object]:
    """No autocast within the block, where the policy's weights do without."""
    # shards are gathered in half precision
    stays = isinstance(policy, FSDPModule) or uses_flash(policy.model)
    if stays or low_dtypes(policy.parameters()):
        return nullcontext()
    return torch.autocast(next(policy.parameters()).device.type, enabled=False)


def tell_rounding(callback: str, precision: object, policy: Policy, sharded: bool) -> None:
    """Say where a callback takes differences of rounded logits.

    Args:
        callback: its name.
        precision: ``trainer.precision``.
        policy: what it measures.
        sharded: whether the policy is or will be sharded.
    """
    stays = sharded or uses_flash(policy.model)
    if note := measurement_note(callback, str(precision), policy.parameters(), stays):
        rank_zero_info(note)
