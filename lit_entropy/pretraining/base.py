"""From a recipe to the folder of a base model."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
import transformers
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from lit_entropy.atomic import atomic_write
from lit_entropy.errors import NonFiniteError
from lit_entropy.functional.rng import hash_keys
from lit_entropy.pretraining.attempts import AttemptMixture, attempt_texts
from lit_entropy.pretraining.data import PretrainingBatches
from lit_entropy.pretraining.model import MAX_TOKENS, Pretraining, build_model, width_of
from lit_entropy.pretraining.options import Average
from lit_entropy.pretraining.responses import Mixture, pretraining_texts
from lit_entropy.pretraining.strategies import StrategyPrior, strategy_texts
from lit_entropy.pretraining.tokenizer import (
    CHARACTERS,
    DISCOVERY_CHARACTERS,
    character_tokenizer,
)
from lit_entropy.types import Config

WEIGHTS = "model.safetensors"
#: Texts of the held-out loss: numbers that no training reaches, batches, and texts a batch.
BEYOND, HELD_OUT, HELD_OUT_SIZE = 2**40, 32, 128
Pairs = list[tuple[str, str]]
#: A record of parameters of one task.
R = TypeVar("R", AttemptMixture, StrategyPrior)
#: The records by the parameter that holds them.
RECORDS: dict[str, type[AttemptMixture | StrategyPrior]] = {
    "attempts": AttemptMixture,
    "strategies": StrategyPrior,
}
#: Parameters that belong to one task alone, left out of the recipes of others.
ONLY = {
    "chain": ("max_length", *(item.name for item in fields(Mixture))),
    "countdown": ("min_numbers", "max_numbers", "attempts"),
    "discovery": ("strategies",),
}


def make_base(folder: Path, arguments: Config, given: Collection[str], progress: bool) -> Path:
    """Train a base and write its folder.

    Args:
        folder: to write; it must not exist or be empty.
        arguments: those of :func:`lit_entropy.pretraining.command.pretrain` but for the folder and
            ``progress``.
        given: the names of those that differ from their defaults.
        progress: whether to show a progress bar.

    Returns:
        The folder.

    Raises:
        ValueError: for a folder that is not empty or cannot be made, or a parameter out of range.
        NonFiniteError: the training has diverged; nothing is written.
    """
    _check_own(arguments, given)
    task, recipe = arguments["task"], _of_task(arguments)
    _check(folder, recipe)
    temporary = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    try:
        temporary.mkdir(parents=True)  # before the training, which would be in vain
    except OSError as error:
        raise ValueError(
            f"output is {folder}: it cannot be made ({error.strerror}); choose another folder"
        ) from error
    try:
        _make(temporary, task, recipe, progress)
        if folder.is_dir():
            folder.rmdir()
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _make(folder: Path, task: str, recipe: dict[str, Any], progress: bool) -> None:
    if task == "countdown":
        recipe["attempts"] = asdict(_record(AttemptMixture, recipe["attempts"]))
    if task == "discovery":
        recipe["strategies"] = asdict(_record(StrategyPrior, recipe["strategies"]))
    tokenizer = character_tokenizer(DISCOVERY_CHARACTERS if task == "discovery" else CHARACTERS)
    seed, steps = recipe["seed"], recipe["steps"]
    batches = PretrainingBatches(
        tokenizer, _texts(recipe), recipe["batch_size"], steps, seed, recipe["average"]
    )
    with torch.random.fork_rng(devices=[]):  # the caller's generator is left alone
        torch.manual_seed(int(hash_keys(seed, "pretrain-weights")) & 0x7FFFFFFF)
        model = build_model(recipe.get("width") or width_of(recipe["size"]), tokenizer)
        module = Pretraining(model, recipe["learning_rate"], steps)
        recipe["final_loss"] = round(_fit(module, batches, progress), 6)
        held_out = PretrainingBatches(
            tokenizer, _held_out(_texts(recipe)), HELD_OUT_SIZE, HELD_OUT, seed
        )
        loss = module.mean_loss(held_out)
    _require_finite(module, {"loss": recipe["final_loss"], "held-out loss": loss}, steps)
    module.model.to(getattr(torch, recipe["dtype"])).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
    write_recipe(folder, recipe, loss)


def _require_finite(module: Pretraining, losses: Mapping[str, float], steps: int) -> None:
    """Raise NonFiniteError for a base that has diverged."""
    weights = all(bool(weight.isfinite().all()) for weight in module.parameters())
    bad = [name for name, loss in losses.items() if not math.isfinite(loss)]
    if bad or not weights:
        raise NonFiniteError(
            f"{', '.join(bad) or 'weights'} not finite after {steps} steps: nothing is written; "
            f"lower learning_rate, which is {module.learning_rate:g}"
        )


def _check_own(arguments: Config, given: Collection[str]) -> None:
    """Refuse a parameter of another task, which would change nothing."""
    task = arguments["task"]
    record = {"countdown": "attempts", "discovery": "strategies"}.get(task, "")
    own = {item.name for item in fields(RECORDS[record])} if record else set()
    for other in ONLY.keys() - {task}:
        for name in ONLY[other]:
            if name in given:
                remedy = f"take {record}.{name}" if name in own else "leave it out"
                raise ValueError(
                    f"{name} is {arguments[name]!r}: it is of task {other}, not {task}; {remedy}"
                )


def _of_task(recipe: Config) -> dict[str, Any]:
    """The parameters of the task alone."""
    task = recipe["task"]
    others = {name for other in ONLY if other != task for name in ONLY[other]}
    if task == "chain":
        others.add("task")  # the recipes of the shipped bases do not name it
    others.add("size" if recipe.get("width") else "width")
    return {name: value for name, value in recipe.items() if name not in others}


def _record(kind: type[R], given: R | Mapping[str, Any] | None) -> R:
    """The record; the command line gives its fields as a mapping."""
    if isinstance(given, Mapping):
        return kind(**given)
    return kind() if given is None else given


def _texts(recipe: Config) -> Callable[[Tensor], Pairs]:
    """Prompts and responses by their numbers, as the recipe says."""
    seed = recipe["seed"]
    if "strategies" in recipe:
        return partial(strategy_texts, mixture=StrategyPrior(**recipe["strategies"]), seed=seed)
    if "attempts" in recipe:
        counts = {name: recipe[name] for name in ("min_numbers", "max_numbers")}
        return partial(
            attempt_texts, mixture=AttemptMixture(**recipe["attempts"]), seed=seed, **counts
        )
    mixture = Mixture(**{item.name: recipe[item.name] for item in fields(Mixture)})
    return partial(pretraining_texts, max_length=recipe["max_length"], mixture=mixture, seed=seed)


def _held_out(texts: Callable[[Tensor], Pairs]) -> Callable[[Tensor], Pairs]:
    return lambda number_N: texts(number_N + BEYOND)


def _fit(module: Pretraining, batches: PretrainingBatches, progress: bool) -> float:
    """Train on the CPU for all batches; returns the loss of the last one."""
    trainer = Trainer(
        max_steps=batches.steps,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
    )
    module.train()
    module.model.train()
    trainer.fit(module, DataLoader(batches, batch_size=None))
    return float(trainer.callback_metrics["pretrain/loss"])


def write_recipe(folder: Path, recipe: Config, held_out_loss: float) -> Path:
    """Write ``recipe.json``: the parameters, the held-out loss, the versions, the weights' hash."""
    record = {
        "parameters": dict(recipe),
        "held_out_loss": round(held_out_loss, 6),  # nats a response token
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "sha256": weights_hash(folder),
    }
    with atomic_write(folder / "recipe.json") as file:
        file.write((json.dumps(record, indent=2) + "\n").encode())
    return folder


def weights_hash(folder: str | Path) -> str:
    """sha256 of a model folder's weights, as hexadecimal digits."""
    return hashlib.sha256((Path(folder) / WEIGHTS).read_bytes()).hexdigest()


def _check(folder: Path, recipe: Config) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"output is {folder}: it is not empty; choose a new folder")
    for name in ("steps", "batch_size", "max_length"):
        if recipe.get(name, 1) < 1:
            raise ValueError(f"{name} is {recipe[name]}: give 1 or more")
    # 2 n + 2 of prompt, 6 n + 3 of careful response
    if 8 * recipe.get("max_length", 1) + 5 > MAX_TOKENS:
        raise ValueError(
            f"max_length is {recipe['max_length']}: a careful response must fit in {MAX_TOKENS} "
            f"tokens; choose at most {(MAX_TOKENS - 5) // 8}"
        )
    if not 2 <= recipe.get("min_numbers", 3) <= recipe.get("max_numbers", 5) <= 9:
        raise ValueError(
            f"min_numbers is {recipe['min_numbers']} and max_numbers {recipe['max_numbers']}: use "
            "2 <= min_numbers <= max_numbers <= 9"
        )
    if recipe["average"] not in get_args(Average):
        raise ValueError(f"average is {recipe['average']!r}: give one of {get_args(Average)}")
    if not 0 < recipe["learning_rate"] < math.inf:
        raise ValueError(f"learning_rate is {recipe['learning_rate']}: give a positive number")
