"""Cases of other ways to compute the same: bfloat16, a compiled policy, packed sequences."""

from __future__ import annotations

import time
from typing import Any

import torch
from benchmarks.machine import seconds, wait
from gpu.measured import Measured
from gpu.parity import LOSSES
from gpu.policies import CPU, DType, gradient, objective, policy_on, relative, sampled
from gpu.sizes import Size
from lightning.pytorch.plugins import MixedPrecision
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._triton import has_triton
from transformers.utils import is_flash_attn_2_available

from lit_entropy.losses import PPOClip
from lit_entropy.policy.policy import Policy


def bf16_mixed(device: torch.device, size: Size) -> Measured:
    """Products in bfloat16: log-probs stay float32 and near, gradients finite."""
    given = sampled(size).on(device)
    policy = policy_on(device, size.base)
    with torch.no_grad():
        exact = policy(given.sequences, 1.0).logprobs_BT
    with MixedPrecision("bf16-mixed", device.type).forward_context():
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


def attention(device: torch.device, size: Size) -> Measured:
    """Gradients of attention under left padding, bfloat16, where every score is far below 0.

    cuDNN's are NaN there at lengths of 64 more than a multiple of 128 (pytorch/pytorch#196678);
    the check, as a run, does without it.
    """
    broken = 0
    for length in (64, 192):
        draw = torch.Generator().manual_seed(0)
        query, key, value = torch.randn(3, 2, 2, length, 64, generator=draw).unbind()
        query[..., 0], key[..., 0] = 1.0, -1000.0  # a score of -125
        mask_BLL = torch.ones(2, 1, length, length, dtype=torch.bool).tril()
        mask_BLL[0, :, :, : length // 3] = False
        mask_BLL |= torch.eye(length, dtype=torch.bool)  # padding sees itself
        parts = [part.to(device, torch.bfloat16).requires_grad_() for part in (query, key, value)]
        output = scaled_dot_product_attention(*parts, attn_mask=mask_BLL.to(device))
        output.float().square().sum().backward()
        broken += sum(int((~part.grad.isfinite()).sum()) for part in parts if part.grad is not None)
    cudnn = "yes" if torch.backends.cuda.cudnn_sdp_enabled() else "no"
    return Measured({"cudnn": cudnn, "not_finite": broken}, {"not_finite": 0})


def compiled(device: torch.device, size: Size) -> Measured:
    """A compiled policy: the same gradient, and how many times faster an update is.

    By PPO-clip, whose loss is continuous: a selection would jump where rounding moves its last
    token.
    """
    if device.type == "cuda" and size.backend == "inductor" and not has_triton():
        return Measured({"skipped": "inductor needs triton here, which is not installed"})
    given = sampled(size).on(device)
    results, times = [], []
    values: dict[str, float | str] = {}
    for backend in (None, size.backend):
        policy = policy_on(device, size.base, compile=backend)
        if backend is not None and not policy.compiled:
            return Measured({"skipped": f"{backend} finds no C++ compiler"})

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
