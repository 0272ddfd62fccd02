"""PRIME in a run: its second policy, checkpoints, microbatches, ranks, precision and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import ALONE, CONFIGS, SMALL, experience_of, fit, metrics
from shared_launch import ONE_STEP, Launched

from lit_entropy.advantages import PRIME, AdvantageEstimator
from lit_entropy.advantages.base import TokenContext
from lit_entropy.cli.main import EntropyCLI, main
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.types import Problem

NAME = "prime-seed0"
EXPERIMENT = ["--config", str(CONFIGS / "experiment" / "prime.yaml")]
KEYS = {f"prime/{key}" for key in ("loss", "accuracy", "auc", "pair_accuracy", "process_reward")}


def prime(folder: Path, *arguments: str) -> EntropyCLI:
    """A small run of the experiment."""
    return fit(folder, *EXPERIMENT, f"--run.name={NAME}", *arguments, config="base.yaml")


def checkpoint(folder: Path) -> dict[str, Any]:
    path = folder / NAME / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Nested state, flat."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)  # type: ignore[assignment]
    else:
        return {name: value}
    return {k: v for key, item in items for k, v in leaves(item, f"{name}.{key}").items()}


def assert_same(actual: Any, expected: Any) -> None:
    ours, theirs = leaves(actual), leaves(expected)
    assert ours.keys() == theirs.keys() and len(theirs) > 0
    for name, value in theirs.items():
        same = torch.equal(ours[name], value) if torch.is_tensor(value) else ours[name] == value
        assert same, name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EntropyCLI]:
    """Two RL steps with the group filter."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("prime")
    return folder, prime(folder, "--data.group_filter=resample", "--trainer.max_epochs=2")


def test_the_second_policy_learns_apart_from_the_first(run: tuple[Path, EntropyCLI]) -> None:
    folder, cli = run
    state = checkpoint(folder)
    base = type(cli.model.policy)("chain-s").state_dict()
    learned = state["advantage"]["model"]
    assert learned.keys() == base.keys()
    moved = {name for name in base if not torch.equal(learned[name], base[name])}
    assert len(moved) > len(base) / 2
    trained = {name.removeprefix("policy."): value for name, value in state["state_dict"].items()}
    assert trained.keys() == base.keys()  # neither PRM nor reference
    assert not any(torch.equal(trained[name], learned[name]) for name in moved)
    count = len(state["optimizer_states"][0]["state"])
    assert count == len(list(cli.model.policy.parameters()))
    steps = {int(value["step"]) for value in state["advantage"]["optimizer"]["state"].values()}
    assert steps == {4}  # two minibatches of 16 in each of two RL steps


def test_the_metrics_of_the_model_are_logged(run: tuple[Path, EntropyCLI]) -> None:
    rows = metrics(run[0], NAME)
    for key in KEYS:
        assert np.isfinite(rows[key][1:]).all() and len(rows[key]) == 3, key
    for key in ("prime/accuracy", "prime/auc", "prime/pair_accuracy"):
        assert (rows[key][1:] >= 0).all() and (rows[key][1:] <= 1).all()
    assert rows["prime/loss"][1] == pytest.approx(np.log(2), abs=0.05)  # it starts at the reference
    assert (rows["time/advantage"][1:] > 0).all()


def test_advantages_differ_within_a_response(run: tuple[Path, EntropyCLI]) -> None:
    experience = experience_of(run[1])
    advantages_BT, mask_BT = experience.advantages_BT, experience.response_mask_BT
    assert not advantages_BT[~mask_BT].any()
    long = mask_BT[:, 2]
    assert (advantages_BT[long, 0] != advantages_BT[long, 1]).float().mean() > 0.9


def test_a_resumed_run_is_the_same_bit_for_bit(
    tmp_path: Path, run: tuple[Path, EntropyCLI]
) -> None:
    prime(tmp_path, "--data.group_filter=resample", "--trainer.max_epochs=1")
    more = ["--trainer.max_epochs=2", "--ckpt_path=last"]
    prime(tmp_path, "--data.group_filter=resample", *more)
    ours, theirs = checkpoint(tmp_path), checkpoint(run[0])
    for part in ("state_dict", "optimizer_states", "advantage"):
        assert_same(ours[part], theirs[part])
    rows, expected = metrics(tmp_path, NAME), metrics(run[0], NAME)
    keys = {key for key in expected if not key.startswith("time/")}
    assert keys >= KEYS and keys == {key for key in rows if not key.startswith("time/")}
    for key in keys:
        np.testing.assert_array_equal(rows[key], expected[key], err_msg=key)


def test_a_checkpoint_is_evaluated_without_the_second_policy(
    tmp_path: Path, run: tuple[Path, EntropyCLI]
) -> None:
    """By a configuration of another advantage, and to the score of the run."""
    last = run[0] / NAME / "checkpoints" / "last.ckpt"
    config = ["--config", str(CONFIGS / "base.yaml"), *SMALL]
    main(["validate", *config, f"--run.folder={tmp_path}", f"--ckpt_path={last}"])
    (folder,) = tmp_path.iterdir()
    expected = metrics(run[0], NAME)["val/accuracy"][-1]
    assert metrics(tmp_path, folder.name)["val/accuracy"][-1] == expected


def test_microbatches_change_only_the_rounding(tmp_path: Path) -> None:
    one_step = ["--trainer.max_epochs=1", *ALONE]
    whole = prime(tmp_path / "1", *one_step)
    parts = prime(tmp_path / "4", *one_step, "--trainer.accumulate_grad_batches=4")
    expected, actual = experience_of(whole), experience_of(parts)
    assert torch.equal(actual.tokens_BT, expected.tokens_BT)
    assert_close_advantages(actual.advantages_BT, expected.advantages_BT)


def assert_close_advantages(actual: torch.Tensor, expected: torch.Tensor) -> None:
    # Adam's first steps are sign-like: a rounding difference may move a weight by part of lr
    assert (expected[:, 0] != expected[:, 1]).any()
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=5e-4)


@pytest.mark.timeout(1000)
def test_two_ranks_give_the_rewards_of_one(tmp_path: Path, on_two_ranks: Launched) -> None:
    prime(tmp_path, *ONE_STEP)
    folders = tmp_path, on_two_ranks.folder("prime")
    one, two = (metrics(folder, NAME) for folder in folders)
    for key in KEYS - {"prime/auc", "prime/pair_accuracy"}:
        np.testing.assert_allclose(two[key], one[key], rtol=5e-3, atol=2e-4, err_msg=key)
    for key in ("prime/auc", "prime/pair_accuracy"):  # equal logits may swap
        np.testing.assert_allclose(two[key], one[key], atol=0.03, err_msg=key)
    assert one["prime/process_reward"][-1] != 0
    states = [checkpoint(folder)["advantage"]["model"] for folder in folders]
    for name, expected in states[0].items():
        torch.testing.assert_close(states[1][name], expected, rtol=1e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_precision(tmp_path: Path, precision: str) -> None:
    prime(tmp_path, f"--trainer.precision={precision}", "--trainer.max_epochs=1", *ALONE)
    assert metrics(tmp_path, NAME)["prime/loss"][-1] == pytest.approx(np.log(2), abs=0.1)


class Signed(ChainArithmetic):
    """Rewards of one sign for right and the other for wrong responses."""

    def reward(self, problem: Problem, response: str) -> float:
        return 2 * super().reward(problem, response) - 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--data.group_size=1", "data.group_size=1, but PRIME compares the responses"),
        ("--data.task=test_prime_training.Signed", r"gave the reward -1\.0"),
        ("--model.advantage.init_args.beta=-1", r"beta=-1"),
    ],
)
def test_bad_arguments(tmp_path: Path, argument: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prime(tmp_path, argument, "--data.minibatch_size=8", "--data.group_filter=none")


class Hooked(AdvantageEstimator):
    """Notes the calls of the hooks, and halves the advantages a token."""

    calls: list[Any] = []  # noqa: RUF012  one run a test, cleared there

    def __call__(self, rewards_PG: torch.Tensor) -> torch.Tensor:
        Hooked.calls.append("estimate")
        return rewards_PG - 0.5

    def on_rollout(self, seed: int, rl_step: int) -> None:
        Hooked.calls.append((seed, rl_step))

    def token_advantages(self, advantages_PG: torch.Tensor, rollout: TokenContext) -> torch.Tensor:
        Hooked.calls.append("tokens")
        assert rollout.experience.reference_logprobs_BT is None
        return super().token_advantages(advantages_PG, rollout) / 2

    def metrics(self) -> dict[str, float]:
        return {"mine/calls": float(len(Hooked.calls)), "plain": 2.0}


def test_hooks_of_an_estimator(tmp_path: Path) -> None:
    Hooked.calls.clear()
    arguments = ["--model.advantage=test_prime_training.Hooked", "--seed_everything=3"]
    arguments.append("--run.name=base-seed${seed_everything}")
    cli = fit(tmp_path, *arguments, config="base.yaml")
    assert Hooked.calls == [(3, 1), "estimate", "tokens", (3, 2), "estimate", "tokens"]
    experience = experience_of(cli)
    expected = (experience.rewards_B - 0.5)[:, None] / 2 * experience.response_mask_BT
    assert torch.equal(experience.advantages_BT, expected)
    rows = metrics(tmp_path, "base-seed3")
    assert rows["mine/calls"][1:].tolist() == [3.0, 6.0]
    assert rows["rollout/plain"][1:].tolist() == [2.0, 2.0]
    path = tmp_path / "base-seed3" / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True)["advantage"] == {}


def test_a_non_finite_model_stops_the_run(tmp_path: Path) -> None:
    """Weights that grow 1e12 times with each update, named as the model's log-probs."""
    from lit_entropy.errors import NonFiniteError

    optimizer = "--model.advantage.init_args.optimizer.init_args"
    largest = [f"{optimizer}.lr=1e6", f"{optimizer}.weight_decay=1e6"]
    with pytest.raises(NonFiniteError, match="log-probs of the implicit process reward model"):
        prime(tmp_path, *largest)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_defaults_are_those_of_the_preset(tmp_path: Path) -> None:
    preset = ["--model.advantage", str(CONFIGS / "advantage" / "prime.yaml")]
    one_step = ["--trainer.max_epochs=1", *ALONE]
    cli = fit(tmp_path, *preset, *one_step, config="base.yaml")
    chosen, default = cli.model.advantage, PRIME()
    default.attach(type(cli.model.policy)("chain-s"))
    for name in ("beta", "gamma", "gradient_clip_val", "scale_to_largest_return"):
        assert getattr(chosen, name) == getattr(default, name)
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        for group in (
            estimator.state_dict()["optimizer"]["param_groups"][0]
            for estimator in (chosen, default)
        )
    ]
    assert groups[0] == groups[1] and groups[0]["lr"] == 1e-6
