"""A cache of keys and values that writes a new token where room was left for it."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer

#: Tokens for which room is left, beside a quarter of those that are held.
SPARE = 8


class SpareLayer(DynamicLayer):
    """Keys and values of one layer, in memory with room for tokens to come.

    Transformers' own layer copies all that it holds for every token it adds, a third of the time of
    decoding with a small model. This one copies when its room is used up, so that a token costs as
    much as a few do, and holds a quarter more.
    """

    _room_for_keys: Tensor
    _room_for_values: Tensor

    def __init__(self, layer: DynamicLayer, rows_B: Tensor) -> None:
        """Take over the rows ``rows_B`` of a layer that holds something."""
        super().__init__()
        assert layer.keys is not None and layer.values is not None
        self.lazy_initialization(layer.keys, layer.values)
        self._hold(layer.keys, layer.values)
        self.reorder_cache(rows_B)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add the states of tokens [B, H, T, D]; all that are held, [B, H, S, D]."""
        keys, values = self._held()
        held, end = keys.shape[-2], keys.shape[-2] + key_states.shape[-2]
        if end > self._room_for_keys.shape[-2]:
            self._hold(keys, values, end)
        self._room_for_keys[:, :, held:end] = key_states
        self._room_for_values[:, :, held:end] = value_states
        self._show(end)
        return self._held()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows ``beam_idx`` (int64), in this order, with their room."""
        held = self._held()[0].shape[-2]
        self._room_for_keys = self._room_for_keys.index_select(0, beam_idx)
        self._room_for_values = self._room_for_values.index_select(0, beam_idx)
        self._show(held)

    def _held(self) -> tuple[Tensor, Tensor]:
        assert self.keys is not None and self.values is not None
        return self.keys, self.values

    def _hold(self, keys: Tensor, values: Tensor, end: int = 0) -> None:
        """Copy into new memory with room for ``end`` tokens and the spare ones."""
        held = keys.shape[-2]
        length = max(held, end) + SPARE + held // 4
        self._room_for_keys = _with_room(keys, length)
        self._room_for_values = _with_room(values, length)
        self._show(held)

    def _show(self, count: int) -> None:
        self.keys = self._room_for_keys[:, :, :count]
        self.values = self._room_for_values[:, :, :count]


def _with_room(states_BHSD: Tensor, length: int) -> Tensor:
    rows, heads, held, size = states_BHSD.shape
    room = states_BHSD.new_empty(rows, heads, length, size)
    room[:, :, :held] = states_BHSD
    return room
