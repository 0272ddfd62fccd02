"""The hook of rollout callbacks, and the split of their work over ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from experiences import rollout_of
from lightning.pytorch import LightningModule, Trainer

from lit_entropy.callbacks import CovarianceMonitor, EntropyDelta, EntropyMonitor
from lit_entropy.callbacks.base import RolloutCallback, own_rows, own_share
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.errors import PartError
from lit_entropy.step.rollout import Rollout
from lit_entropy.types import Experience


class Recorder(RolloutCallback):
    def __init__(self) -> None:
        self.seen: list[tuple[Rollout, Ranks, bool, list[str]]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.module: Any = pl_module

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        assert rollout is self.module.rollout
        self.seen.append((rollout, ranks, torch.is_grad_enabled(), list(self.module.timed)))
        return {"recorder/step": float(rollout.rl_step)} if rollout.rl_step != 2 else {}

    def on_updated(self) -> dict[str, float]:
        assert not torch.is_grad_enabled()
        return {"recorder/updated": 10.0 * len(self.seen)}


def test_called_once_a_step_timed_and_without_gradients(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience]
) -> None:
    experiences = [make_experience(seed=seed) for seed in range(3)]
    recorder = Recorder()
    rows = run_rollouts([recorder], experiences, 4)
    assert [rollout.rl_step for rollout, *_ in recorder.seen] == [1, 2, 3]
    assert all(rollout.group_size == 4 for rollout, *_ in recorder.seen)
    for (rollout, *_), given in zip(recorder.seen, experiences, strict=True):
        seen = rollout.experience.tensors()
        assert all(seen[name] is tensor for name, tensor in given.tensors().items())
    assert all(ranks == Ranks() for _, ranks, *_ in recorder.seen)
    assert not any(gradients for *_, gradients, _ in recorder.seen)
    # at the third rollout: three rollouts, and the ends of two RL steps
    assert recorder.seen[-1][-1] == ["diagnostics"] * 5
    # what comes back is logged, in the row of the RL step; nothing where nothing came back
    assert [row.get("recorder/step") for row in rows] == [1, None, 3]
    assert [row["recorder/updated"] for row in rows] == [10, 20, 30]


class Stops(RolloutCallback):
    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        return {}

    def on_updated(self) -> dict[str, float]:
        return {"stops/next": next(iter([]))}


def test_a_stop_of_a_loop_after_the_updates_names_the_callback(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience]
) -> None:
    with pytest.raises(PartError, match=r"Stops\.on_updated raised StopIteration"):
        run_rollouts([Stops()], [make_experience()], 4)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_ranks_share_the_prompts(
    make_experience: Callable[..., Experience], world_size: int
) -> None:
    rollout = rollout_of(make_experience(P=5, G=3), 3)
    shares = []
    for rank in range(world_size):
        ranks = Ranks(rank, world_size)
        rows = own_rows(rollout, ranks).tolist()
        assert {row // 3 % world_size for row in rows} <= {rank}
        ids_B = own_share(rollout, ranks).prompt_ids_B
        assert ids_B.tolist() == [100 + row // 3 for row in rows]
        shares += rows
    assert sorted(shares) == list(range(15))


@pytest.mark.parametrize("prompts", [1, 3])
def test_two_processes_log_what_one_logs(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience], prompts: int
) -> None:
    # three prompts on two ranks: unequal shares, and bins that only one rank sees; one prompt: the
    # second rank has no rows
    experiences = [
        make_experience(P=prompts, G=4, seed=seed, filter_groups=prompts > 1) for seed in range(5)
    ]

    def run(**options: Any) -> list[dict[str, float]]:
        callbacks = [EntropyMonitor(), CovarianceMonitor(), EntropyDelta(0)]
        return run_rollouts(callbacks, experiences, 4, **options)

    one = run()
    two = run(devices=2, strategy="ddp_fork")
    assert [set(row) for row in two] == [set(row) for row in one]
    for left, right in zip(one, two, strict=True):
        # float64 sums in another order, then logged as float32
        assert right == pytest.approx(left, rel=2e-7, abs=1e-12)
        assert all(math.isfinite(value) for value in left.values())
    assert len(one) == 5
