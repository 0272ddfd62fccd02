"""The model card of an exported policy: what it was trained from, how, and what was measured."""

import json
import math
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from lit_entropy.policy.policy import Policy
from lit_entropy.release import VERSION
from lit_entropy.tracking.metrics_file import METRICS_FILE, read_metrics
from lit_entropy.types import Config

LIBRARIES = ("torch", "lightning", "transformers")
#: Settings of a run that decide its numbers, beside the parts that are listed whole.
MODEL_KEYS = ("optimizer", "temperature", "max_new_tokens")
DATA_KEYS = ("task", "prompts_per_step", "group_size", "minibatch_size", "update_epochs",
             "group_filter")  # fmt: skip


def model_card(configuration: Config, rl_steps: int, policy: Policy, run_folder: Path) -> str:
    """The text of ``README.md`` with the hub's metadata at its head.

    Args:
        configuration: the run's, as its checkpoint records it.
        rl_steps: finished RL steps of the checkpoint.
        policy: the exported policy.
        run_folder: where ``metrics.csv`` is looked for.
    """
    model, data = configuration["model"], configuration["data"]
    base = model["policy"].get("init_args", model["policy"])
    header = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["reinforcement-learning", "lit_entropy", "arxiv:2505.22617"],
        base_model=base["model"] if is_hub_id(base["model"]) else None,
    )
    parts = {name: [model[name]] for name in ("loss", "advantage")}
    parts["regularizers"] = model.get("regularizers") or []
    settings = {f"model.{key}": model.get(key) for key in MODEL_KEYS}
    settings |= {f"data.{key}": data.get(key) for key in DATA_KEYS}
    settings["seed_everything"] = configuration.get("seed_everything")
    measured = validations(run_folder, rl_steps)
    # a tied head is one tensor under two names
    sizes = {value.data_ptr(): value.numel() for value in policy.merged_state_dict().values()}
    environment = Environment(
        loader=PackageLoader("lit_entropy", "assets"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown of the project's own values
    )
    return environment.get_template("model_card.md.j2").render(
        header=header.to_yaml(),
        name=configuration["run"]["name"],
        base=base,
        parameters=sum(sizes.values()),
        rl_steps=rl_steps,
        parts={name: [described(part) for part in value] for name, value in parts.items()},
        settings={key: described(value) for key, value in settings.items()},
        validated=max(measured, default=None),
        metrics=measured.get(rl_steps, {}),
        versions={"lit_entropy": VERSION} | {name: version(name) for name in LIBRARIES},
        temperature=model["temperature"],
    )


def is_hub_id(name: str) -> bool:
    """Whether a model's name can be one of the hub rather than a folder or a shipped base."""
    shaped = name.count("/") == 1 and not name.startswith((".", "/", "~"))
    return shaped and not os.path.exists(name)


def described(part: object) -> str:
    """A component as ``Class(name=value, ...)``, a plain value as JSON."""
    if isinstance(part, Mapping) and "class_path" in part:
        values = part.get("init_args") or {}
        inner = ", ".join(f"{key}={described(value)}" for key, value in values.items())
        return f"{str(part['class_path']).rpartition('.')[2]}({inner})"
    return json.dumps(part)


def validations(run_folder: Path, rl_steps: int) -> dict[int, dict[str, float]]:
    """Means of each validation by RL step, up to that of a checkpoint; none without metrics.csv."""
    if not (run_folder / METRICS_FILE).is_file():
        return {}
    columns = read_metrics(run_folder)
    keys = [key for key in columns if key.startswith("val/") and key.count("/") == 1]
    found: dict[int, dict[str, float]] = {}
    for row, step in enumerate(columns["step"]):
        values = {key.removeprefix("val/"): float(columns[key][row]) for key in keys}
        values = {key: value for key, value in values.items() if not math.isnan(value)}
        if values and step <= rl_steps:
            found[int(step)] = values
    return found
