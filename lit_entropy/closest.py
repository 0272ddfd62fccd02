"""What was probably meant by a word that is not known."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def closest(word: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names nearest to a word, the nearest first; none where none is near.

    Args:
        word: as written; the last part of a path counts alone as well.
        names: what is known.
        count: most names.
    """
    names = list(dict.fromkeys(names))
    near = get_close_matches(word, names, n=count, cutoff=0.7)
    near = near or [name for name in names if sorted(name) == sorted(word)]  # two letters changed
    if not near and "/" in word:
        near = get_close_matches(word.rpartition("/")[2], names, n=count, cutoff=0.7)
    return near


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """``; did you mean KLCov?``, empty where no name is near."""
    near = closest(word, names)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def no_such_file(name: str, folders: Iterable[str | Path] = (".",)) -> str:
    """``no such file``, and what is meant or to do; as :func:`files_near`."""
    return f"no such file{files_near(name, folders) or '; give an existing path'}"


def files_near(name: str, folders: Iterable[str | Path] = (".",)) -> str:
    """``; did you mean data/rows.jsonl?`` of what lies where a file is missing; empty if none is.

    Args:
        name: the path as it is written, of a file or of a folder.
        folders: those that a relative path may start from.
    """
    place, wanted = os.path.split(name.rstrip("/"))
    stem, kind = os.path.splitext(wanted)
    there = [os.path.splitext(entry) for f in folders for entry in _entries(Path(f, place))]
    alike = [entry for entry in there if entry[1] == kind]
    # a common ending makes no two names alike
    for known in (alike, there):
        if near := closest(stem, [name for name, _ in known]):
            endings = dict(reversed(known))
            paths = [os.path.join(place, f"{name}{endings[name]}") for name in near]
            return f"; did you mean {' or '.join(paths)}?"
    return ""


def _entries(folder: Path) -> list[str]:
    """What lies in a folder; nothing where it is none, or not to be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
