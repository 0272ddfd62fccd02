"""Seconds of an RL step: ``lit-entropy fit`` with all its callbacks, TRL, and one plain script.

All start from the same base and are given the same prompts; validation is off. An RL step counts
from its start to the start of the next, logging and checkpoints included. Each round is a run of
its own, whose first RL step, in which a compiled one compiles, is not counted. The same RL steps
count for all contenders, as responses grow longer from one to the next.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from benchmarks import plain_grpo, trl_grpo
from benchmarks.fitted import CONFIGS, fit
from benchmarks.records import Outcome, Series, Size, ratio
from benchmarks.rounds import Contender, alternate
from benchmarks.setting import NO_WEIGHTS, SMOLLM, Setting, base_folder, has_weights

QUICKSTART = ("quickstart.yaml",)
NOTHING: Mapping[str, str] = MappingProxyType({})
ARITHMETIC = ("base.yaml", "experiment/smollm_arithmetic.yaml")
SMOKE = Setting("chain-xs", "chain", (*QUICKSTART, "../tests/small.yaml"), 4, 2e-4, 2, 2, 2, 1, 1)
#: Full sizes by the name of the case.
SETTINGS = {
    "rl_step_0.1m": Setting("chain-s", "chain", QUICKSTART),
    "rl_step_1.5m": Setting("chain-l", "chain", QUICKSTART, steps=10),
    "rl_step_smollm": Setting(SMOLLM, "sums", ARITHMETIC, 16, 1e-6, 4, 8, 16, 2, 4),
}


def measure(name: str, size: Size, rounds: int) -> Outcome:
    """Seconds of an RL step of each contender, and TRL's and the plain script's by ours.

    Args:
        name: of the case, a key of ``SETTINGS``.
        size: the smoke size is one for all names.
        rounds: how many.
    """
    setting = SMOKE if size == "smoke" else SETTINGS[name]
    missing = [] if has_weights(setting.base) else [NO_WEIGHTS]
    with tempfile.TemporaryDirectory() as written:
        folder = base_folder(setting.base, Path(written))
        contenders: dict[str, Contender] = {"lit_entropy": partial(fit_seconds, setting, folder)}
        if setting.task == "chain":
            if size == "full":  # it takes a minute
                contenders["lit_entropy, compiled"] = partial(compiled_seconds, setting, folder)
            contenders["plain script"] = partial(plain_seconds, setting, folder)
        if not trl_grpo.installed():
            missing.append(trl_grpo.MISSING)
        else:
            contenders["TRL"] = partial(trl_grpo.trl_seconds, setting, folder)
        seconds = alternate(contenders, rounds, warm=False)
    return Outcome((*seconds.values(), *_ratios(name, seconds)), tuple(missing))


def _ratios(name: str, seconds: dict[str, Series]) -> list[Series]:
    ours, compiled = seconds["lit_entropy"], seconds.get("lit_entropy, compiled")
    found = [
        ratio(f"{name}: {other} by lit_entropy", series, ours)
        for other, series in seconds.items()
        if series is not ours
    ]
    if compiled is not None and "TRL" in seconds:
        found.append(ratio(f"{name}: TRL by lit_entropy, compiled", seconds["TRL"], compiled))
    return found


def compiled_seconds(setting: Setting, folder: str) -> float:
    """Seconds of an RL step of ``lit-entropy fit`` with ``model.policy.compile``, once compiled."""
    torch.compiler.reset()  # torch gives up on a function that several models have compiled
    return fit_seconds(setting, folder, {"model.policy.compile": "inductor"})


def fit_seconds(setting: Setting, folder: str, more: Mapping[str, str] = NOTHING) -> float:
    """Seconds of an RL step of ``lit-entropy fit``.

    Args:
        setting: of the RL step.
        folder: of the base.
        more: further settings.
    """
    configs = [word for path in setting.configs for word in ("--config", str(CONFIGS / path))]
    values = {
        "model.policy.model": folder,
        "model.max_new_tokens": setting.limit,
        "model.optimizer.lr": setting.rate,
        "data.prompts_per_step": setting.prompts,
        "data.group_size": setting.group,
        "data.minibatch_size": setting.minibatch,
        "trainer.accumulate_grad_batches": setting.microbatches,
        **more,
    }
    words = [*configs, *(f"--{key}={value}" for key, value in values.items())]
    return fit(words, setting.steps).step_seconds


def plain_seconds(setting: Setting, folder: str) -> float:
    """Seconds of an RL step of the plain script, from the first rollout to the last update."""
    values = {
        "base": folder,
        "steps": setting.steps + 2,
        "lr": setting.rate,
        "limit": setting.limit,
        "prompts": setting.prompts,
        "group": setting.group,
        "updates": setting.plan.updates_per_step,
        "threads": torch.get_num_threads(),
        "validation_size": 10,
        "evaluate_every": setting.steps + 2,
    }
    records = plain_grpo.train(plain_grpo.parse([f"--{k}={v}" for k, v in values.items()]))
    for _ in range(2):  # the evaluation of the base, and the first RL step
        next(records)
    start = time.perf_counter()
    for _ in range(setting.steps):  # the last record of all evaluates again
        next(records)
    return (time.perf_counter() - start) / setting.steps
