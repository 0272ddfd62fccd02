"""What a command changes of the experiment that its files name, for the name of its run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lit_entropy.cli.options import RunOptions
from lit_entropy.cli.values import ConfigLoader
from lit_entropy.tracking.run_name import changed, is_named, run_name


class Changes(NamedTuple):
    """How a command differs from the last of its files that names the run.

    Attributes:
        earlier: changes that this name says already: it is that of a run's own configuration.
        later: changes that the command makes, as typed, by key.
        seeded: whether it sets the seed.
        explicit: whether it names the run itself.
    """

    earlier: dict[str, str]
    later: dict[str, str]
    seeded: bool
    explicit: bool


def changes_of(words: Sequence[str], classes: Mapping[str, str]) -> Changes:
    """Read the words of a command.

    Args:
        words: of the command, its files found.
        classes: class paths of the module and the data module, by ``model`` and ``data``.
    """
    found = Changes({}, {}, False, False)
    count = 0
    for key, value in _settings(words):
        if key == "config":
            run = _run_of(value)
            if "name" in run:
                earlier = run.get("changes")
                found = Changes(
                    dict(earlier) if isinstance(earlier, dict) else {}, {}, False, False
                )
            else:
                found.later[f"config.{Path(value).name}"] = Path(value).name
        elif key == "run.name" or (key == "run" and "name" in value):
            found = found._replace(explicit=True)
        elif key == "seed_everything":
            found = found._replace(seeded=True)
        elif is_named(key):
            count += 1
            own = f"{key.rstrip('+')}+{count}" if key.endswith("+") else key
            value = Path(value).name if value.endswith(".yaml") else value
            found = found._replace(later=changed(found.later, {own: value}))
    return found._replace(later=dict(classes) | found.later)


def name_run(run: RunOptions, changes: Changes, seed: int) -> None:
    """Name a run after what was changed, unless the command names it itself.

    Args:
        run: its options; ``name`` and ``changes`` are set.
        changes: what the command changes.
        seed: of the run.
    """
    if changes.explicit:
        run.changes = {}
        return
    run.name = run_name(run.name, changes.earlier, changes.later, seed, changes.seeded)
    run.changes = changed(changes.earlier, changes.later)


def _settings(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key and value of each flag, without ``init_args`` and ``class_path``."""
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            continue
        if not equals:
            value = next(rest, "")
        key = {"-c": "config"}.get(flag, flag.lstrip("-"))
        yield key.replace(".init_args", "").removesuffix(".class_path"), value


def _run_of(file: str) -> dict[str, Any]:
    """The group ``run`` of a configuration file; what is wrong with it the parser says."""
    try:
        values = yaml.load(Path(file).read_text(), ConfigLoader)  # a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    parts = [values, *values.values()] if isinstance(values, dict) else []
    runs = [part["run"] for part in parts if isinstance(part, dict) and "run" in part]
    return next((run for run in runs if isinstance(run, dict)), {})
