"""``lit-entropy pretrain``: rebuild a shipped base model, or make another, from scratch."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import transformers
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from lit_entropy.atomic import atomic_write
from lit_entropy.functional.rng import hash_keys
from lit_entropy.pretraining.attempts import AttemptMixture, attempt_texts
from lit_entropy.pretraining.data import PretrainingBatches
from lit_entropy.pretraining.model import MAX_TOKENS, Pretraining, build_model
from lit_entropy.pretraining.responses import Mixture, pretraining_texts
from lit_entropy.pretraining.strategies import StrategyPrior, strategy_texts
from lit_entropy.pretraining.tokenizer import (
    CHARACTERS,
    DISCOVERY_CHARACTERS,
    character_tokenizer,
)
from lit_entropy.types import Config

WEIGHTS = "model.safetensors"
#: A record of parameters of one task.
R = TypeVar("R", AttemptMixture, StrategyPrior)
#: Parameters that belong to one task alone, left out of the recipes of others.
ONLY = {
    "chain": ("max_length", *(item.name for item in fields(Mixture))),
    "countdown": ("min_numbers", "max_numbers", "attempts"),
    "discovery": ("strategies",),
}


def pretrain(
    output: str,
    size: Literal["xs", "s", "m", "l"] = "s",
    steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    seed: int = 0,
    max_length: int = 10,
    short_length: int = 4,
    careful_short: float = 0.35,
    careful_long: float = 0.04,
    guess: float = 0.3,
    skip_short: float = 0.35,
    skip_long: float = 0.35,
    error: float = 0.05,
    dtype: Literal["float32", "bfloat16"] = "float32",
    progress: bool = True,
    task: Literal["chain", "countdown", "discovery"] = "chain",
    min_numbers: int = 3,
    max_numbers: int = 5,
    attempts: AttemptMixture | None = None,
    strategies: StrategyPrior | None = None,
) -> Path:
    """Pretrain a tiny Qwen2 on careful, sloppy and guessed answers to one of the tiny tasks.

    The result is an imperfect prior, as a base language model is: reinforcement learning has
    accuracy to gain and entropy to spend. Everything is determined by the seed.

    Args:
        output: Folder to write; it must not exist or be empty.
        size: Model size: xs 24 k, s 96 k, m 0.38 M, l 1.5 M parameters.
        steps: Optimiser steps.
        batch_size: Sequences a step.
        learning_rate: Peak learning rate of AdamW.
        seed: Seed of the weights and of every batch.
        max_length: Chain: most operations of a pretraining prompt.
        short_length: Longest chain that counts as short.
        careful_short: Share of careful responses on short chains.
        careful_long: Share of careful responses on longer chains.
        guess: Share of guesses; what is left is sloppy.
        skip_short: Probability that a sloppy response leaves out a result, on short chains.
        skip_long: The same on longer chains.
        error: Probability that a written result is a wrong digit.
        dtype: Type of the saved weights; training is in float32.
        progress: Whether to show a progress bar.
        task: Chain arithmetic, countdown or strategy discovery.
        min_numbers: Countdown: fewest numbers of a pretraining prompt.
        max_numbers: Countdown: most numbers of a pretraining prompt.
        attempts: Countdown: shares of the styles of response and their faults.
        strategies: Discovery: the prior over strategies, and the world that it is of.

    Returns:
        The folder, with weights, configuration, tokenizer and ``recipe.json``.

    Raises:
        ValueError: for a non-empty folder or a parameter out of range.
    """
    recipe = {k: v for k, v in locals().items() if k not in ("output", "progress")}
    for name in [name for other in ONLY if other != task for name in ONLY[other]]:
        del recipe[name]
    if task == "chain":
        del recipe["task"]  # the recipes of the shipped bases do not name it
    folder = Path(output)
    _check(folder, recipe)
    if task == "countdown":
        recipe["attempts"] = asdict(_record(AttemptMixture, attempts))
    if task == "discovery":
        recipe["strategies"] = asdict(_record(StrategyPrior, strategies))
    tokenizer = character_tokenizer(DISCOVERY_CHARACTERS if task == "discovery" else CHARACTERS)
    batches = PretrainingBatches(tokenizer, _texts(recipe), batch_size, steps, seed)
    with torch.random.fork_rng(devices=[]):  # the caller's generator is left alone
        torch.manual_seed(int(hash_keys(seed, "pretrain-weights")) & 0x7FFFFFFF)
        module = Pretraining(build_model(size, tokenizer), learning_rate, steps)
        recipe["final_loss"] = round(_fit(module, batches, progress), 6)
    module.model.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
    return write_recipe(folder, recipe)


def _record(kind: type[R], given: R | Mapping[str, Any] | None) -> R:
    """The record; the command line gives its fields as a mapping."""
    if isinstance(given, Mapping):
        return kind(**given)
    return kind() if given is None else given


def _texts(recipe: Config) -> Callable[[Tensor], list[tuple[str, str]]]:
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


def write_recipe(folder: Path, recipe: Config) -> Path:
    """Write ``recipe.json``: the parameters, the versions and the weights' sha256."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    record = {"parameters": dict(recipe), "versions": versions, "sha256": weights_hash(folder)}
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
    if recipe["learning_rate"] <= 0:
        raise ValueError(f"learning_rate is {recipe['learning_rate']}: give a positive number")
