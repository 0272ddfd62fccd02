"""An experiment built without weights, data or devices, and checked for the devices it is for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, cast

import lightning as L
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from lightning.pytorch.strategies import Strategy as LightningStrategy

from lit_entropy.callbacks.base import trained_run
from lit_entropy.callbacks.checkpoint_checks import check_whole_steps
from lit_entropy.data import PromptDataModule
from lit_entropy.distributed.strategy import check_numbers, check_strategy
from lit_entropy.errors import DryRunError
from lit_entropy.evaluation.sampling import check_ends
from lit_entropy.module import EntropyModule
from lit_entropy.planning.workload import Strategy
from lit_entropy.policy.checks import check_adapters
from lit_entropy.policy.loading import dry_run
from lit_entropy.step.settings import check_trainer
from lit_entropy.tasks.prompt_limit import prompt_limit
from lit_entropy.tracking.redaction import require_shown


class Parsed(NamedTuple):
    """A configuration as ``lit-entropy fit`` parses it.

    Attributes:
        parser: the parser, which can build what the configuration names.
        config: what it parsed.
    """

    parser: ArgumentParser
    config: Namespace


@dataclass(frozen=True)
class Built:
    """An experiment on the meta device.

    Attributes:
        module: the module; its policy has shapes and no weights, its rollout engine is left out.
        engine: class and arguments of the rollout engine; None for the default.
        data: the data module; no problem has been read.
        trainer: the Trainer with the configuration's settings, but on one CPU.
        devices: devices the run is meant for.
        strategy: how the weights lie on them.
    """

    module: EntropyModule
    engine: Namespace | None
    data: PromptDataModule
    trainer: L.Trainer
    devices: int
    strategy: Strategy


def build(experiment: Parsed, devices: int | None = None) -> Built:
    """Instantiate a parsed configuration without weights, data or devices, and check it.

    The rollout engine alone is not built: its package (vLLM) need not be on the machine where a run
    is planned, and its arguments have been checked when they were parsed.

    Args:
        experiment: the parsed configuration.
        devices: their number; by default that of the configuration.

    Raises:
        ValueError: a setting that a part refuses, a size that does not divide over the devices, or
            a model whose context is too short.
    """
    require_shown(experiment.config.as_dict())
    config = experiment.config.clone()
    engine, config.model.engine = config.model.engine, None
    with dry_run(), _quiet():
        parts = experiment.parser.instantiate(config)
        own = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto"}
        own |= {"logger": False, "enable_checkpointing": False}
        check_numbers(parts.trainer.accelerator, _precision(parts.trainer))
        trainer = L.Trainer(**{**parts.trainer, **own})
    module, data = cast(EntropyModule, parts.model), cast(PromptDataModule, parts.data)
    if devices is None:
        devices = configured_devices(config)
    if devices < 1:
        raise ValueError(f"gpus={devices} must be at least 1")
    strategy = _strategy(parts.trainer.strategy, devices)
    built = Built(module, engine, data, trainer, devices, strategy)
    _check(built)
    return built


def configured_devices(config: Namespace) -> int:
    """trainer.devices times trainer.num_nodes; ``auto`` and -1 count as one device."""
    devices = config.trainer.devices
    if isinstance(devices, str) and "," in devices:  # their numbers
        devices = [number for number in devices.split(",") if number.strip()]
    text = str(len(devices) if isinstance(devices, list) else devices)
    return config.trainer.num_nodes * (int(text) if text.isdigit() else 1)


def _precision(trainer: Namespace) -> str:
    """trainer.precision as it is on the devices that are meant: a CPU computes 16-mixed as bf16."""
    name = {"16": "16-mixed"}.get(str(trainer.precision), str(trainer.precision))
    return "bf16-mixed" if (name, trainer.accelerator) == ("16-mixed", "cpu") else name


def _check(built: Built) -> None:
    """What fit checks at setup, for the devices that the run is meant for."""
    module, data = built.module, built.data
    plan = data.plan_with(built.trainer.accumulate_grad_batches)
    check_trainer(built.trainer.check_val_every_n_epoch, built.trainer.gradient_clip_val)
    check_whole_steps(
        plan.updates_per_step,
        fast_dev_run=bool(trained_run(built.trainer).fast_dev_run),
        val_check_interval=built.trainer.val_check_interval,
        max_steps=built.trainer.max_steps,
        limit_train_batches=built.trainer.limit_train_batches,
        callbacks=trained_run(built.trainer).callbacks,
    )
    module.advantage.check_group_size(plan.group_size)
    check_adapters(module.policy, [module.advantage, *module.regularizers])
    trainer = built.trainer
    every, steps = trainer.check_val_every_n_epoch, trainer.max_epochs
    check_ends(module.evaluation.sampling, every, steps)
    plan.check_ranks(built.devices)
    context = module.policy.context
    prompt_limit(module.response_limits("training"), context, data.max_prompt_tokens)
    arguments = (built.engine and built.engine.get("init_args")) or Namespace()
    longest = arguments.get("max_model_len")
    if longest is not None and not module.max_new_tokens < longest <= (context or longest):
        raise ValueError(
            f"model.engine.max_model_len={longest} must lie above model.max_new_tokens="
            f"{module.max_new_tokens} and not above model.policy's context of {context} tokens"
        )


def _strategy(strategy: object, devices: int) -> Strategy:
    name = strategy if isinstance(strategy, str) else ""
    if isinstance(strategy, LightningStrategy):
        check_strategy(strategy)
    if isinstance(strategy, ModelParallelStrategy) or name == "modelparallel":
        return "fsdp2"
    if isinstance(strategy, DDPStrategy) or name.startswith("ddp") or name == "auto":
        return "ddp" if devices > 1 else "one"
    raise DryRunError(
        f"trainer.strategy={strategy!r}: the plan knows auto, ddp and configs/strategy/fsdp2.yaml"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """The Trainer's remarks about the devices of this machine are not about the run."""
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
