"""Sampled tokens a second of VLLMEngine over those of LocalEngine, on the same prompts and device.

    OMP_NUM_THREADS=1 python tests/benchmarks/compare_engines.py MODEL --rows 64 --new-tokens 64

Both hold the same float32 weights and sample with their own numbers, so responses differ in length:
the rates count sampled tokens. Rounds alternate, the first one is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine, RolloutEngine, VLLMEngine
from lit_entropy.rollouts.weights import sampler_gap


def rate(
    engine: RolloutEngine, policy: Policy, prompts: list[list[int]], limit: int, step: int
) -> float:
    """Tokens a second of one rollout."""
    rows = torch.arange(len(prompts))
    start = time.perf_counter()
    completions = engine.generate(
        policy, prompts, rows // 8, rows % 8,
        max_new_tokens=limit, temperature=1.0, keys=(0, "benchmark", step),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    name, tokens = type(engine).__name__, int(completions.mask_BT.sum())
    gap = sampler_gap(policy, prompts[:4], _rows(completions, 4), 1.0)
    print(f"round {step} {name:12} {tokens:6} tokens {seconds:8.3f} s  gap {gap:.1e} nats")
    return tokens / seconds


def _rows(completions, count):  # type: ignore[no-untyped-def]
    values = {name: value[:count] for name, value in vars(completions).items() if value is not None}
    return type(completions)(**({"entropies_BT": None} | values))


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--prompt-tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    policy = Policy(options.model)
    generator = torch.Generator().manual_seed(0)
    shape = (-(-options.rows // 8), options.prompt_tokens)
    ids = torch.randint(3, policy.vocab_size, shape, generator=generator).tolist()
    prompts = [ids[row // 8] for row in range(options.rows)]
    longest = options.prompt_tokens + options.new_tokens
    engines = [LocalEngine(), VLLMEngine(kv_cache_gb=0.5, max_model_len=longest)]
    rates: dict[str, list[float]] = {}
    for step in range(options.rounds + 1):
        for engine in engines:
            value = rate(engine, policy, prompts, options.new_tokens, step)
            if step:
                rates.setdefault(type(engine).__name__, []).append(value)
    local, vllm = (statistics.median(values) for values in rates.values())
    print(f"LocalEngine {local:.0f}, VLLMEngine {vllm:.0f} tokens/s: ratio {vllm / local:.2f}")


if __name__ == "__main__":
    main()
