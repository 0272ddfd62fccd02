"""What a command changes of the experiment that its files name, for the name of its run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lit_entropy.cli.options import RunOptions
from lit_entropy.cli.values import parse_yaml
from lit_entropy.moved import leaves
from lit_entropy.shipped import short_name
from lit_entropy.tracking.redaction import redact
from lit_entropy.tracking.run_name import changed, is_named, run_name

#: How the keys of files begin that do not name the run: of the first one, and of others.
_BASE, _OVER = "base.", "config."


class Changes(NamedTuple):
    """How a command differs from the last of its files that names the run.

    Attributes:
        earlier: changes that this name says already: it is that of a run's own configuration.
        later: changes that the command makes, as typed, by key.
        seeded: whether it sets the seed.
        explicit: whether it names the run itself.
        placed: whether it names the folder of all runs.
    """

    earlier: dict[str, str]
    later: dict[str, str]
    seeded: bool
    explicit: bool
    placed: bool = False


def changes_of(words: Sequence[str], classes: Mapping[str, str]) -> Changes:
    """Read the words of a command.

    Args:
        words: of the command, its files found.
        classes: class paths of the module and the data module, by ``model`` and ``data``.
    """
    found = Changes({}, {}, False, False)
    count = files = 0
    for key, value in settings(words):
        if key == "config":
            found = _after_file(found, Path(value), first=not files)
            files += 1
        elif key == "run.name" or (key == "run" and "name" in value):
            found = found._replace(explicit=True)
        elif key == "run.folder":
            found = found._replace(placed=True)
        elif key == "seed_everything":
            found = found._replace(seeded=True)
        elif is_named(key):
            count += 1
            own = f"{key.rstrip('+')}+{count}" if key.endswith("+") else key
            told = _shown(own, short_name(value))
            found = found._replace(later=changed(found.later, {own: told}))
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


def check_place(run: RunOptions, changes: Changes, folder: Path) -> None:
    """Refuse another place than that of the run that is continued, which it would not leave.

    Args:
        run: its options, named.
        changes: what the command changes.
        folder: of the run that is continued, links resolved.

    Raises:
        ValueError: the command names another run or another folder of runs.
    """
    runs, own = Path(run.folder), "/".join(folder.parts[-len(Path(run.name).parts) :])
    # a name that was taken when the run began has a number
    other_name = changes.explicit and not re.fullmatch(rf"{re.escape(run.name)}(-\d+)?", own)
    other_folder = changes.placed and runs.resolve() not in folder.parents
    if other_name or other_folder:
        key, value = ("name", run.name) if other_name else ("folder", run.folder)
        raise ValueError(
            f"run.{key}={value}: with ckpt_path a run is continued in its own folder, {folder}: "
            f"leave --run.{key} out; to branch off copy that folder to {runs / run.name}, and name "
            "the checkpoint in the copy"
        )


def evaluation_name(
    run: RunOptions, subcommand: str, checkpoints: Sequence[str], explicit: bool
) -> str:
    """What an evaluation is called: after the run whose checkpoints it reads, and the checkpoint.

    ``kl_cov-seed3-validate-last`` say. The configuration names it where the command names the run
    itself, and where the checkpoints are of no run, or of several.

    Args:
        run: the options of the configuration, named.
        subcommand: validate, test or predict.
        checkpoints: the files that it reads, none for the base.
        explicit: whether the command names the run itself.
    """
    owners = {_owner(Path(path), Path(run.folder)) for path in checkpoints}
    if explicit or len(owners) != 1 or None in owners:
        return f"{run.name}-{subcommand}"
    end = f"-{Path(checkpoints[0]).stem}" if len(checkpoints) == 1 else ""
    return f"{owners.pop()}-{subcommand}{end}"


def _owner(checkpoint: Path, runs: Path) -> str | None:
    """Name of the run that a checkpoint lies in; None without its configuration."""
    folder, root = checkpoint.resolve().parent.parent, runs.resolve()
    if not (folder / "config.yaml").is_file():
        return None
    return str(folder.relative_to(root)) if root in folder.parents else folder.name


def _shown(key: str, value: str) -> str:
    """A value for a name of a run, which is a folder and stands on servers: no secret."""
    name = key.partition("+")[0]
    return value if redact({name: value}) == {name: value} else "hidden"


def settings(words: Sequence[str]) -> Iterator[tuple[str, str]]:
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


def _after_file(before: Changes, file: Path, first: bool) -> Changes:
    """What was changed once a file is read, which may name the run, or be laid over it.

    A file that names the run lies over those before it, and its name does not say which they are;
    the first of them is the base of all. The whole configuration of a run replaces every one.
    """
    values = settings_of(file)
    run = values.get("run")
    if isinstance(run, dict) and "name" in run:
        earlier = run.get("changes")
        if isinstance(earlier, dict):
            return Changes(dict(earlier), {}, False, False, before.placed and "folder" not in run)
        under = {key: told for key, told in before.later.items() if key.startswith(_OVER)}
        return Changes({}, under, False, False, before.placed and "folder" not in run)
    keys = {key.replace(".init_args", "") for key, _ in leaves(values)}
    told = short_name(str(file))
    key = f"{_BASE if first else _OVER}{told.replace('.', '_')}"
    later = {key: told} if any(map(is_named, keys)) else {}
    seeded = before.seeded or "seed_everything" in keys
    return before._replace(later=before.later | later, seeded=seeded)


def settings_of(file: Path) -> dict[str, Any]:
    """The settings in a file, also below a subcommand; what is wrong with it the parser says."""
    try:
        values = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # also of a name that no file can have
        return {}
    if not isinstance(values, dict):
        return {}
    fit = values.get("fit")
    return fit if isinstance(fit, dict) else values
