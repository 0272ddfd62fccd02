"""What a command changes of the experiment that its files name, for the name of its run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lit_entropy.cli.options import RunOptions
from lit_entropy.cli.values import parse_yaml
from lit_entropy.moved import leaves
from lit_entropy.tracking.redaction import redact
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
            found = _after_file(found, Path(value))
        elif key == "run.name" or (key == "run" and "name" in value):
            found = found._replace(explicit=True)
        elif key == "seed_everything":
            found = found._replace(seeded=True)
        elif is_named(key):
            count += 1
            own = f"{key.rstrip('+')}+{count}" if key.endswith("+") else key
            value = Path(value).name if value.endswith(".yaml") else value
            found = found._replace(later=changed(found.later, {own: _shown(own, value)}))
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


def _shown(key: str, value: str) -> str:
    """A value for a name of a run, which is a folder and stands on servers: no secret."""
    name = key.partition("+")[0]
    return value if redact({name: value}) == {name: value} else "hidden"


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


def _after_file(before: Changes, file: Path) -> Changes:
    """What was changed once a file is read, which may name the run, or be laid over it."""
    values = _settings_of(file)
    run = values.get("run")
    if isinstance(run, dict) and "name" in run:
        earlier = run.get("changes")
        return Changes(dict(earlier) if isinstance(earlier, dict) else {}, {}, False, False)
    keys = {key.replace(".init_args", "") for key, _ in leaves(values)}
    later = {f"config.{file.name}": file.name} if any(map(is_named, keys)) else {}
    seeded = before.seeded or "seed_everything" in keys
    return before._replace(later=before.later | later, seeded=seeded)


def _settings_of(file: Path) -> dict[str, Any]:
    """The settings in a file, also below a subcommand; what is wrong with it the parser says."""
    try:
        values = parse_yaml(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    if not isinstance(values, dict):
        return {}
    fit = values.get("fit")
    return fit if isinstance(fit, dict) else values
