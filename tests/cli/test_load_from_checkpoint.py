"""``EntropyModule.load_from_checkpoint`` builds what the configuration inside says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from runs import ALONE, CONFIGS, fit, weights

from lit_entropy import EntropyModule
from lit_entropy.checkpoints.build import configuration_in, module_arguments
from lit_entropy.errors import CheckpointError
from lit_entropy.losses import ClipCov, KLCov


@pytest.mark.parametrize(
    "flags",
    [
        [f"--model.loss={CONFIGS}/loss/clip_cov_tiny.yaml", "--model.temperature=0.9"],
        [f"--model.advantage={CONFIGS}/advantage/prime.yaml", "--model.max_new_tokens=20"],
        ["--model.policy.lora.rank=2"],
        ["--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=3",
         f"--model.regularizers+={CONFIGS}/regularizer/reference_kl.yaml"],
    ],
)  # fmt: skip
def test_it_is_the_module_of_the_run(tmp_path: Path, flags: list[str]) -> None:
    cli = fit(tmp_path, *ALONE, "--trainer.max_epochs=1", *flags)
    path = tmp_path / "quickstart-seed0" / "checkpoints" / "last.ckpt"
    module = EntropyModule.load_from_checkpoint(path)
    assert module.rl_step == 1 and module.temperature == cli.model.temperature
    expected = weights(cli)
    assert module.state_dict().keys() == expected.keys()
    for name, value in module.state_dict().items():
        assert torch.equal(value, expected[name]), name
    for part in ("loss", "advantage", "engine", "evaluation"):
        own, other = getattr(module, part), getattr(cli.model, part)
        assert type(own) is type(other)
        plain = (int, float, str, tuple, dict, type(None))
        for name, value in vars(other).items():
            if isinstance(value, plain) and not name.startswith("_"):
                assert getattr(own, name) == value, (part, name)
    rate = module.optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"]
    assert rate == 2e-4
    replaced = EntropyModule.load_from_checkpoint(path, loss=KLCov(fraction=0.5))
    assert isinstance(replaced.loss, KLCov) and replaced.loss.fraction == 0.5
    if "clip_cov" in flags[0]:
        assert isinstance(module.loss, ClipCov) and isinstance(module.loss.bounds, tuple)


def test_a_checkpoint_imports_no_code() -> None:
    config = {"loss": {"class_path": "antigravity.X"}, "optimizer": {"class_path": "this.Y"}}
    with pytest.raises(CheckpointError, match=r"^c\.ckpt names antigravity\.X, this\.Y, and a"):
        module_arguments(EntropyModule, config, {}, "c.ckpt")
    # a text in place of a component stays a text
    assert module_arguments(EntropyModule, {"loss": "antigravity.X"}, {}, "c") == {
        "loss": "antigravity.X"
    }
    assert module_arguments(EntropyModule, config, {"loss": 1, "optimizer": 2}, "c") == {
        "loss": 1, "optimizer": 2,
    }  # fmt: skip
    assert "antigravity" not in sys.modules and "this" not in sys.modules


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("loss", "lit_entropy.checkpoints.build.import_module"),
        ("loss", "lit_entropy.advantages.GRPO"),
        ("loss", "lit_entropy.losses.Nope"),
        ("optimizer", "torch.optim.lr_scheduler.partial"),
    ],
)
def test_only_a_class_of_the_kind_is_built(key: str, path: str) -> None:
    part = {"class_path": path, "init_args": {"name": "antigravity"}}
    with pytest.raises(CheckpointError, match=f"names {path}, which is no "):
        module_arguments(EntropyModule, {key: part}, {}, "c")
    assert "antigravity" not in sys.modules


def test_what_cannot_be_loaded() -> None:
    with pytest.raises(CheckpointError, match=r"is of a my\.Sub, not of a lit_entropy\.module"):
        module_arguments(EntropyModule, {"class_path": "my.Sub"}, {}, "c")
    with pytest.raises(CheckpointError, match="does not record its configuration"):
        configuration_in({"state_dict": {}}, "c")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ckpt"):
        EntropyModule.load_from_checkpoint("nowhere.ckpt")
