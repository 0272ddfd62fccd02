"""Two gloo processes under DDP give the rollouts, selections, losses and metrics of one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rank_equality import assert_same_run
from runs import metrics
from shared_launch import DDP_PARTS, LOSSES, OFF, SIZES, Launched, loss_option
from two_ranks import arguments, run

pytestmark = pytest.mark.timeout(1000)


@pytest.mark.parametrize("loss", LOSSES)
def test_two_ranks_equal_one(tmp_path: Path, on_two_ranks: Launched, loss: str) -> None:
    """Two ranks with two microbatches each against one process with whole minibatches."""
    torch.set_num_threads(1)
    expected = run(arguments(tmp_path, *DDP_PARTS, loss_option(loss)))
    assert_same_run(tmp_path, expected, on_two_ranks.folder(loss), on_two_ranks.results[loss])


def test_importance_weights_are_those_of_one_process(
    tmp_path: Path, on_two_ranks: Launched
) -> None:
    """Four microbatches of a minibatch instead of one; the largest weight is no mean of four."""
    run(arguments(tmp_path, *OFF))
    expected, found = metrics(tmp_path), metrics(on_two_ranks.folder("off"))
    for key in ("importance_mean", "importance_max", "importance_clipped"):
        values = found[f"policy/{key}"], expected[f"policy/{key}"]
        assert values[0] == pytest.approx(values[1], rel=1e-5), key  # float32 log-probs
    # the largest of some 200 uniforms on [0, 1) is off by 0.9 nats at the least
    assert 2.45 < float(found["policy/importance_max"][0]) < 2.72


def test_sizes_that_ranks_cannot_share_are_refused_at_setup(on_two_ranks: Launched) -> None:
    """On every rank alike, so that none waits for another."""
    refused = [on_two_ranks.results[f"refused {index}"] for index in range(len(SIZES))]
    for ranks, message in zip(refused, SIZES.values(), strict=True):
        assert [rank["refusal"] for rank in ranks] == [message, message]
    assert not list(on_two_ranks.folder("refused").rglob("metrics.csv"))
