"""The FSDP2 strategy's own parts: optimizer states by name, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import FSDPStrategy, SingleDeviceStrategy
from torch import nn

from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.distributed.strategy import (
    FullySharded,
    by_name,
    check_all_sharded,
    check_strategy,
)


def test_states_follow_the_optimizers_order_not_the_models() -> None:
    """Frozen parameters have no number: number 0 is the first one that is trained."""
    model = nn.ModuleDict({"frozen": nn.Linear(2, 2), "trained": nn.Linear(2, 3)})
    model["frozen"].requires_grad_(False)
    optimizer = torch.optim.AdamW(model["trained"].parameters(), lr=0.1)
    model["trained"](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    names: dict[Any, str] = {value: name for name, value in model.named_parameters()}
    named = by_name(state, optimizer, names)
    assert named["param_groups"][0]["params"] == ["trained.weight", "trained.bias"]
    assert named["param_groups"][0]["lr"] == 0.1
    assert named["state"]["trained.weight"]["exp_avg"].shape == (3, 2)
    assert state["param_groups"][0]["params"] == [0, 1]  # the given state is left alone
    state["param_groups"][0]["params"] = [0]
    with pytest.raises(
        ValueError, match=r"optimizer has 1 parameters, this one 2: .*model\.policy"
    ):
        by_name(state, optimizer, names)


def test_every_rank_is_data_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = FullySharded()
    assert strategy._save_distributed_checkpoint is False
    assert FullySharded(save_distributed_checkpoint=True)._save_distributed_checkpoint is True
    strategy.parallel_devices = [torch.device("cpu")] * 4
    strategy.num_nodes = 3
    base = "lightning.pytorch.strategies.ModelParallelStrategy.setup_environment"
    monkeypatch.setattr(base, lambda self: None)  # it would wait for eleven other processes
    strategy.setup_environment()
    assert (strategy._data_parallel_size, strategy._tensor_parallel_size) == (12, 1)


def test_a_file_replaces_a_folder_only_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a run that began with distributed checkpoints goes on without; the disk is full."""
    folder = tmp_path / "last.ckpt"
    folder.mkdir()
    (folder / "meta.pt").write_bytes(b"old")  # what makes it a checkpoint folder
    strategy = FullySharded()
    strategy.checkpoint_io = AtomicCheckpointIO()
    monkeypatch.setattr(FullySharded, "broadcast", lambda self, value: value)
    monkeypatch.setattr(FullySharded, "is_global_zero", property(lambda self: True))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            strategy.save_checkpoint({"state_dict": {}}, folder)
    assert (folder / "meta.pt").read_bytes() == b"old"
    strategy.save_checkpoint({"state_dict": {}}, folder)
    assert folder.is_file() and list(tmp_path.iterdir()) == [folder]


def test_other_sharding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trainer.strategy=FSDPStrategy .*FullySharded"):
        check_strategy(FSDPStrategy())
    check_strategy(SingleDeviceStrategy())


def test_a_parameter_outside_the_policy_is_refused() -> None:
    module = nn.ModuleDict({"loss": nn.Linear(1, 1, bias=False)})
    with pytest.raises(ValueError, match=r"\['loss.weight'\] are trained beside the policy"):
        check_all_sharded(module.named_parameters())
    module.requires_grad_(False)
    check_all_sharded(module.named_parameters())
