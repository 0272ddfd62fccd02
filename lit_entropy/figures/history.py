"""Finished or running runs as figures see them: from run folders, and from W&B exports."""

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from lit_entropy.figures.runs import Run
from lit_entropy.figures.settings import settings_of
from lit_entropy.tracking.metrics_file import METRICS_FILE, read_metrics
from lit_entropy.tracking.state_table import STATES_FILE, read_states
from lit_entropy.yaml_text import read_yaml

#: Columns that may hold the RL step of an exported table, best first.
STEP_COLUMNS = ("step", "rl_step", "_step", "Step", "trainer/global_step")
#: Labels by the class of the advantage, where the loss is PPO's plain clip.
ADVANTAGES = {
    "GRPO": "GRPO",
    "DrGRPO": "Dr. GRPO",
    "RLOO": "RLOO",
    "ReinforcePlusPlus": "REINFORCE++",
    "Prime": "PRIME",
    "PRIME": "PRIME",
}
CONTROLS = {"RandomRewards": "random rewards", "ShuffledAdvantages": "shuffled advantages"}
#: Labels by the class of the loss, and the argument that is swept in Fig. 12.
LOSSES = {
    "KLCov": ("KL-Cov", "kl_coef"),
    "ClipCov": ("Clip-Cov", "fraction"),
    "PolicyGradient": ("policy gradient", None),
}
REGULARIZERS = {"EntropyBonus": "entropy bonus", "ReferenceKL": "reference KL"}
#: What of a model's weights counts as embedding: Fig. 7 counts parameters without them.
EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "wpe", "embed_in", "embed_out")

ASSETS = Path(__file__).parents[1] / "assets"


def load_run(path: str | Path, label: str | None = None) -> Run:
    """A run from its folder, or from a CSV file: metrics.csv or an export of W&B's run history.

    Args:
        path: run folder, or CSV file with a column of the RL step and one per metric key.
        label: the curve it belongs to; by default read off the configuration.

    Returns:
        The run; its label is the method that ``config.yaml`` names, its ``x`` its knob
        (see ``method_of``) or else the parameters of a local model; ``facts`` hold the model,
        the task and the group size, ``settings`` all of it. Without a configuration label and seed
        are read off the name: ``my-method-seed3`` has seed 3, a name without ``seed<n>`` seed 0.

    Raises:
        FileNotFoundError: there is no such file, or the run has no metrics yet.
        ValueError: the table has no column of RL steps, or holds several runs.
    """
    path = Path(path)
    is_table = os.path.isfile(path)  # a name too long for one is no file
    if is_table and path.name != METRICS_FILE:
        return Run(path.stem, label or path.stem, _seed(path.stem), read_export(path))
    folder = path.parent if is_table else path
    history = read_metrics(folder)
    config = folder / "config.yaml"
    if not config.exists():
        return Run(folder.name, label or folder.name, _seed(folder.name), history)
    values = read_yaml(config)
    try:
        own_label, x = method_of(values)
        model = _part(values, "model.policy", "model")
        facts: dict[str, float | str] = {
            "model": str(model),
            "task": _name(_part(values, "data.task")),
            "group_size": float(_part(values, "data.group_size")),
        }
        seed = int(values["seed_everything"])
        settings = settings_of(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{config} is not the configuration of a run ({type(error).__name__}: {error}): name "
            "a folder of lit-entropy fit"
        ) from error
    if x is None and isinstance(model, str):
        x = body_parameters(model)
    states = read_states(folder) if (folder / STATES_FILE).is_file() else {}
    return Run(folder.name, label or own_label, seed, history, x, facts, states, settings)


def read_export(path: Path) -> dict[str, np.ndarray]:
    """A table of W&B's run history as one float array a column; text and empty cells are NaN.

    W&B writes a row per call, so that an RL step may have several: they are merged, the last number
    of each column counts. Rows without an RL step are left out.

    Raises:
        ValueError: no column of RL steps, one metric of several runs, or no table of text.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(table := csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file ({error}): export the run's history") from error
    columns = list(table.fieldnames or ()) if rows else []
    step = next((name for name in STEP_COLUMNS if name in columns), None)
    if step is None:
        raise ValueError(f"{path} has none of the columns {', '.join(STEP_COLUMNS)}: it has "
                         f"{columns[:8]}; export the run's history with its step")  # fmt: skip
    kept = [name for name in columns if not name.endswith(("__MIN", "__MAX"))]
    keys = [_bare(name) for name in kept]
    if several := [name for name in kept if keys.count(_bare(name)) > 1]:
        raise ValueError(f"{path} holds several runs in {several[:4]}: export one run a file")
    step_R = np.array([_number(row[step]) for row in rows])
    step_N, row_R = np.unique(step_R, return_inverse=True)
    history = {}
    for name, key in zip(kept, keys, strict=True):
        value_R = np.array([_number(row[name]) for row in rows])
        finite_R = np.isfinite(value_R) & np.isfinite(step_R)
        if finite_R.any():
            history[key] = np.full(len(step_N), np.nan)
            history[key][row_R[finite_R]] = value_R[finite_R]  # of equal rows the last is kept
    finite_N = np.isfinite(step_N)
    history["step"] = step_N
    return {key: value_N[finite_N] for key, value_N in history.items()}


def method_of(config: Mapping[str, Any]) -> tuple[str, float | None]:
    """The method's name in the figures, and its knob: coefficient of a regularizer, of KL-Cov's
    penalty, or Clip-Cov's fraction; None for a method without one.

    A loss, advantage or regularizer that the paper does not have goes by the name of its class.
    """
    for item in _part(config, "model.regularizers") or []:
        name = _name(item)
        if name in REGULARIZERS:
            return REGULARIZERS[name], float(item["init_args"]["coef"])
        return name, None
    loss = _part(config, "model.loss") or {}
    bounds = loss.get("init_args", {})
    advantage = _name(_part(config, "model.advantage") or {})
    if advantage in CONTROLS:
        return CONTROLS[advantage], None
    if _name(loss) in LOSSES:
        label, swept = LOSSES[_name(loss)]
        return label, float(bounds[swept]) if swept else None
    if _name(loss) not in ("PPOClip", ""):
        return _name(loss), None
    if bounds.get("clip_high", 0) > bounds.get("clip_low", 0):
        return "clip-higher", None
    return ADVANTAGES.get(advantage, advantage or "other"), None


def body_parameters(model: str) -> float | None:
    """Parameters without embeddings of a shipped base or a local folder; None for other models.

    Raises:
        ValueError: a file of weights is damaged.
    """
    for folder in (ASSETS / model, Path(model)):
        files = sorted(folder.glob("*.safetensors")) if os.path.isdir(folder) else []
        if files:
            return float(sum(_count(file) for file in files))
    return None


def _count(file: Path) -> int:
    try:
        with safe_open(file, framework="numpy") as weights:
            shapes: Sequence[tuple[str, list[int]]] = [
                (name, weights.get_slice(name).get_shape())
                for name in weights.keys()  # noqa: SIM118
            ]
    except SafetensorError as error:
        raise ValueError(
            f"{file} is damaged ({error}): the parameters of its model cannot be counted; copy it "
            "again, or move it away"
        ) from error
    return sum(
        int(np.prod(shape)) for name, shape in shapes if not any(e in name for e in EMBEDDINGS)
    )


def _part(config: Mapping[str, Any], *keys: str) -> Any:
    """The value at dotted keys, through ``init_args`` where there are any; None if absent."""
    value: Any = config
    for key in ".".join(keys).split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key, (value.get("init_args") or {}).get(key))
    return value


def _name(item: Any) -> str:
    """Class name of an item with a ``class_path``."""
    return str(item.get("class_path", "")).rpartition(".")[2] if isinstance(item, Mapping) else ""


def _seed(name: str) -> int:
    """The number after ``seed`` in a name; 0 without one."""
    found = re.search(r"seed[-_ ]?(\d+)", name)
    return int(found[1]) if found else 0


def _bare(column: str) -> str:
    """``run name - entropy/token_mean`` of a chart's export is ``entropy/token_mean``."""
    return column.rpartition(" - ")[2]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")
