"""Exported folders in plain transformers, their cards, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from runs import CONFIGS, fit, metrics
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_entropy.checkpoints.command import export
from lit_entropy.checkpoints.export import load_policy
from lit_entropy.checkpoints.model_card import described, is_hub_id, model_card
from lit_entropy.cli.main import EntropyCLI, main
from lit_entropy.errors import CheckpointError

NAME = "quickstart-seed0"
TEXT = "7+5*3-2 "


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EntropyCLI]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    arguments = [f"--model.loss={CONFIGS / 'loss' / 'kl_cov_tiny.yaml'}", "--model.temperature=0.9"]
    return folder, fit(folder, "--model.policy.model=chain-xs", *arguments)


def last(folder: Path) -> Path:
    return folder / NAME / "checkpoints" / "last.ckpt"


@torch.no_grad()
def logits(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits


def test_plain_transformers_loads_it(tmp_path: Path, trained: tuple[Path, EntropyCLI]) -> None:
    folder, cli = trained
    output = tmp_path / "model"
    main(["export", "--checkpoint", str(last(folder)), "--output", str(output)])
    assert not list(tmp_path.glob("*.tmp-*"))
    model = AutoModelForCausalLM.from_pretrained(output).eval()
    tokenizer = AutoTokenizer.from_pretrained(output)
    policy = cli.model.policy.eval()
    ids = tokenizer(TEXT)["input_ids"]
    assert ids == policy.tokenizer(TEXT)["input_ids"] and len(ids) == len(TEXT)
    assert tokenizer.decode(ids) == policy.tokenizer.decode(ids)
    assert model.dtype == torch.float32
    assert torch.equal(logits(model, ids), logits(policy.model, ids))  # bit for bit
    base = AutoModelForCausalLM.from_pretrained(policy.model.name_or_path)
    assert not torch.equal(logits(base, ids), logits(model, ids))  # it was trained
    settings = model.generation_config
    assert settings.do_sample and settings.temperature == 0.9 and settings.top_k == 0
    assert settings.eos_token_id == policy.eos_token_ids


def test_the_card_tells_what_was_done(tmp_path: Path, trained: tuple[Path, EntropyCLI]) -> None:
    folder, cli = trained
    export(str(last(folder)), str(tmp_path / "model"), "bfloat16")
    parameters = cli.model.policy.model.num_parameters()  # a tied head counts once
    _, header, text = (tmp_path / "model" / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(header)
    assert card["library_name"] == "transformers" and "base_model" not in card
    for sentence in (
        f"{parameters:,} parameters, trained for 2 RL steps",
        "Base model: `chain-xs`",
        "| loss | `KLCov(",
        "| advantage | `GRPO(",
        "| `data.prompts_per_step` | `8` |",
        "| `seed_everything` | `0` |",
        "These weights (RL step 2) on held-out problems",
        f"| accuracy | {metrics(folder)['val/accuracy'][-1]:.4g} |",
        "whole softmax at temperature 0.9",
        f"torch {torch.__version__.split('+')[0]}",
    ):
        assert sentence in text, sentence
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    with safe_open(tmp_path / "model" / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118


@pytest.mark.parametrize(("step", "of"), [(0, "the base model (RL step 0)"), (1, "RL step 1")])
def test_the_card_shows_no_evaluation_of_other_weights(
    tmp_path: Path, trained: tuple[Path, EntropyCLI], step: int, of: str
) -> None:
    _, cli = trained
    configuration = torch.load(last(trained[0]), weights_only=True)["configuration"]
    # a validation of later weights is not theirs either
    (tmp_path / "metrics.csv").write_text(f"step,val/accuracy\n{step},0.123\n3,0.456\n")
    card = model_card(configuration, 2, cli.model.policy, tmp_path)
    assert "0.123" not in card and "0.456" not in card and "| metric |" not in card
    assert (
        f"These weights, of RL step 2, were not evaluated while they were trained: the last "
        f"validation before them is of {of} and says nothing of them."
    ) in card


def test_adapters_are_added_in(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    cli = fit(
        tmp_path, "--model.policy.model=chain-xs", "--model.policy.lora.rank=2",
        "--model.optimizer.lr=1e-2", "--trainer.callbacks=null",
    )  # fmt: skip
    export(str(last(tmp_path)), str(tmp_path / "model"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    policy = cli.model.policy.eval()
    ids = policy.tokenizer(TEXT)["input_ids"]
    # W x + B A x against (W + B A) x: float32 rounding alone
    torch.testing.assert_close(logits(model, ids), logits(policy.model, ids), rtol=1e-5, atol=1e-5)
    names = dict(model.named_parameters())
    assert not any("lora" in name or "base_layer" in name for name in names)
    # in bfloat16 the sum of weight and adapters is rounded, and neither of them before
    export(str(last(tmp_path)), str(tmp_path / "bfloat16"), "bfloat16")
    short = AutoModelForCausalLM.from_pretrained(tmp_path / "bfloat16", dtype=torch.bfloat16)
    merged = cli.model.policy.merged_state_dict()
    assert short.state_dict().keys() == merged.keys()
    for name, value in short.state_dict().items():
        assert torch.equal(value, merged[name].bfloat16()), name


def test_the_checkpoints_dtype_is_kept(tmp_path: Path) -> None:
    """Of a run in bfloat16, whose policy is built in float32."""
    fit(
        tmp_path, "--model.policy.model=chain-xs", "--trainer.precision=bf16-true",
        "--trainer.max_epochs=1", "--trainer.limit_val_batches=0", "--trainer.callbacks=null",
    )  # fmt: skip
    for name, dtype in (("checkpoint", torch.bfloat16), ("float32", torch.float32)):
        export(str(last(tmp_path)), str(tmp_path / name), name)  # type: ignore[arg-type]
        with safe_open(tmp_path / name / "model.safetensors", "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        assert {value.dtype for value in tensors.values()} == {dtype}
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert config["dtype"] == str(dtype).removeprefix("torch.")
    weights = torch.load(last(tmp_path), weights_only=True)["state_dict"]
    for key, value in tensors.items():
        assert torch.equal(value, weights[f"policy.model.{key}"].float())


def test_what_is_refused(tmp_path: Path, trained: tuple[Path, EntropyCLI]) -> None:
    folder, _ = trained
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"--output=.*full exists"):
        export(str(last(folder)), str(tmp_path / "full"))
    assert os.listdir(tmp_path / "full") == ["notes.txt"]
    with pytest.raises(FileNotFoundError, match=r"nothing\.ckpt"):
        export(str(tmp_path / "nothing.ckpt"), str(tmp_path / "model"))
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(CheckpointError, match="does not record its configuration"):
        export(str(tmp_path / "foreign.ckpt"), str(tmp_path / "model"))
    state = torch.load(last(folder), weights_only=True)
    configuration = state["configuration"]
    configuration["model"]["policy"]["init_args"]["model"] = "chain-s"
    with pytest.raises(CheckpointError, match=r"does not fit model\.policy\.model='chain-s'"):
        load_policy(state, configuration, last(folder))
    configuration["model"]["policy"]["class_path"] = "os.system"
    with pytest.raises(CheckpointError, match=r"policy of class os\.system"):
        load_policy(state, configuration, last(folder))
    assert not (tmp_path / "model").exists()


def test_a_failed_export_leaves_nothing(
    tmp_path: Path, trained: tuple[Path, EntropyCLI], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "rename", full_disk)
    with pytest.raises(OSError, match="no space"):
        export(str(last(trained[0])), str(tmp_path / "model"))
    assert not list(tmp_path.iterdir())


def test_names_and_descriptions() -> None:
    part = {"class_path": "a.b.Loss", "init_args": {"fraction": 0.1, "inner": {"class_path": "X"}}}
    assert described(part) == "Loss(fraction=0.1, inner=X())"
    assert described(None) == "null" and described([1, 2]) == "[1, 2]"
    assert is_hub_id("Qwen/Qwen2.5-7B")
    assert not any(is_hub_id(name) for name in ("chain-s", "./a/b", "/a", "bases/x/y"))
