"""UpdateAnatomy on real runs: replays are the run, and the run is not disturbed."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from runs import fit, metrics

from lit_entropy.callbacks import RolloutCallback, UpdateAnatomy
from lit_entropy.callbacks.counterfactual import Counterfactual, Updates
from lit_entropy.callbacks.update_anatomy import gradient_clipping
from lit_entropy.distributed.ranks import Ranks
from lit_entropy.module import EntropyModule
from lit_entropy.step.rollout import Rollout

NAME = "quickstart-seed0"
QUICK = [
    "--model.evaluation.samples=0",
    "--model.evaluation.pass_k=[]",
    "--model.optimizer.lr=1e-3",
]
ANATOMY = [
    "--trainer.callbacks+=lit_entropy.callbacks.UpdateAnatomy",
    "--trainer.callbacks.every=2",
    "--trainer.callbacks.probe_prompts=5",
]
VARIANTS = ("actual", "unclipped", "one_step", "one_step_raw", "sgd")


def checkpoint(folder: Path) -> dict[str, Any]:
    return torch.load(folder / NAME / "checkpoints" / "last.ckpt", weights_only=True)


class Replay(RolloutCallback):
    """Trains a copy with the module's own loss and compares it with the run."""

    compared = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, EntropyModule)
        self.module, self.plan = pl_module, pl_module.data.plan
        clip, algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
        clipping = gradient_clipping(trainer.precision_plugin, clip, algorithm)
        self.updates = Updates(pl_module.regularizers, trainer.optimizers[0], clipping)

    def on_rollout(self, rollout: Rollout, ranks: Ranks) -> dict[str, float]:
        loss = copy.deepcopy(self.module.loss)
        self.copy = Counterfactual(self.module.sampler, self.updates, loss)
        minibatches = self.plan.minibatches(rollout.train_rows, rollout.rl_step, 0)
        size = self.plan.minibatch_size // self.plan.microbatches
        self.copy.train(rollout.experience, minibatches, size)
        return {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        ours = dict(self.copy.policy.named_parameters())
        policy: Any = pl_module.policy
        for name, value in policy.named_parameters():
            torch.testing.assert_close(ours[name], value, rtol=0, atol=0)
        Replay.compared += 1


@pytest.mark.parametrize("clip", ["1.0", "null"])
def test_a_replay_with_the_runs_own_loss_is_the_run(tmp_path: Path, clip: str) -> None:
    Replay.compared = 0
    arguments = [f"--trainer.callbacks+={__name__}.Replay", f"--trainer.gradient_clip_val={clip}"]
    arguments += ["--model.regularizers+=lit_entropy.regularizers.EntropyBonus"]
    fit(tmp_path, *QUICK, *arguments, "--trainer.max_epochs=2")
    assert Replay.compared == 2


def test_another_fit_has_states_of_its_own() -> None:
    data = SimpleNamespace(
        validation_problems=[],
        source=SimpleNamespace(encode=None),
        plan=SimpleNamespace(seed=0),
    )
    trainer: Any = SimpleNamespace(
        current_epoch=3,
        datamodule=data,
        optimizers=[None],
        precision_plugin=None,
        gradient_clip_val=None,
        gradient_clip_algorithm=None,
    )
    module: Any = SimpleNamespace(sampler=None, regularizers=None)
    callback = UpdateAnatomy()
    callback.load_state_dict({"probe": {"tokens_BT": torch.ones(1, 2)}})
    callback.on_train_start(trainer, module)  # a resume
    assert callback.state_dict()["probe"]["tokens_BT"].tolist() == [[1.0, 1.0]]
    trainer.current_epoch = 0
    callback.on_train_start(trainer, module)
    assert callback.state_dict()["probe"] == {}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three RL steps, of which the first and the third are taken apart."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    fit(folder, *QUICK, *ANATOMY, "--trainer.max_epochs=3")
    return folder


def test_training_is_not_disturbed_and_the_parts_add_up(tmp_path: Path, whole: Path) -> None:
    fit(tmp_path, *QUICK, "--trainer.max_epochs=3")
    ours, plain = checkpoint(whole), checkpoint(tmp_path)
    for name, tensor in plain["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], tensor), name
    for index, state in plain["optimizer_states"][0]["state"].items():
        for name, tensor in state.items():
            assert torch.equal(ours["optimizer_states"][0]["state"][index][name], tensor)
    columns, expected = metrics(whole), metrics(tmp_path)
    for key in expected:
        if not key.startswith("time/"):
            np.testing.assert_array_equal(columns[key], expected[key], err_msg=key)
    of = {
        key.removeprefix("dynamics/anatomy/"): column
        for key, column in columns.items()
        if key.startswith("dynamics/anatomy/")
    }
    assert set(of) == {*VARIANTS, "optimizer", "updates", "clipping", "norm"}
    measured = ~np.isnan(of["actual"])
    assert columns["step"][measured].tolist() == [1, 3]
    total = of["sgd"] + of["optimizer"] + of["updates"] + of["clipping"]
    np.testing.assert_allclose(total[measured], of["actual"][measured], rtol=0, atol=1e-15)
    for name in VARIANTS:
        assert np.abs(of[name][measured]).min() > 0, name
    assert np.abs(of["clipping"][measured]).max() > 0  # at this rate PPO clips


def test_one_sgd_update_without_clip_is_every_variant(tmp_path: Path) -> None:
    """With one plain SGD update per rollout nothing is added: all variants are the same step."""
    arguments = ["--data.minibatch_size=32", "--trainer.gradient_clip_val=null"]
    arguments += ["--model.loss=lit_entropy.losses.PolicyGradient"]
    arguments += ["--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=0.01"]
    fit(tmp_path, *QUICK[:2], *arguments, *ANATOMY, "--trainer.max_epochs=1")
    columns = metrics(tmp_path)
    actual = columns["dynamics/anatomy/actual"][-1]
    assert abs(actual) > 1e-5
    for name in VARIANTS:
        # float32 rounding of parameters and of the rescaling
        assert columns[f"dynamics/anatomy/{name}"][-1] == pytest.approx(actual, rel=1e-3), name


def test_resume_keeps_the_states(tmp_path: Path, whole: Path) -> None:
    fit(tmp_path, *QUICK, *ANATOMY, "--trainer.max_epochs=2")
    fit(tmp_path, *QUICK, *ANATOMY, "--trainer.max_epochs=3", "--ckpt_path=last")
    expected, resumed = metrics(whole), metrics(tmp_path)
    for name in VARIANTS:
        key = f"dynamics/anatomy/{name}"
        np.testing.assert_array_equal(resumed[key], expected[key], err_msg=key)


def test_bad_arguments_are_refused() -> None:
    for name in ("every", "probe_prompts"):
        with pytest.raises(ValueError, match=rf"UpdateAnatomy.{name}=0 must be at least 1"):
            UpdateAnatomy(**{name: 0})
