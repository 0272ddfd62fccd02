"""The plan against this machine's CPU: measured memory and time of updates and decoding.

    PYTHONPATH=tests python -m benchmarks.plan_measure

Memory is the peak resident set of one update in a process of its own, over that of a process which
has loaded the libraries. Rates are measured before times, with one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from benchmarks.memory import peak_bytes, resident_bytes, start_peak
from benchmarks.plan_cases import CASES, Case, update
from benchmarks.separate import separately

from lit_entropy.planning.compute import training_flops
from lit_entropy.planning.hardware import Hardware, Rates
from lit_entropy.planning.memory import activations, states
from lit_entropy.planning.seconds import decode_seconds
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.local import LocalEngine


def measured_memory(case: Case) -> float:
    """Peak bytes of two updates in a fresh process, over the libraries'."""
    return separately(_peak, case)


def predicted_memory(case: Case) -> float:
    """What the plan says of the same: states, activations and logits."""
    work = case.workload()
    return sum(states(work, 1).values()) + sum(activations(work, 1).values())


def calibrated() -> tuple[Hardware, Rates]:
    """This machine's own rates: matrix products, matrix-vector products, and an empty layer."""
    left, right = torch.randn(512, 1024), torch.randn(1024, 1024)
    flops = 2 * 512 * 1024**2 / seconds(lambda: left @ right)
    matrix, vector = torch.randn(4096, 8192), torch.randn(8192)
    bandwidth = 4 * 4096 * 8192 / seconds(lambda: matrix @ vector)
    smallest = Policy("chain-xs").eval().model
    token = torch.zeros(1, 1, dtype=torch.int64)
    with torch.no_grad():
        layer = seconds(lambda: smallest.base_model(input_ids=token, use_cache=False))
    layers = smallest.config.num_hidden_layers
    return Hardware("cpu", 16e9, flops, bandwidth, bandwidth), Rates(1.0, 1.0, layer / layers)


def measured_update(case: Case) -> float:
    """Seconds of an update, the optimizer's step left out."""
    policy = case.policy()
    batch = case.batch(policy)
    return seconds(lambda: policy(batch, 1.0).logprobs_BT.mean().neg().backward())


def predicted_update(case: Case, hardware: Hardware, rates: Rates) -> float:
    """What the plan says of the same."""
    work = case.workload()
    launches = (4 if case.checkpointing else 3) * work.shape.layers * rates.layer
    return training_flops(work, case.rows) / (hardware.flops * rates.utilisation) + launches


def measured_decode(case: Case) -> float:
    """Seconds of a rollout in which no response ends before the limit."""
    policy = case.policy().eval()
    policy.eos_token_ids = [policy.vocab_size]  # never drawn
    prompts = case.batch(policy).prompt_tokens_BS.tolist()
    ids = torch.arange(case.rows)
    sample = partial(LocalEngine().generate, policy, prompts, ids, ids)
    keys = (0, "measure", 1)
    return seconds(lambda: sample(max_new_tokens=case.response, temperature=1.0, keys=keys))


def predicted_decode(case: Case, hardware: Hardware, rates: Rates) -> float:
    """What the plan says of the same."""
    return decode_seconds(case.workload(), case.rows, 1, hardware, rates)


def seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Least CPU time of a call after a first one: other processes do not count in it."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def _peak(case: Case) -> float:
    torch.set_num_threads(1)
    small = replace(case, model="chain-xs", rows=2, prompt=4, response=4)
    policy = small.policy()  # loads what is loaded on first use
    update(policy, torch.optim.AdamW(policy.parameters()), small.batch(policy))
    before = resident_bytes()
    start_peak()
    policy = case.policy()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-6)
    for _ in range(2):
        update(policy, optimizer, case.batch(policy))
    return peak_bytes() - before


def main() -> None:
    """Print predictions beside measurements."""
    torch.set_num_threads(1)
    hardware, rates = calibrated()
    print(f"{hardware.flops / 1e9:.1f} Gflop/s, {hardware.bandwidth / 1e9:.1f} GB/s, ", end="")
    print(f"{rates.layer * 1e6:.0f} microseconds a layer")
    for case in CASES:
        pairs = {"memory MB": (predicted_memory(case) / 1e6, measured_memory(case) / 1e6)}
        times = predicted_update(case, hardware, rates), measured_update(case)
        pairs["update s"] = times
        if not case.checkpointing:
            short = replace(case, response=min(case.response, 32))
            pairs["decode s"] = predicted_decode(short, hardware, rates), measured_decode(short)
        for name, (predicted, measured) in pairs.items():
            print(f"{case}: {name} predicted {predicted:.3g}, measured {measured:.3g}, ", end="")
            print(f"ratio {predicted / measured:.2f}", flush=True)


if __name__ == "__main__":
    main()
