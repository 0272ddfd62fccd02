"""The hook of rollout callbacks, and the split of their work over ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from lit_entropy.callbacks import CovarianceMonitor, EntropyDelta, EntropyMonitor
from lit_entropy.callbacks.base import RolloutCallback, own_rows
from lit_entropy.types import Experience


class Recorder(RolloutCallback):
    def __init__(self) -> None:
        self.seen: list[tuple[int, Experience, bool, list[str]]] = []

    def on_rollout(self, trainer: Trainer, module: LightningModule, experience: Experience) -> None:
        timed = list(module.timed)  # type: ignore[arg-type]
        self.seen.append((trainer.current_epoch, experience, torch.is_grad_enabled(), timed))
        self.record(module, {"recorder/step": float(trainer.current_epoch)})


def test_called_once_a_step_timed_and_without_gradients(
    run_rollouts: Callable[..., Any], make_experience: Callable[..., Experience]
) -> None:
    experiences = [make_experience(seed=seed) for seed in range(3)]
    recorder = Recorder()
    rows = run_rollouts([recorder], experiences, 4)
    assert [step for step, *_ in recorder.seen] == [0, 1, 2]
    assert all(
        seen is given for (_, seen, *_), given in zip(recorder.seen, experiences, strict=True)
    )
    assert not any(gradients for _, _, gradients, _ in recorder.seen)
    assert recorder.seen[-1][-1] == ["diagnostics"] * 3
    assert [row["recorder/step"] for row in rows] == [0, 1, 2]


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_ranks_share_the_prompts(world_size: int) -> None:
    class Rank:
        pass

    shares = []
    for rank in range(world_size):
        trainer: Any = Rank()
        trainer.world_size, trainer.global_rank = world_size, rank
        rows = own_rows(trainer, 5 * 3, 3).tolist()
        assert {row // 3 % world_size for row in rows} <= {rank}
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
        callbacks = [EntropyMonitor(), CovarianceMonitor(), EntropyDelta()]
        return run_rollouts(callbacks, experiences, 4, **options)

    one = run()
    two = run(devices=2, strategy="ddp_fork")
    assert [set(row) for row in two] == [set(row) for row in one]
    for left, right in zip(one, two, strict=True):
        # float64 sums in another order, then logged as float32
        assert right == pytest.approx(left, rel=2e-7, abs=1e-12)
        assert all(math.isfinite(value) for value in left.values())
    assert len(one) == 5
