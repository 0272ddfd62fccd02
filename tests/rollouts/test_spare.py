"""A layer with room to spare holds what Transformers' own layer holds."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from lit_entropy import Policy
from lit_entropy.rollouts.cached import prefill
from lit_entropy.rollouts.llama import LlamaContinuation
from lit_entropy.rollouts.spare import SPARE, SpareLayer

HEADS, SIZE = 2, 3


def states(rows: int, tokens: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, HEADS, tokens, SIZE), torch.randn(rows, HEADS, tokens, SIZE)


@given(
    first=st.integers(1, 70),
    changes=st.lists(
        st.one_of(st.integers(1, 50), st.lists(st.integers(0, 1), min_size=1)), max_size=8
    ),
)
def test_it_holds_what_the_plain_layer_does(first: int, changes: list[int | list[int]]) -> None:
    """Numbers add tokens, some beyond the room; lists repeat and drop rows."""
    plain = DynamicLayer()
    plain.update(*states(2, first))
    rows_B = torch.tensor([1, 0, 1])
    ours = SpareLayer(plain, rows_B)
    plain.reorder_cache(rows_B)
    for change in changes:
        if isinstance(change, int):
            new = states(len(plain.keys), change)
            assert all(map(torch.equal, ours.update(*new), plain.update(*new)))
        else:
            rows_B = torch.tensor(change) % len(plain.keys)
            ours.reorder_cache(rows_B)
            plain.reorder_cache(rows_B)
        assert torch.equal(ours.keys, plain.keys) and torch.equal(ours.values, plain.values)
        assert ours.get_seq_length() == plain.get_seq_length()
        assert ours.get_mask_sizes(2) == plain.get_mask_sizes(2)


def test_tokens_are_written_where_room_is_left() -> None:
    plain = DynamicLayer()
    plain.update(*states(1, 8))
    layer = SpareLayer(plain, torch.tensor([0]))
    places = set()
    for _ in range(SPARE + 8 // 4):
        layer.update(*states(1, 1))
        places.add(layer.keys.data_ptr())
    assert len(places) == 1
    layer.update(*states(1, 1))
    assert layer.keys.data_ptr() not in places


def test_the_engine_decodes_with_it() -> None:
    policy = Policy("chain-xs").eval()
    with torch.no_grad():
        _, rows = prefill(policy, [[3, 4], [3, 4, 5], [3, 4]], 5)
    assert isinstance(rows, LlamaContinuation)
    cache = rows.cache
    assert [type(layer) for layer in cache.layers] == [SpareLayer] * len(cache.layers)
    assert cache.layers[0].keys.shape[0] == 3
