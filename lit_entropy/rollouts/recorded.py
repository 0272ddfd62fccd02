"""Decoding by one step of fixed shapes and addresses, which a GPU can repeat without the host.

A decoding step of a small or middling model is hundreds of small operations, and on a GPU the time
of their launches by the host. Recorded once (see :mod:`lit_entropy.rollouts.cuda_graphs`) and
launched as a whole they take that of the device alone. A recording is of addresses: so tokens,
positions, the place of the next token and all keys and values stay where they are from token to
token, and attention sees the whole room, with what is not yet written masked.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from transformers.cache_utils import DynamicLayer

from lit_entropy.policy.policy import Policy

#: One decoding step: it reads and writes tensors that stay, and returns logits [B, V].
Step = Callable[[], Tensor]
#: From a step to what repeats it. Recording has no effect; each call afterwards is one step, whose
#: logits the next call may overwrite.
Record = Callable[[Step], Step]

#: Tokens for which room is left, beside a quarter of those that are held.
ROOM = 64


class RoomLayer(DynamicLayer):
    """Keys and values [B, H, W, D] of one layer in a room of W columns, written at one place."""

    keys: Tensor
    values: Tensor

    def __init__(self, layer: DynamicLayer, place_1: Tensor) -> None:
        """Take over what a layer holds, with no room to spare.

        Args:
            layer: it holds something.
            place_1: int64, the column that is written next; read at each update, so that whoever
                changes it in place moves all layers on.
        """
        super().__init__()
        assert layer.keys is not None and layer.values is not None
        self.lazy_initialization(layer.keys, layer.values)
        self.keys, self.values = layer.keys, layer.values
        self.place_1 = place_1

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the states of one token [B, H, 1, D]; the whole room."""
        # under autocast values come in its dtype, and are held in that of the keys
        self.keys.index_copy_(2, self.place_1, key_states.to(self.keys.dtype))
        self.values.index_copy_(2, self.place_1, value_states.to(self.values.dtype))
        return self.keys, self.values

    def widen(self, columns: int) -> None:
        """Copy into a room of ``columns``, with zeros to come: no weight would hide a NaN."""
        more = 0, 0, 0, columns - self.keys.shape[2]
        self.keys = torch.nn.functional.pad(self.keys, more)
        self.values = torch.nn.functional.pad(self.values, more)


class FixedStep:
    """One decoding step of rows, on tensors that stay where they are until the rows or room change.

    Attributes:
        tokens_B1: int64, what it feeds.
        room: columns of keys and values.
    """

    def __init__(self, policy: Policy, cache: Any, mask_BL: Tensor, width: int) -> None:
        """Continue prompts; see :class:`RecordedContinuation`."""
        self.policy, self.cache, self.mask_BL = policy, cache, mask_BL
        self.tokens_B1 = torch.zeros_like(mask_BL[:, :1], dtype=torch.int64)
        self.room = width
        self._columns_L = torch.arange(mask_BL.shape[1], device=mask_BL.device)
        self._place_1 = self._columns_L[width : width + 1].clone()
        self._positions_B1 = mask_BL[:, :width].sum(1, keepdim=True)
        cache.layers = [RoomLayer(layer, self._place_1) for layer in cache.layers]

    def __call__(self) -> Tensor:
        """Logits [B, V] after one more token of each row."""
        written_W = self._columns_L[: self.room] <= self._place_1
        seen_BW = self.mask_BL[:, : self.room] & written_W
        output = self.policy.model(
            input_ids=self.tokens_B1,
            attention_mask=seen_BW[:, None, None],
            position_ids=self._positions_B1,
            past_key_values=self.cache,
            use_cache=True,
        )
        self._place_1 += 1
        self._positions_B1 += 1
        logits_BTV: Tensor = output.logits
        return logits_BTV[:, -1]

    def keep(self, rows_N: Tensor) -> None:
        """Keep these rows (int64), in this order."""
        self.cache.reorder_cache(rows_N)
        self.mask_BL, self.tokens_B1 = self.mask_BL[rows_N], self.tokens_B1[rows_N]
        self._positions_B1 = self._positions_B1[rows_N]

    def widen(self) -> None:
        """Copy keys and values into a room of a quarter more columns and :data:`ROOM`."""
        self.room = min(self.room + ROOM + self.room // 4, self.mask_BL.shape[1])
        for layer in self.cache.layers:
            layer.widen(self.room)


class RecordedContinuation:
    """Continues rows token by token; see :class:`lit_entropy.rollouts.cached.Continuation`.

    The step is recorded again when rows are dropped and when the room is used up, which grows by a
    quarter: a few dozen times in thousands of tokens.
    """

    def __init__(
        self, policy: Policy, cache: Any, mask_BL: Tensor, width: int, record: Record
    ) -> None:
        """Continue prompts of ``width`` columns.

        Args:
            policy: its model is asked; see :func:`can_be_recorded`.
            cache: the model's, whose layers are replaced.
            mask_BL: bool, False on padding alone; columns of tokens to come are True.
            width: columns of the prompts.
            record: what records a step.
        """
        self.step = FixedStep(policy, cache, mask_BL, width)
        self.width, self.record = width, record
        # it knows the step and the step not it: in a circle their memory would outlive the rows
        self._repeat: Step | None = None

    def next_logits(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token of each row; the next call may overwrite them."""
        if self.width >= self.step.room:
            self.step.widen()
            self._repeat = None
        self.step.tokens_B1.copy_(tokens_B[:, None])
        if self._repeat is None:
            self._repeat = self.record(self.step)
        self.width += 1
        return self._repeat()

    def keep(self, rows_N: Tensor) -> None:
        """Keep these rows (int64), in this order."""
        self.step.keep(rows_N)
        self._repeat = None


def can_be_recorded(policy: Policy) -> bool:
    """Whether a decoding step of a policy can be of fixed shapes.

    So for models that take positions and a mask of four dimensions, by ``sdpa``, and hold their
    weights themselves: those of a sharded one come and go.
    """
    usual = policy.model.config._attn_implementation == "sdpa"
    return usual and policy.takes_positions and not isinstance(policy, FSDPModule)
