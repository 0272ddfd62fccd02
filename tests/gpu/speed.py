"""Cases of speed and memory: decoding, updates by the card's own peak, the head."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

import torch
from benchmarks.cases.head import score
from benchmarks.cases.rollout import generated_tokens
from benchmarks.machine import Machine, seconds
from gpu.measured import Measured
from gpu.policies import policy_on, random_sequences, relative
from gpu.sizes import Size
from lightning.pytorch.plugins import MixedPrecision, Precision

from lit_entropy.planning.compute import training_flops
from lit_entropy.planning.shape import shape_of
from lit_entropy.planning.workload import Workload
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine

#: Bytes a parameter under bf16-mixed: weight, gradient and two moments in float32, a cast copy.
STATE_BYTES = 18


def decode(device: torch.device, size: Size) -> Measured:
    """Sampled tokens a second: LocalEngine, which drops ended rows, and transformers' generate.

    The engine once as it is without ``model.policy.compile`` and once with it, by CUDA graphs.

    The weights are random, so that an end of sequence is rare: a hundredth of the vocabulary ends
    a response here, which makes lengths ragged as those of a trained model.
    """
    dtype = "bfloat16" if device.type == "cuda" else "float32"
    policy = policy_on(device, size.models[0], dtype, compile=size.backend).eval()
    ends = range(0, policy.vocab_size, 100) if policy.vocab_size > 100 else [1, 5]
    policy.eos_token_ids = list(ends)
    rows = torch.arange(size.decoded_rows)
    prompts = [[3 + row % 7, 4, 5, 6] for row in rows.tolist()]
    counts: dict[str, int] = {}

    def by_engine(name: str, engine: LocalEngine) -> None:
        completions = engine.generate(
            policy, prompts, rows, rows, max_new_tokens=size.decoded, temperature=1.0,
            keys=(0, "gpu", 3),
        )  # fmt: skip
        counts[name] = int(completions.mask_BT.sum())

    def by_generate() -> None:
        counts["generate"] = generated_tokens(policy, prompts, size.decoded)

    ways: dict[str, Callable[[], None]] = {
        "engine": partial(by_engine, "engine", LocalEngine(graphs=False)),
        "generate": by_generate,
    }
    if device.type == "cuda" and policy.compiled:
        ways["graphs"] = partial(by_engine, "graphs", LocalEngine())
    rates = {}
    for name, function in ways.items():
        spent = seconds(function, repeats=min(size.repeats, 2))
        rates[name] = counts[name] / spent
    values: dict[str, float | str] = {"model": size.models[0], "dtype": dtype}
    values |= {f"{name}_tokens_per_second": rate for name, rate in rates.items()}
    values |= {f"{name}_ratio": rate / rates["generate"] for name, rate in rates.items()}
    del values["generate_ratio"]
    return Measured(values)


def update(device: torch.device, size: Size, machine: Machine) -> Measured:
    """Forward and backward pass and AdamW under bf16-mixed, by the measured peak of a product."""
    measured = Measured()
    peak = machine.flops.get("bfloat16", machine.flops["float32"])
    for model in size.models:
        reason = _too_small(device, model)
        if reason:
            measured.values[f"{model}_skipped"] = reason
            continue
        policy = policy_on(device, model)
        batch = random_sequences(size, policy, device)
        mixed = device.type == "cuda"
        plugin = MixedPrecision("bf16-mixed", device.type) if mixed else Precision()
        optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-6, fused=device.type == "cuda")

        def step(policy: Policy = policy, optimizer: torch.optim.Optimizer = optimizer) -> None:
            with plugin.forward_context():  # noqa: B023  used at once
                loss = policy(batch, 1.0).logprobs_BT.mean().neg()  # noqa: B023
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        spent = seconds(step, repeats=size.repeats)
        flops = training_flops(_workload(policy, size), size.rows)
        measured.values |= {
            f"{model}_seconds": spent,
            f"{model}_tokens_per_second": size.rows * size.tokens / spent,
            f"{model}_share_of_peak": flops / spent / peak,
        }
        if device.type == "cuda":
            measured.values[f"{model}_peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        del policy, optimizer, step
        free(device)
    return measured


def _too_small(device: torch.device, model: str) -> str:
    """Why the card cannot hold the states of an update; empty where it can."""
    if device.type != "cuda":
        return ""
    from lit_entropy.policy.published import published_models

    needed = published_models()[model].parameters * STATE_BYTES + 6e9
    total = torch.cuda.get_device_properties(device).total_memory
    return "" if needed < total else f"needs {needed / 1e9:.0f} GB, the card has {total / 1e9:.0f}"


def _workload(policy: Policy, size: Size) -> Workload:
    shape, prompt = shape_of(policy.model.config), size.tokens // 4
    return Workload(
        shape=shape,
        trainable=shape.parameters,
        prompt_tokens=prompt,
        response_tokens=size.tokens - prompt,
    )


def head(device: torch.device, size: Size) -> Measured:
    """Log-probs and entropies of a large head with gradients: blocks against whole logits."""
    tokens, vocab, width = size.head
    results, measured = [], Measured()
    for path in ("plain", "blocks"):
        free(device)
        torch.manual_seed(0)
        tokens_N = torch.randint(vocab, (tokens,), device=device)
        hidden_ND = torch.randn(tokens, width, device=device).requires_grad_()
        weight_VD = torch.randn(vocab, width, device=device).mul_(0.05).requires_grad_()
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        try:
            logprobs_N, entropy_N = score(path, hidden_ND, weight_VD, tokens_N)
            (logprobs_N.mean() + 0.1 * entropy_N.mean()).backward()
        except torch.cuda.OutOfMemoryError:
            measured.values[f"{path}_peak_gb"] = "does not fit"
            continue
        assert weight_VD.grad is not None
        results.append(weight_VD.grad.flatten().cpu())
        if device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(device) - before
            measured.values[f"{path}_peak_gb"] = peak / 1e9
        del logprobs_N, entropy_N, hidden_ND, weight_VD
    if len(results) == 2:
        measured.values["gradient_gap"] = relative(results[1], results[0])
        measured.limits["gradient_gap"] = 1e-3
    return measured


def free(device: torch.device) -> None:
    """Give back what earlier cases hold; peaks are counted from here."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
