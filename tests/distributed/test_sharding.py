"""FSDP2 in two gloo processes against one process: results, resumes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rank_equality import NAME, assert_same_run, state
from runs import fit, metrics
from shared_launch import FSDP2, FSDP2_PARTS, HALVES, TINY, Launched, last, loss_option, steps
from torch import nn
from two_ranks import arguments, launch, run

from lit_entropy.callbacks import UpdateAnatomy
from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.distributed.sharding import (
    data_parallel_mesh,
    shard,
    transformer_layers,
    whole_parameters,
)
from lit_entropy.policy.policy import Policy

pytestmark = pytest.mark.timeout(1000)

#: On the larger base, whose responses give the band more tokens than the quota.
CLIP_COV = ["--model.loss=recording_losses.RecordingClipCov", "--model.policy.model=chain-s"]
LORA = ["--model.policy.lora.rank=2", "--model.optimizer.lr=1e-2"]
PRIME = ["--model.advantage=PRIME", "--model.advantage.optimizer.lr=1e-3"]


THIRD = ["--trainer.max_epochs=3"]


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """Other algorithms and precisions, distributed checkpoints, and other strategies' ones."""
    folder = tmp_path_factory.mktemp("fsdp2")
    fit(folder / "one", *TINY, *steps(2))  # one process, taken up by two ranks
    parts = "--trainer.strategy.save_distributed_checkpoint=true"
    fit(folder / "adapters of one", *TINY, *LORA)
    began = ("one", "adapters of one", "parts", "three")
    again = {name: f"--ckpt_path={last(folder / name)}" for name in began}
    runs = {
        "RecordingClipCov": arguments(
            folder / "RecordingClipCov", *FSDP2_PARTS, *CLIP_COV, *FSDP2, HALVES
        ),
        "prime": arguments(folder / "prime", *TINY, *PRIME, *FSDP2),
        "lora": arguments(folder / "lora", *TINY, *FSDP2, *LORA),
        "adapters of one": arguments(
            folder, *TINY, *FSDP2, *LORA, *THIRD, again["adapters of one"]
        ),
        "bf16": arguments(folder / "bf16", *TINY, *FSDP2, "--trainer.precision=bf16-mixed"),
        "three": arguments(folder / "three", *TINY, *FSDP2, *steps(3)),
        "parts": arguments(folder / "parts", *TINY, *FSDP2, *steps(2), parts),
        "parts again": arguments(folder, *TINY, *FSDP2, *steps(3), parts, again["parts"]),
        "one": arguments(folder, *TINY, *FSDP2, *steps(3), again["one"]),
        "validate": arguments(folder, *TINY, *FSDP2, again["three"], command="validate"),
    }
    results = launch(folder, list(runs.values()), timeout=900)
    by_name = {name: [rank[index] for rank in results] for index, name in enumerate(runs)}
    return Launched(folder, by_name)


def check_equality(one: Path, two: Launched, name: str, *options: str) -> None:
    expected = run(arguments(one, *FSDP2_PARTS, *options))
    assert_same_run(one, expected, two.folder(name), two.results[name])
    for rank in two.results[name]:
        assert rank["sharded"] > 0 and expected["sharded"] == 0
        assert abs(rank["held"] - expected["held"] / 2) < 0.05 * expected["held"]  # whole rows
    assert sum(rank["held"] for rank in two.results[name]) == expected["held"]


def test_two_ranks_equal_one_and_resume(tmp_path: Path, on_two_ranks: Launched) -> None:
    check_equality(tmp_path, on_two_ranks, "sharded", loss_option("RecordingKLCov"))
    check_resume(on_two_ranks, "resumed")


@pytest.mark.slow
def test_two_ranks_equal_one_with_another_loss(tmp_path: Path, more: Launched) -> None:
    check_equality(tmp_path, more, "RecordingClipCov", *CLIP_COV)


def assert_same_state(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys() and len(one) > 10
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def assert_same_rows(one: Path, other: Path, rows: int) -> None:
    expected, found = metrics(one), metrics(other)
    assert len(expected["step"]) == len(found["step"]) == rows
    for key in expected.keys() - {key for key in expected if key.startswith("time/")}:
        torch.testing.assert_close(
            torch.tensor(found[key]), torch.tensor(expected[key]),
            rtol=0, atol=0, equal_nan=True, msg=key,
        )  # fmt: skip


def check_resume(two: Launched, name: str) -> None:
    """Two RL steps and a resume have given the bits of three."""
    straight = torch.load(last(two.folder("three")), weights_only=True)
    checkpoint = AtomicCheckpointIO().load_checkpoint(last(two.folder(name)))
    assert checkpoint["rl_steps"] == straight["rl_steps"] == 3
    assert_same_state(checkpoint["state_dict"], straight["state_dict"])
    (ours,), (theirs,) = checkpoint["optimizer_states"], straight["optimizer_states"]
    for group, expected in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert group | {"betas": list(group["betas"])} == expected | {"betas": [0.9, 0.999]}
    assert ours["state"].keys() == theirs["state"].keys() and len(ours["state"]) > 10
    for number, moments in theirs["state"].items():
        assert moments.keys() == {"step", "exp_avg", "exp_avg_sq"}
        for key, value in moments.items():
            assert torch.equal(ours["state"][number][key], value), (number, key)
    assert_same_rows(two.folder("three"), two.folder(name), 3)


@pytest.mark.slow
def test_a_resume_from_a_folder_is_exact(more: Launched) -> None:
    assert Path(last(more.folder("parts"))).is_dir()
    check_resume(more, "parts")


@pytest.mark.slow
def test_one_process_continues_what_two_began(more: Launched) -> None:
    """From the file and from the folder to the same bits, since they hold the same bits."""
    for name in ("three", "parts"):
        fit(more.folder(name), *TINY, *steps(4), f"--ckpt_path={last(more.folder(name))}")
        assert metrics(more.folder(name))["step"].tolist() == [1, 2, 3, 4]
    assert_same_state(state(more.folder("three")), state(more.folder("parts")))


@pytest.mark.slow
def test_two_continue_what_one_process_began(tmp_path: Path, more: Launched) -> None:
    fit(tmp_path, *TINY, *steps(3))
    expected, found = metrics(tmp_path), metrics(more.folder("one"))
    assert found["step"].tolist() == [1, 2, 3]
    assert found["rollout/reward"].tolist() == expected["rollout/reward"].tolist()
    for name, value in state(tmp_path).items():
        torch.testing.assert_close(
            state(more.folder("one"))[name], value, rtol=1e-3, atol=5e-5, msg=name
        )


@pytest.mark.slow
def test_the_implicit_reward_model_is_trained_as_by_one(tmp_path: Path, more: Launched) -> None:
    """PRIME holds its own policy whole on every rank; its reference is sharded."""
    run(arguments(tmp_path, *TINY, *PRIME))
    expected, found = metrics(tmp_path), metrics(more.folder("prime"))
    keys = [key for key in expected if key.startswith("prime/")]
    assert len(keys) == 5 and (expected["prime/process_reward"] != 0).any()
    for key in [*keys, "rollout/reward", "policy/grad_norm"]:
        torch.testing.assert_close(
            torch.tensor(found[key]), torch.tensor(expected[key]), rtol=2e-3, atol=2e-5, msg=key
        )
    models = [
        torch.load(last(folder), weights_only=True)["advantage"]["model"]
        for folder in (tmp_path, more.folder("prime"))
    ]
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
def test_mixed_precision_keeps_float32_shards(more: Launched) -> None:
    base = Policy("chain-xs").state_dict()
    rows, exact = metrics(more.folder("bf16")), metrics(more.folder("three"))
    # bfloat16 has 8 bits: log-probs of a nat or so differ in the third digit
    assert 1e-5 < rows["policy/sampler_gap"][0] < 0.05
    # after the same two RL steps: other tokens are sampled where a draw falls between the two
    # roundings. Measured 0.74, 0.72 and 0.49 % for the seeds 0, 1 and 2; the bound is twice that
    assert rows["step"][-1] == exact["step"][1] == 2
    assert rows["val/entropy"][-1] == pytest.approx(exact["val/entropy"][1], rel=0.015)
    for name, value in base.items():
        trained = state(more.folder("bf16"))[f"policy.{name}"]
        assert trained.dtype == torch.float32
        moved = (trained - value).abs().max()
        assert 0 < moved < 0.01
        # updates of 2e-4 survive: they are not rounded to bfloat16
        assert not torch.equal(trained, trained.bfloat16().float())


@pytest.mark.slow
def test_validation_of_a_sharded_policy(more: Launched) -> None:
    values = metrics(more.folder("three").parent, f"{NAME}-validate")
    assert values["val/accuracy"][-1] == metrics(more.folder("three"))["val/accuracy"][2]


@pytest.mark.slow
def test_adapters_are_trained_as_by_one(tmp_path: Path, more: Launched) -> None:
    """Frozen and trained weights share groups, and each takes up what the other began."""
    fit(tmp_path, *TINY, *LORA)
    check_adapters(tmp_path, more.folder("lora"))
    for folder in (tmp_path, more.folder("lora")):
        fit(folder, *TINY, *LORA, *THIRD, f"--ckpt_path={last(folder)}")
        assert metrics(folder)["step"].tolist() == [1, 2, 3]
        check_adapters(folder, more.folder("adapters of one"))


def check_adapters(one: Path, two: Path) -> None:
    expected, found = state(one), state(two)
    trained = [name for name in expected if "lora_B" in name]
    assert trained and all(expected[name].abs().max() > 1e-3 for name in trained)
    for name, value in expected.items():
        # learning rate 1e-2: Adam's sign-like first steps carry a rounding difference further
        torch.testing.assert_close(found[name], value, rtol=1e-2, atol=2e-3, msg=name)


# ------------------------------------------------------------------ without ranks


def test_a_policy_that_is_not_sharded_is_left_alone() -> None:
    policy = Policy("chain-xs")
    before = dict(policy.named_parameters())
    with whole_parameters(policy), whole_parameters(policy):
        assert all(value is before[name] for name, value in policy.named_parameters())


def test_layers_are_those_that_transformers_names() -> None:
    policy = Policy("chain-xs")
    names = [type(layer).__name__ for layer in transformer_layers(policy)]
    assert names == ["Qwen2DecoderLayer"] * policy.model.config.num_hidden_layers
    with pytest.raises(ValueError, match=r"Linear does not name .* trainer.strategy to ddp"):
        transformer_layers(nn.Linear(2, 2))


def test_what_cannot_be_sharded_is_refused() -> None:
    mesh: Any = {"tensor_parallel": SimpleNamespace(size=lambda: 2)}
    with pytest.raises(ValueError, match=r"tensor_parallel_size=2: .* set it to 1"):
        data_parallel_mesh(mesh)
    with pytest.raises(ValueError, match=r"trainer.precision=16-true .*bf16-mixed"):
        shard(Policy("chain-xs"), mesh, "16-true")
    with pytest.raises(ValueError, match=r"UpdateAnatomy copies .* trainer.strategy to ddp"):
        UpdateAnatomy().setup(Any, SimpleNamespace(device_mesh=mesh), "fit")  # type: ignore[arg-type]
