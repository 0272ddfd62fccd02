"""The numbers of a run, read from an experiment that was built without weights."""

from importlib import import_module
from typing import Literal, TypedDict

import torch
from jsonargparse import Namespace
from torch.optim import Optimizer
from transformers import PreTrainedModel

from lit_entropy.advantages import PRIME
from lit_entropy.callbacks.endings import most_rl_steps
from lit_entropy.errors import DryRunError
from lit_entropy.functional.fused import fused
from lit_entropy.planning.experiment import Built
from lit_entropy.planning.shape import shape_of
from lit_entropy.planning.workload import Numbers, Strategy, Workload
from lit_entropy.rollouts.local import ROWS_CPU, default_rows
from lit_entropy.tasks.prompt_limit import prompt_limit


class _Engine(TypedDict, total=False):
    """What a workload says of the engine; see :class:`Workload`."""

    engine: Literal["policy", "own", "elsewhere"]
    engine_named: bool
    engine_rows: int
    engine_memory: float
    engine_cache: float | None
    engine_bytes: int | None
    engine_sleeps: bool


#: What a plan assumes of a rollout server: bfloat16, and a share of its devices' memory.
SERVER: _Engine = {"engine_bytes": 2, "engine_memory": 0.9}


def workload(
    built: Built,
    response_tokens: float | None = None,
    prompt_tokens: float | None = None,
    draws: float | None = None,
    validation: int = 0,
    on_cpu: bool = False,
) -> Workload:
    """The numbers of a run.

    Args:
        built: the experiment.
        response_tokens: mean length of a response; by default half of ``model.max_new_tokens``.
        prompt_tokens: mean length of a prompt; by default a quarter of the longest that is allowed.
        draws: draws of prompts per RL step; by default 2 where groups without signal are resampled
            (every other group has a signal), else 1.
        validation: responses of one evaluation.
        on_cpu: whether the policy decodes on a CPU.

    Raises:
        DryRunError: a model or a precision that the formulas do not describe.
    """
    module, data, trainer = built.module, built.data, built.trainer
    plan = data.plan_with(trainer.accumulate_grad_batches)
    precision = str(trainer.precision)
    longest_prompt = prompt_limit(
        module.response_limits("training"), module.policy.context, data.max_prompt_tokens
    ).tokens
    sizes = [(p.numel(), p.requires_grad) for p in module.policy.parameters()]
    numbers, weight_bytes = _numbers(
        next(module.policy.parameters()).dtype, precision, built.strategy
    )
    longest = longest_prompt + module.max_new_tokens
    if on_cpu and numbers == "autocast":  # under which small models decode by their own pass
        rows = ROWS_CPU
    else:
        rows = default_rows(module.policy.model, longest, on_cpu)
    engine = _engine(built.engine, rows)
    rl_steps = most_rl_steps(trainer.max_epochs, trainer.max_steps, plan.updates_per_step)
    reused = engine["engine"] == "policy" and numbers == "single"
    optimizer = fused(module.optimizer([torch.nn.Parameter(torch.zeros(1))]))
    return Workload(
        shape=shape_of(module.policy.model.config),
        trainable=sum(size for size, trained in sizes if trained),
        numbers=numbers,
        weight_bytes=weight_bytes,
        loaded_bytes=next(module.policy.parameters()).element_size(),
        optimizer_states=_optimizer_states(optimizer),
        fused=bool(optimizer.param_groups[0].get("fused")),
        strategy=built.strategy,
        checkpointing=_checkpointing(module.policy.model),
        prompts=plan.prompts_per_step,
        samples=plan.group_size,
        minibatch=plan.minibatch_size,
        accumulation=plan.microbatches,
        passes=plan.update_epochs,
        prompt_tokens=longest_prompt / 4 if prompt_tokens is None else prompt_tokens,
        max_prompt_tokens=longest_prompt,
        response_tokens=module.max_new_tokens / 2 if response_tokens is None else response_tokens,
        max_new_tokens=module.max_new_tokens,
        chunk_tokens=module.policy.chunk_tokens,
        draws=(1.0 + (plan.group_filter == "resample")) if draws is None else draws,
        reference=module.reference is not None,
        reward_model=isinstance(module.advantage, PRIME),
        scored=plan.minibatch_size / plan.sequences if reused else 1.0,
        selects=module.loss.selects_tokens
        and module.loss.selection_logprobs == "current"
        and plan.microbatches * built.devices > 1,
        validation=validation,
        validate_every=trainer.check_val_every_n_epoch or 1,
        rl_steps=max(1, rl_steps or 1),  # one of a run without an end
        **engine,
    )


def _numbers(dtype: torch.dtype, precision: str, strategy: Strategy) -> tuple[Numbers, int]:
    low = dtype == torch.bfloat16 or precision == "bf16-true"
    if low:
        return "low", 2
    if precision == "bf16-mixed":
        return ("low" if strategy == "fsdp2" else "autocast"), 4
    if precision == "32-true":
        return "single", 4
    raise DryRunError(
        f"trainer.precision={precision}: the plan knows 32-true, bf16-mixed, bf16-true"
    )


def _optimizer_states(optimizer: Optimizer) -> int:
    """Numbers that it keeps per parameter: two moments, or a momentum, or none."""
    group = optimizer.param_groups[0]
    if "betas" in group:
        return 2 + bool(group.get("amsgrad", False))
    return int(bool(group.get("momentum", 0)))


def _engine(rollout: Namespace | None, rows: int) -> _Engine:
    """Where and how responses are sampled, from the engine's class and arguments."""
    if rollout is None:
        return {"engine": "policy", "engine_named": False, "engine_rows": rows}
    arguments = rollout.get("init_args") or Namespace()
    module, _, name = rollout.class_path.rpartition(".")
    if getattr(import_module(module), name).runs_policy:
        return {"engine": "policy", "engine_rows": arguments.get("max_rows") or rows}
    if "memory_fraction" not in arguments:  # a server: its settings are not ours to read
        connections = arguments.get("max_connections", 256)
        return {"engine": "elsewhere", "engine_rows": connections, **SERVER}
    dtype = arguments.get("dtype", "policy")
    sizes = {"policy": None, "float32": 4, "bfloat16": 2}
    cache = arguments.get("kv_cache_gb")
    return {
        "engine": "own",
        "engine_rows": arguments.get("max_sequences") or 256,
        "engine_memory": arguments.memory_fraction,
        "engine_cache": None if cache is None else cache * 2**30,
        "engine_sleeps": bool(arguments.get("sleep", True)),
        "engine_bytes": sizes[dtype],
    }


def _checkpointing(model: PreTrainedModel) -> bool:
    # renamed within transformers 5; the old name warns
    if hasattr(model, "is_activation_checkpointing"):
        return bool(model.is_activation_checkpointing)
    return bool(model.is_gradient_checkpointing)
