"""Callbacks that a command drops, since a later list of them takes the place of an earlier one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lit_entropy.cli.names import settings, settings_of
from lit_entropy.cli.values import load_values
from lit_entropy.shipped import configs_folder

_KEY = "trainer.callbacks"


class _List(NamedTuple):
    """Callbacks that one place of a command names: a file, or the flag.

    ``own`` is False for a shipped file, whose list is chosen for what it is.
    """

    place: str
    names: list[str]
    adds: bool
    own: bool


def replaced_callbacks(words: Sequence[str]) -> str | None:
    """What to say of callbacks of earlier files that a list of the user's replaces; None if none.

    A list of none (``null``, ``[]``) says by itself that all are gone.

    Args:
        words: of the command, its files found.
    """
    before: list[str] = []
    gone: list[str] = []
    place = ""
    for part in _lists(words):
        if part.adds:
            before = [*before, *part.names]
            gone = [name for name in gone if name not in part.names]
            continue
        if part.own and part.names:
            dropped = [name for name in before if name not in part.names]
            gone, place = dropped or gone, part.place if dropped else place
        else:
            gone = []
        before = part.names
    if not gone:
        return None
    return (
        f"{place} replaces the callbacks of the files before it, and drops {', '.join(gone)}: "
        f"{_KEY}+ adds to them"
    )


def _lists(words: Sequence[str]) -> Iterator[_List]:
    for key, value in settings(words):
        if key == "config":
            own = configs_folder().resolve() not in Path(value).resolve().parents
            trainer = settings_of(Path(value)).get("trainer")
            for name in ("callbacks", "callbacks+"):
                if isinstance(trainer, dict) and name in trainer:
                    place = f"trainer.{name} of {value}"
                    yield _List(place, _names(trainer[name]), name.endswith("+"), own)
        elif key in (_KEY, f"{_KEY}+"):
            given = load_values(value)
            yield _List(f"--{key} {value}", _names(given), key.endswith("+"), own=True)


def _names(entries: Any) -> list[str]:
    """The classes of callbacks, without their modules; a file by its path."""
    items = entries if isinstance(entries, list) else [entries] if entries is not None else []
    paths = [str(item.get("class_path") if isinstance(item, dict) else item) for item in items]
    return [path if "/" in path else path.rpartition(".")[2] for path in paths]
