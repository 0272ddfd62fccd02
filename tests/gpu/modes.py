"""Cases of other ways to compute the same: bfloat16, a compiled model, packed sequences."""

from __future__ import annotations

import time
from typing import Any

import torch
from benchmarks.machine import seconds, wait
from gpu.measured import Measured
from gpu.parity import LOSSES
from gpu.policies import CPU, DType, gradient, objective, policy_on, relative, sampled
from gpu.sizes import Size
from transformers.utils import is_flash_attn_2_available

from lit_entropy.losses import PPOClip
from lit_entropy.policy.policy import Policy


def bf16_mixed(device: torch.device, size: Size) -> Measured:
    """Products in bfloat16: log-probs stay float32 and near, gradients finite."""
    given = sampled(size).on(device)
    policy = policy_on(device, size.base)
    with torch.no_grad():
        exact = policy(given.sequences, 1.0).logprobs_BT
    with torch.autocast(device.type, torch.bfloat16):
        mixed = policy(given.sequences, 1.0).logprobs_BT
        loss = objective(policy, LOSSES["kl_cov"](), given)
    loss.backward()
    mask_BT = given.sequences.mask_BT
    values: dict[str, float | str] = {
        "dtype": str(mixed.dtype),
        "not_float32": float(mixed.dtype != torch.float32),
        "logprobs_gap_mean": float((mixed - exact).detach().abs()[mask_BT].mean()),
        "gradient_not_finite": float(not bool(gradient(policy).isfinite().all())),
    }
    limits = {"not_float32": 0.0, "logprobs_gap_mean": 0.1, "gradient_not_finite": 0.0}
    return Measured(values, limits)


def compiled(device: torch.device, size: Size) -> Measured:
    """torch.compile of the base model: the same gradient, and how many times faster an update is.

    By PPO-clip, whose loss is continuous: a selection would jump where rounding moves its last
    token.
    """
    given = sampled(size).on(device)
    results, times = [], []
    values: dict[str, float | str] = {}
    for compiles in (False, True):
        policy = policy_on(device, size.base)
        if compiles:
            policy.model.base_model.compile(dynamic=True, backend=size.backend)

        def update(policy: Policy = policy) -> None:
            policy.zero_grad()
            objective(policy, PPOClip(), given).backward()

        wait()
        start = time.perf_counter()
        update()
        wait()
        values["first_call_seconds"] = time.perf_counter() - start
        results.append(gradient(policy))
        times.append(seconds(update, repeats=size.repeats))
    values["backend"] = size.backend
    values |= {"speedup": times[0] / times[1], "gradient_gap": relative(results[1], results[0])}
    return Measured(values, {"gradient_gap": 1e-3})


def packing(device: torch.device, size: Size) -> Measured:
    """Packed against padded sequences, by flash attention where it is installed."""
    flash = device.type == "cuda" and is_flash_attn_2_available()
    dtype: DType = "bfloat16" if flash else "float32"
    given = sampled(size).on(device)
    outputs, times = [], []
    for packs in (False, True):
        policy = policy_on(device, size.base, dtype, packing=packs)
        if packs and flash:
            policy.model.set_attn_implementation("flash_attention_2")
        with torch.no_grad():
            outputs.append(policy(given.sequences, 1.0).logprobs_BT.to(CPU))
        times.append(seconds(_update, policy, given, repeats=size.repeats))
    gap = (outputs[0] - outputs[1]).abs()[given.sequences.mask_BT.cpu()]
    values: dict[str, float | str] = {
        "attention": "flash_attention_2" if flash else "sdpa (flash-attn is not installed)",
        "dtype": dtype,
        "logprobs_gap_mean": float(gap.mean()),
        "speedup": times[0] / times[1],
    }
    return Measured(values, {"logprobs_gap_mean": 0.1 if flash else 1e-3})


def _update(policy: Policy, given: Any) -> None:
    policy.zero_grad()
    objective(policy, LOSSES["kl_cov"](), given).backward()
