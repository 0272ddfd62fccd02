"""Cases that lay a device beside the CPU: log-probs, draws, selections, one training step."""

from __future__ import annotations

from dataclasses import replace

import torch
from gpu.measured import Measured
from gpu.policies import (
    CPU,
    Sampled,
    gradient,
    objective,
    policy_on,
    prompts_of,
    relative,
    sampled,
)
from gpu.sizes import Size
from torch import Tensor

from lit_entropy.functional.padding import pad_right
from lit_entropy.losses import ClipCov, KLCov
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import PolicyOutput

#: Losses whose selections are compared, at fractions that select some tokens of a tiny rollout.
LOSSES = {
    "kl_cov": lambda: KLCov(fraction=0.05),
    "clip_cov": lambda: ClipCov(fraction=0.05, bounds=(0.01, 50.0)),
}


@torch.no_grad()
def logprobs(device: torch.device, size: Size) -> Measured:
    """Log-probs and exact entropies of one rollout, float32 on both, nats."""
    given = sampled(size)
    outputs = []
    for place in (CPU, device):
        output = policy_on(place, size.base)(given.on(place).sequences, 1.0)
        outputs.append([value.cpu() for value in output])
    names = ("logprobs_gap", "entropy_gap")
    gaps = {
        name: float((found - expected).abs().max())
        for name, expected, found in zip(names, *outputs, strict=True)
    }
    return Measured(dict(gaps), dict.fromkeys(names, 1e-3))


def draws(device: torch.device, size: Size) -> Measured:
    """The share of responses that the same keys sample differently: rounding may move a draw."""
    found = [_drawn(policy_on(place, size.base), size)[0] for place in (CPU, device)]
    differ = float((found[0] != found[1]).any(1).double().mean())
    return Measured({"responses": len(found[0]), "differ": differ}, {"differ": 0.05})


def graphs(device: torch.device, size: Size) -> Measured:
    """The same of decoding steps recorded as CUDA graphs and of steps as they come, one device.

    Log-probs are compared of the responses that both draw, in nats per token.
    """
    policy = policy_on(device, size.base, compile=size.backend)
    if not (device.type == "cuda" and policy.compiled):
        return Measured({"skipped": "graphs are for a GPU and a policy that is compiled"})
    (tokens, logprobs), (own, own_logprobs) = (_drawn(policy, size, g) for g in (True, False))
    same_B = (tokens == own).all(1)
    values: dict[str, float | str] = {
        "differ": float((~same_B).double().mean()),
        "logprobs_gap": float((logprobs - own_logprobs)[same_B].abs().max()),
    }
    return Measured(values, {"differ": 0.05, "logprobs_gap": 1e-3})


def _drawn(policy: Policy, size: Size, graphs: bool = True) -> tuple[Tensor, Tensor]:
    """Tokens and log-probs [B, limit] of one rollout, on the CPU, padded."""
    prompts = prompts_of(size, policy)
    rows = torch.arange(len(prompts))
    completions = LocalEngine(graphs=graphs).generate(
        policy, prompts, rows, rows, max_new_tokens=size.limit, temperature=1.0,
        keys=(0, "gpu", 2),
    )  # fmt: skip
    return (
        pad_right(completions.tokens_BT.cpu(), size.limit, policy.pad_token_id),
        pad_right(completions.logprobs_BT.cpu(), size.limit, 0.0),
    )


@torch.no_grad()
def selections(device: torch.device, size: Size) -> Measured:
    """Clip-Cov and KL-Cov: tokens selected on one side alone, over those selected on the CPU.

    ``given``: from the very same log-probs, where nothing may differ. ``own``: from each device's
    own, whose rounding may move a token over the last place of the quota.
    """
    given, measured = sampled(size), Measured()
    sides = (CPU, device)  # two policies also where both are the CPU
    own = [policy_on(place, size.base)(given.on(place).sequences, 1.0) for place in sides]
    for name, build in LOSSES.items():
        for source, outputs in (
            ("given", [own[0], _moved(own[0], device)]),
            ("own", own),
        ):
            chosen = [
                build().select(output, given.on(place).batch).cpu()
                for place, output in zip(sides, outputs, strict=True)
            ]
            count = int(chosen[0].sum())
            key = f"{name}_{source}"
            measured.values[f"{name}_selected"] = count
            measured.values[key] = int((chosen[0] ^ chosen[1]).sum()) / max(count, 1)
            measured.limits[key] = 0.0 if source == "given" else 0.05
    return measured


def _moved(output: PolicyOutput, device: torch.device) -> PolicyOutput:
    return PolicyOutput(*(value.to(device) for value in output))


@torch.no_grad()
def _selected(given: Sampled, size: Size) -> Sampled:
    """With the tokens that KL-Cov selects on the CPU."""
    output = policy_on(CPU, size.base)(given.sequences, 1.0)
    selected_BT = LOSSES["kl_cov"]().select(output, given.batch)
    return replace(given, batch=replace(given.batch, selected_BT=selected_BT))


def training_step(device: torch.device, size: Size) -> Measured:
    """Loss, gradient and weights of one AdamW step of KL-Cov, against the CPU's.

    The tokens are those that the CPU selects, and every log r is moved to 0.05: at the kink of
    |log r| the gradient is the sign of rounding.
    """
    given = _selected(sampled(size), size)
    batch = replace(given.batch, old_logprobs_BT=given.batch.old_logprobs_BT - 0.05)
    given = replace(given, batch=batch)
    losses, gradients, weights = [], [], []
    for place in (CPU, device):
        policy = policy_on(place, size.base)
        optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, weight_decay=0.0)
        loss = objective(policy, LOSSES["kl_cov"](), given.on(place))
        loss.backward()
        gradients.append(gradient(policy))
        optimizer.step()
        losses.append(float(loss.detach()))
        weights.append(torch.cat([p.detach().flatten().cpu() for p in policy.parameters()]))
    values: dict[str, float | str] = {
        "loss_gap": abs(losses[0] - losses[1]),
        "gradient_gap": relative(gradients[1], gradients[0]),
        # Adam divides by the gradient's size: where it is rounding alone, its sign is too
        "weight_gap": float((weights[0] - weights[1]).abs().mean()) / 1e-4,
    }
    return Measured(values, {"loss_gap": 1e-4, "gradient_gap": 1e-3, "weight_gap": 0.05})
