"""Adapters: a start that changes nothing, what is trained, merged weights, refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import Linear as AdaptedLinear
from runs import fit, metrics, weights
from safetensors.torch import load_file
from test_policy import SIZES, make_batch, save_with_tokenizer
from tiny_models import build_tiny_model
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig
from transformers import LlamaForCausalLM as Llama

from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy

TINY = LoraOptions(rank=2, alpha=8.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def moved(policy: Policy, seed: int = 1) -> Policy:
    """The policy with adapters that are not at their start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return policy


@pytest.mark.parametrize("packing", [False, True])
def test_fresh_adapters_change_nothing(folder: str, packing: bool) -> None:
    base, adapted = Policy(folder, packing=packing), Policy(folder, packing=packing, lora=TINY)
    assert adapted.plain_head and base.plain_head
    batch = make_batch()
    for got, expected in zip(adapted(batch, 0.7), base(batch, 0.7), strict=True):
        assert torch.equal(got, expected)
    assert torch.equal(adapted.logits(batch), base.logits(batch))


def test_only_adapters_are_trained(folder: str) -> None:
    policy = Policy(folder, lora=TINY)
    trained = {name for name, value in policy.named_parameters() if value.requires_grad}
    layers = [name for name, layer in policy.named_modules() if isinstance(layer, AdaptedLinear)]
    assert len(layers) == 2 * 7  # q, k, v, o, gate, up, down; not the head
    assert trained == {
        f"{layer}.lora_{part}.default.weight" for layer in layers for part in ("A", "B")
    }
    sizes = {name: tuple(value.shape) for name, value in policy.named_parameters()}
    layer = "model.model.layers.0.mlp.up_proj"
    assert sizes[f"{layer}.lora_A.default.weight"] == (2, 32)
    assert sizes[f"{layer}.lora_B.default.weight"] == (64, 2)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_every_adapter(folder: str, checkpointing: bool) -> None:
    """Also when layers are recomputed: the frozen embedding's output requires no gradient."""
    policy = moved(Policy(folder, lora=TINY, gradient_checkpointing=checkpointing))
    expected = moved(Policy(folder, lora=TINY))
    batch = make_batch()
    for one in (policy, expected):
        one(batch, 1.0).logprobs_BT.sum().backward()
    for (name, got), other in zip(policy.named_parameters(), expected.parameters(), strict=True):
        assert (got.grad is not None) == got.requires_grad == (other.grad is not None), name
        if got.grad is not None:
            assert float(got.grad.abs().max()) > 1e-3, name
            # without recomputed layers the tokens pass unpadded, in other products
            torch.testing.assert_close(got.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_an_update_moves_adapters_alone_and_the_formula_holds(folder: str) -> None:
    """W + (alpha / rank) B A, written out on one layer."""
    policy = moved(Policy(folder, lora=TINY))
    state, merged = policy.model.state_dict(), policy.merged_state_dict()
    base = load_file(Path(folder) / "model.safetensors")
    layer = "model.layers.1.self_attn.v_proj"
    down, up = (state[f"{layer}.lora_{part}.default.weight"] for part in ("A", "B"))
    expected = base[f"{layer}.weight"] + 8.0 / 2 * up @ down
    torch.testing.assert_close(merged[f"{layer}.weight"], expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(merged[f"{layer}.bias"], base[f"{layer}.bias"])
    assert torch.equal(merged["model.norm.weight"], base["model.norm.weight"])


def test_merged_state_is_that_of_a_plain_model_and_leaves_the_policy(folder: str) -> None:
    policy, batch = moved(Policy(folder, lora=TINY)), make_batch()
    before, copies = policy(batch, 1.0), {k: v.clone() for k, v in policy.state_dict().items()}
    merged = policy.merged_state_dict()
    plain = AutoModelForCausalLM.from_pretrained(folder)
    assert list(merged) == list(plain.state_dict())
    plain.load_state_dict(merged)
    base = Policy(folder)
    base.model = plain
    # float32 sums in another order: W x + s B (A x) against (W + s B A) x
    for got, expected in zip(base(batch, 1.0), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-5)
    change_BT = (before.logprobs_BT - Policy(folder)(batch, 1.0).logprobs_BT).detach()
    assert float(change_BT.abs().max()) > 0.01
    assert all(torch.equal(value, copies[name]) for name, value in policy.state_dict().items())
    assert torch.equal(policy(batch, 1.0).logprobs_BT, before.logprobs_BT)


def test_merging_equals_that_of_peft(folder: str) -> None:
    policy = moved(Policy(folder, lora=TINY))
    merged = policy.merged_state_dict()
    for name, layer in list(policy.model.named_modules()):
        if isinstance(layer, AdaptedLinear):
            layer.merge()
            torch.testing.assert_close(
                merged[f"{name}.weight"], layer.base_layer.weight.data, rtol=1e-6, atol=1e-7
            )


def test_without_adapters_it_is_the_models_state(folder: str) -> None:
    policy = Policy(folder)
    state, merged = policy.model.state_dict(), policy.merged_state_dict()
    assert list(merged) == list(state)
    assert all(merged[name].data_ptr() == state[name].data_ptr() for name in state)


def test_save_writes_a_plain_model(folder: str, tmp_path: Path) -> None:
    policy, batch = moved(Policy(folder, lora=TINY)), make_batch()
    policy.save(tmp_path / "saved")
    assert set(load_file(tmp_path / "saved" / "model.safetensors")) == set(
        load_file(Path(folder) / "model.safetensors")
    )
    for got, expected in zip(
        Policy(str(tmp_path / "saved"))(batch, 1.0), policy(batch, 1.0), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-5)


def test_the_start_depends_on_the_seed_alone(folder: str) -> None:
    def adapters(seed: int) -> list[Tensor]:
        policy = Policy(folder, lora=LoraOptions(rank=4, seed=seed))
        return [value for name, value in policy.state_dict().items() if "lora_A" in name]

    torch.manual_seed(11)
    state = torch.get_rng_state()
    first = adapters(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(12)
    assert all(torch.equal(*pair) for pair in zip(first, adapters(0), strict=True))
    assert not any(torch.equal(*pair) for pair in zip(first, adapters(1), strict=True))
    draws = torch.cat([value.flatten() * value.shape[1] ** 0.5 for value in first])
    assert float(draws.abs().max()) <= 1 and draws.numel() > 1000
    # uniform on [-1, 1]: standard deviation 1 / sqrt(3); the mean's own is 0.577 / sqrt(n)
    assert float(draws.std()) == pytest.approx(3**-0.5, rel=0.05)
    assert abs(float(draws.mean())) < 4 * 3**-0.5 / draws.numel() ** 0.5


def test_bfloat16_base_keeps_float32_adapters(folder: str) -> None:
    policy = moved(Policy(folder, dtype="bfloat16", lora=TINY))
    kinds = {(value.requires_grad, value.dtype) for value in policy.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    output = policy(make_batch(), 1.0)
    assert output.logprobs_BT.dtype == torch.float32
    output.logprobs_BT.sum().backward()
    merged = policy.merged_state_dict()
    assert {value.dtype for value in merged.values()} == {torch.bfloat16}


def untied(folder: str, target: Path) -> str:
    torch.manual_seed(0)
    return save_with_tokenizer(
        Llama(LlamaConfig(**SIZES, tie_word_embeddings=False)), folder, target
    )


def test_an_adapted_head(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untied head may be adapted; its scores come from calling it, in chunks."""
    options = LoraOptions(rank=2, target_modules=["lm_head", "q_proj"])
    policy = moved(Policy(untied(folder, tmp_path / "untied"), lora=options, chunk_tokens=3))
    assert policy.plain_head and isinstance(policy.model.lm_head, AdaptedLinear)
    batch, expected = make_batch(), policy(make_batch(), 1.0)
    gradient = torch.autograd.grad(
        expected.entropy_BT.sum(), policy.model.lm_head.lora_B["default"].weight
    )[0]
    import lit_entropy.policy.scoring as scoring

    chunked = scoring.chunked_logprobs_and_entropy
    monkeypatch.setattr(
        scoring,
        "chunked_logprobs_and_entropy",
        lambda *args, **options: chunked(*args, **options, plain_logits=0),
    )
    output = policy(batch, 1.0)
    for got, value in zip(output, expected, strict=True):
        torch.testing.assert_close(got, value, rtol=1e-5, atol=1e-6)
    again = torch.autograd.grad(
        output.entropy_BT.sum(), policy.model.lm_head.lora_B["default"].weight
    )[0]
    torch.testing.assert_close(again, gradient, rtol=1e-4, atol=1e-6)
    policy.save(tmp_path / "saved")
    saved = Policy(str(tmp_path / "saved"))
    torch.testing.assert_close(
        saved(batch, 1.0).logprobs_BT, output.logprobs_BT, rtol=1e-4, atol=2e-5
    )


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
def test_transposed_layers_merge_too(folder: str, tmp_path: Path) -> None:
    """GPT-2 keeps its weights as [inputs, outputs]."""
    config = GPT2Config(vocab_size=20, n_embd=16, n_layer=1, n_head=2, eos_token_id=1)
    config.bos_token_id = None
    torch.manual_seed(0)
    source = save_with_tokenizer(GPT2LMHeadModel(config), folder, tmp_path / "gpt2")
    policy, batch = moved(Policy(source, lora=TINY)), make_batch()
    policy.save(tmp_path / "saved")
    torch.testing.assert_close(
        Policy(str(tmp_path / "saved"))(batch, 1.0).logprobs_BT,
        policy(batch, 1.0).logprobs_BT,
        rtol=1e-4,
        atol=2e-5,
    )


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, "lora.rank=0: use at least 1"),
        ({"alpha": -1.0}, "lora.alpha=-1.0: must be above 0"),
        ({"dropout": 0.1}, "lora.dropout=0.1: must be 0"),
        ({"target_modules": []}, "lora.target_modules is empty"),
        ({"target_modules": ["w_q"]}, r"lora.target_modules=\['w_q'\].*not found"),
        ({"target_modules": ["embed_tokens"]}, r"model.embed_tokens is no linear layer"),
        ({"target_modules": ["lm_head"]}, "head shares its weight with the input embedding"),
    ],
)
def test_bad_options(folder: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Policy(folder, lora=LoraOptions(**arguments))


def test_the_extra_is_named(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # an import now fails
    with pytest.raises(ValueError, match=r"pip install 'lit_entropy\[lora\]'"):
        Policy(folder, lora=TINY)


LORA = (
    "--model.policy.model=chain-xs",
    "--model.policy.lora.rank=2",
    "--model.max_new_tokens=12",
    "--data.prompts_per_step=4",
    "--data.minibatch_size=8",
    "--trainer.callbacks=null",
    "--trainer.limit_val_batches=0",
)


def test_a_run_trains_adapters_alone_and_resumes_exactly(tmp_path: Path) -> None:
    """Two RL steps at once, and one with the second after a resume: the same bits."""
    base = Policy("chain-xs").model.state_dict()
    whole = fit(tmp_path / "whole", *LORA, "--trainer.max_epochs=2")
    state = weights(whole)
    for name, value in base.items():
        owner, _, leaf = name.rpartition(".")
        key = next(k for k in (f"policy.model.{name}", f"policy.model.{owner}.base_layer.{leaf}")
                   if k in state)  # fmt: skip
        assert torch.equal(state[key], value), name
    assert all(float(value.abs().max()) > 0 for name, value in state.items() if "lora_B" in name)
    optimizer = whole.trainer.optimizers[0]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == sum(
        "lora_" in name for name in state
    )
    fit(tmp_path / "half", *LORA, "--trainer.max_epochs=1")
    half = fit(tmp_path / "half", *LORA, "--trainer.max_epochs=2", "--ckpt_path=last")
    assert all(torch.equal(value, state[name]) for name, value in weights(half).items())
    history = metrics(tmp_path / "whole")
    assert (history["policy/grad_norm"][1:] > 0).all()


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("--model.regularizers+=lit_entropy.regularizers.ReferenceKL", "ReferenceKL"),
        ("--model.advantage=lit_entropy.advantages.PRIME", "PRIME"),
    ],
)
def test_what_needs_the_reference_is_refused(tmp_path: Path, argument: str, name: str) -> None:
    message = rf"model\.policy\.lora.*{name}.*reference.*leave"
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, *LORA, argument)
