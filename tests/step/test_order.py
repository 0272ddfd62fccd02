"""Order of prompts and minibatches: what their keys may and may not change."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lit_entropy.distributed.ranks import Ranks
from lit_entropy.step.minibatch import own_microbatches
from lit_entropy.step.order import minibatch_rows, prompt_indices


@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 41))
def test_a_step_is_a_window_of_one_stream(size: int, count: int, step: int) -> None:
    """Where the walk stands follows from the RL step alone: a resume needs no counter."""
    stream = prompt_indices(size, count * step, 0, 1)  # all prompts so far in one step
    assert torch.equal(prompt_indices(size, count, 0, step), stream[(step - 1) * count :])


def test_golden_values() -> None:
    """A changed key changes every run: it must be seen here."""
    assert prompt_indices(8, 6, 0, 1).tolist() == [5, 0, 4, 3, 6, 1]
    assert prompt_indices(8, 6, 0, 2).tolist() == [7, 2, 3, 5, 0, 6]  # 7, 2 end the first pass
    assert prompt_indices(8, 6, 0, 2, attempt=1).tolist() == [3, 2, 1, 4, 0, 2]
    rows = torch.arange(100, 108)
    batches = minibatch_rows(rows, 4, 1, 3, 1)
    assert [batch.tolist() for batch in batches] == [[100, 102, 104, 105], [101, 103, 106, 107]]


def test_microbatches_hold_rows_of_few_prompts() -> None:
    """Rows of a minibatch ascend, so that those of one prompt are neighbours on every rank."""
    for rows in minibatch_rows(torch.arange(64), 16, 0, 2, 0):
        assert rows.diff().min() > 0 and rows.max() > 47 and rows.min() < 16  # of all prompts
        for world_size in (1, 2):
            for rank in range(world_size):
                parts = own_microbatches(rows, 2, Ranks(rank, world_size))
                assert len(parts) == 2 and parts[0].max() < parts[1].min()


def test_resampled_prompts_are_uniform_over_all_problems() -> None:
    draws = torch.cat([prompt_indices(20, 40, 0, step, attempt=2) for step in range(1, 101)])
    counts = torch.bincount(draws, minlength=20)  # 4,000 draws: 200 each expected
    assert len(counts) == 20 and stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_every_key_changes_the_minibatches() -> None:
    rows = torch.arange(32)
    keys = [(0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1)]  # seed, RL step, pass
    orders = {tuple(torch.cat(minibatch_rows(rows, 8, *key)).tolist()) for key in keys}
    assert len(orders) == len(keys)


def test_the_order_does_not_depend_on_the_minibatch_size() -> None:
    rows = torch.arange(50, 74)
    drawn = torch.cat(minibatch_rows(rows, 1, 0, 5, 0))
    assert not torch.equal(drawn, rows)
    for size in (3, 8, 12, 24):
        batches = minibatch_rows(rows, size, 0, 5, 0)
        assert torch.equal(torch.stack(batches), drawn.view(-1, size).sort(1).values)
