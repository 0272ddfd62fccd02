"""Which runs `lit-entropy figures` draws, and the curve that each belongs to."""

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from lit_entropy.figures.history import load_run
from lit_entropy.figures.runs import Run
from lit_entropy.tracking.metrics_file import METRICS_FILE
from lit_entropy.yaml_text import read_yaml

#: Keys of the configuration of ``validate``, ``test`` and ``predict`` that one of ``fit`` lacks.
EVALUATES = ("checkpoints", "verbose", "return_predictions")

Labels = Mapping[str, str] | Sequence[str] | None


def load_runs(patterns: Sequence[str], labels: Labels, say: Callable[[str], None]) -> list[Run]:
    """The runs that some arguments name, each with its label.

    Args:
        patterns: run folders or CSV files, or patterns of them such as ``runs/a-*``.
        labels: by name of the run, or by a pattern of names; or one for each of ``patterns``.
        say: called with a line for what a pattern matches and that is no run.

    Raises:
        FileNotFoundError: a pattern that matches no run.
        ValueError: the folder of an evaluation, labels that belong to no run, or two runs that are
            one label's same seed.
    """
    if not isinstance(labels, Mapping) and labels is not None and len(labels) != len(patterns):
        raise ValueError(
            f"labels={list(labels)} are {len(labels)} for {len(patterns)} arguments: give one for "
            "each, or pairs of a run's name and its label"
        )
    runs: list[Run] = []
    seen: set[Path] = set()
    for index, pattern in enumerate(patterns):
        own = labels[index] if labels is not None and not isinstance(labels, Mapping) else None
        for path in _matches(pattern, say):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                runs.append(load_run(path, own))
    if isinstance(labels, Mapping):
        runs = _by_name(runs, labels)
    _check_seeds(runs)
    return runs


def load_others(patterns: Sequence[str], say: Callable[[str], None]) -> list[Run]:
    """The runs that some arguments name, of any settings, each with its method for a label.

    Raises:
        FileNotFoundError: a pattern that matches no run.
        ValueError: the folder of an evaluation.
    """
    return [load_run(path) for path in _each_once(patterns, say)]


def run_folders(patterns: Sequence[str], say: Callable[[str], None]) -> list[Path]:
    """The run folders that some arguments name, each once.

    Raises:
        FileNotFoundError: a pattern that matches no run.
        ValueError: the folder of an evaluation.
    """
    return _each_once(patterns, say)


def _each_once(patterns: Sequence[str], say: Callable[[str], None]) -> list[Path]:
    found = [path for pattern in patterns for path in _matches(pattern, say)]
    return list({path.resolve(): path for path in found}.values())


def _matches(pattern: str, say: Callable[[str], None]) -> list[Path]:
    """The runs of an argument, by name."""
    if os.path.exists(pattern) or not glob.has_magic(pattern):
        path = Path(pattern)
        if _evaluates(path):
            raise ValueError(
                f"{pattern} holds the evaluation of a run, not its training: name the run's folder"
            )
        return [path if path.name not in ("", "..") else path.resolve()]  # a run has its name
    found = [Path(path) for path in sorted(glob.glob(pattern))]
    evaluations = [path for path in found if _evaluates(path)]
    found = [path for path in found if path not in evaluations]
    runs = [path for path in found if path.is_file() or (path / METRICS_FILE).exists()]
    if evaluations:
        say(f"{pattern}: evaluations, so no runs: {', '.join(each.name for each in evaluations)}")
    if not runs:
        raise FileNotFoundError(
            f"{pattern} matches no run folder with {METRICS_FILE} and no CSV file: name the folder "
            "that holds the runs, 'runs/my-run-*' say"
        )
    if others := [path.name for path in found if path not in runs]:
        say(f"{pattern}: without {METRICS_FILE}, so no runs: {', '.join(others)}")
    return runs


def _evaluates(path: Path) -> bool:
    """Whether a folder is that of a validation, a test or predictions, by its configuration."""
    config = (path.parent if path.name == METRICS_FILE else path) / "config.yaml"
    if not config.is_file():
        return False
    values = read_yaml(config)
    return isinstance(values, dict) and any(key in values for key in EVALUATES)


def _by_name(runs: Sequence[Run], labels: Mapping[str, str]) -> list[Run]:
    """Runs with the label of the first pattern that matches their name."""
    names = [run.name for run in runs]
    unknown = [key for key in labels if not any(fnmatchcase(name, key) for name in names)]
    if unknown:
        raise ValueError(f"labels={sorted(unknown)}: the runs are {sorted(names)}")
    return [
        replace(
            run,
            label=next((v for key, v in labels.items() if fnmatchcase(run.name, key)), run.label),
        )
        for run in runs
    ]


def _check_seeds(runs: Sequence[Run]) -> None:
    """Runs of one label differ in the seed, the model, the task or the swept number.

    Raises:
        ValueError: two do not.
    """
    names: dict[tuple[object, ...], str] = {}
    for run in runs:
        key = (run.label, run.seed, run.x, run.facts.get("model"), run.facts.get("task"))
        if key in names:
            raise ValueError(
                f"runs {names[key]!r} and {run.name!r} both are seed {run.seed} of {run.label!r}: "
                f'give them labels, --labels \'{{"{run.name}": "another name"}}\' say, or leave '
                "one out"
            )
        names[key] = run.name
