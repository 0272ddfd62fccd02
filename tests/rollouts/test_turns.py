"""Turns of decoding: which rows share one, and the whole in the order that was asked for."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.rollouts.turns import in_turns, whole
from lit_entropy.types import Completions


def test_short_prompts_come_first_and_a_small_batch_stays_as_it_is() -> None:
    prompts = [[1] * length for length in (5, 2, 9, 2, 7)]
    assert in_turns(prompts, 2) == [[1, 3], [0, 4], [2]]
    assert in_turns(prompts, 5) == in_turns(prompts, 8) == [[0, 1, 2, 3, 4]]


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30), most=st.integers(1, 31))
def test_every_row_has_one_turn(lengths: list[int], most: int) -> None:
    turns = in_turns([[0] * length for length in lengths], most)
    assert sorted(row for turn in turns for row in turn) == list(range(len(lengths)))
    assert all(0 < len(turn) <= most for turn in turns)


def part(rows: list[int], width: int) -> Completions:
    """Row r holds tokens 10 r + t, and stops after r % width + 1 of them."""
    row_B = torch.tensor(rows)
    tokens_BT = 10 * row_B[:, None] + torch.arange(width)
    mask_BT = torch.arange(width) <= (row_B % width)[:, None]
    return Completions(
        tokens_BT.masked_fill(~mask_BT, -1), mask_BT, tokens_BT * -0.5 * mask_BT,
        tokens_BT * 0.25 * mask_BT, row_B % 2 == 0,
    )  # fmt: skip


def test_the_whole_has_the_rows_in_order() -> None:
    turns = [[3, 1], [0, 4], [2]]
    found = whole(
        [part(rows, width) for rows, width in zip(turns, (2, 4, 3), strict=True)], turns, -1
    )
    assert found.tokens_BT.tolist() == [
        [0, -1, -1, -1], [10, 11, -1, -1], [20, 21, 22, -1], [30, 31, -1, -1], [40, -1, -1, -1],
    ]  # fmt: skip
    assert found.mask_BT.sum(1).tolist() == [1, 2, 3, 2, 1]
    assert found.logprobs_BT[2].tolist() == [-10.0, -10.5, -11.0, 0.0]
    assert found.entropies_BT is not None and found.entropies_BT[3].tolist() == [7.5, 7.75, 0, 0]
    assert found.truncated_B.tolist() == [True, False, True, False, True]
    assert whole([part([0], 3)], [[0]], -1).tokens_BT.tolist() == [[0, -1, -1]]


def test_entropies_stay_unknown() -> None:
    parts = [part([1], 2), part([0], 2)]
    for each in parts:
        each.entropies_BT = None
    assert whole(parts, [[1], [0]], -1).entropies_BT is None
