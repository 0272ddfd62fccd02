"""Sweeps from files in the format of W&B, so that one file serves ``wandb agent`` as well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lit_entropy.closest import no_such_file
from lit_entropy.sweep.grid import as_word
from lit_entropy.yaml_text import read_yaml

#: What W&B reads and a local sweep has no need of.
IGNORED = ("program", "name", "description", "project", "entity")
KNOWN = (*IGNORED, "method", "metric", "parameters", "command")


@dataclass(frozen=True)
class SweepFile:
    """What a file says.

    Attributes:
        words: arguments of ``fit`` that all runs have.
        over: values by dotted key.
        seeds: seeds; None if the file names none.
        metric: the metric that it names, if any.
    """

    words: list[str] = field(default_factory=list)
    over: dict[str, list[Any]] = field(default_factory=dict)
    seeds: list[int] | None = None
    metric: str | None = None


def read_file(path: Path) -> SweepFile:
    """Read a sweep of the method ``grid``, whose values mean what they mean to W&B.

    Args:
        path: YAML file.

    Raises:
        ValueError: it is no grid, holds what a local sweep cannot do, or is no such file.
    """
    if not path.exists():
        raise ValueError(f"file={path}: {no_such_file(str(path))}")
    try:
        values = read_yaml(path)
    except ValueError as error:
        raise ValueError(f"file={error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("parameters"), dict):
        raise ValueError(f"file={path}: no mapping `parameters`; see docs/how-to/sweeps.md")
    if unknown := [key for key in values if key not in KNOWN]:
        named = _in_a_line(unknown[0])
        raise ValueError(f"file={path}: {named} is not known here, only {', '.join(KNOWN)}")
    if values.get("method", "grid") != "grid":
        raise ValueError(
            f"file={path}: method={_in_a_line(values['method'])}: lit-entropy sweep trains grids; "
            "start this one with wandb sweep and wandb agent"
        )
    over: dict[str, list[Any]] = {}
    words = _words(values.get("command"), path)
    for key, entry in _parameters(values["parameters"], path):
        if key == "seed_everything":
            over[key] = list(entry["values"]) if "values" in entry else [entry["value"]]
        elif "value" in entry:
            words += [f"--{key}", as_word(entry["value"], f"file={path}: parameters.{key}")]
        else:
            over[key] = list(entry["values"])
    seeds = over.pop("seed_everything", None)
    metric = values.get("metric")
    return SweepFile(words, over, seeds, metric.get("name") if isinstance(metric, dict) else None)


def _parameters(
    values: Mapping[str, Any], path: Path, prefix: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted key and entry of each parameter."""
    for name, entry in values.items():
        key = f"{prefix}{name}"
        if isinstance(entry, dict) and isinstance(entry.get("parameters"), dict):
            yield from _parameters(entry["parameters"], path, f"{key}.")
        elif isinstance(entry, dict) and _is_one_or_several(entry):
            yield key, entry
        else:
            raise ValueError(
                f"file={path}: parameters.{_in_a_line(key)}={_in_a_line(entry)}: a grid needs "
                "`values: [...]` or `value:`, one of them"
            )


def _is_one_or_several(entry: Mapping[str, Any]) -> bool:
    if "value" in entry:
        return "values" not in entry
    return isinstance(entry.get("values"), list)


def _words(command: object, path: Path) -> list[str]:
    """The words after ``fit`` of a W&B command, without its macros."""
    if command is None:
        return []
    words = [str(word) for word in command] if isinstance(command, list) else []
    if "fit" not in words:
        raise ValueError(
            f"file={path}: command={_in_a_line(command)}: expected [lit-entropy, fit, --config, "
            'FILE, "${args}"]'
        )
    kept = [word for word in words[words.index("fit") + 1 :] if not word.startswith("${")]
    parts = (word.split("=", 1) if word.startswith("--") else [word] for word in kept)
    return [part for word in parts for part in word]


def _in_a_line(value: object) -> str:
    """A value as it is written, or as Python writes it where it has line ends or is long."""
    text = str(value)
    return text if text.isprintable() and len(text) < 200 else f"{value!r:.200}"
