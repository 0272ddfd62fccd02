"""A run that is wanted: its name, and everything that decides its numbers."""

import hashlib
import json
import os
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from yaml import YAMLError

from lit_entropy.moved import leaves
from lit_entropy.shipped import SUFFIXES, configs_folder
from lit_entropy.tracking.redaction import redact_words
from lit_entropy.yaml_text import load_yaml

#: What the files of a model's weights end in.
WEIGHTS = (".safetensors", ".gguf", ".bin")


class Job(ABC):
    """One run of ``lit-entropy fit``.

    Attributes:
        settings: arguments of ``fit`` that decide its numbers, hence not where it is kept;
            configuration files are relative to ``root``.
        place: arguments beside them, which decide no number, a W&B group say.
    """

    settings: tuple[str, ...]
    place: tuple[str, ...] = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Folder of the run."""

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder that configuration files are relative to."""

    @property
    def digest(self) -> str:
        """A hash of what its configuration files say, those that they name included.

        And of the data files and models of this machine that these or the arguments name: a base
        that was built again is another one.
        """
        words = zip(("", *self.settings), self.settings, strict=False)
        given = [
            each
            for flag, word in words
            for each in ((flag, word), *(("", inner) for inner in _within(word)))
        ]
        found = (_file(self.root, flag, text) for flag, text in given)
        texts = [text for file in found if file for text in _texts(file)]
        said = (value for text in texts for _, value in leaves(json.loads(text)))
        values = (value for value in said if isinstance(value, str))
        # what lists name comes last: digests of runs from before it counted stay as they are
        named = [*self.settings, *values, *(text for _, text in given)]
        inputs = (_content(value.rpartition("=")[2]) for value in dict.fromkeys(named))
        return hashlib.sha256("".join([*texts, *inputs]).encode()).hexdigest()

    def command(self, folder: Path) -> str:
        """The command line that makes this run in ``folder``, typed in ``root``; no secrets."""
        place = ("--run.folder", str(folder), "--run.name", self.name)
        return shlex.join(("lit-entropy", "fit", *redact_words(self.settings), *place))

    def arguments(self, folder: Path, resume: Path | None) -> list[str]:
        """Arguments for the command line's ``main``, with files that are found from anywhere."""
        settings = [
            str(self.root / value) if previous == "--config" else value
            for previous, value in zip(("", *self.settings), self.settings, strict=False)
        ]
        place = ["--run.folder", str(folder), "--run.name", self.name, *self.place]
        return ["fit", *settings, *place, *(["--ckpt_path", str(resume)] if resume else [])]


def _within(word: str) -> list[str]:
    """The texts in an argument that is a list or a mapping; none in any other."""
    if not word.lstrip().startswith(("[", "{")):
        return []
    try:
        return [value for _, value in leaves(load_yaml(word)) if isinstance(value, str)]
    except YAMLError:
        return []  # the run refuses it


def _file(root: Path, flag: str, value: str) -> Path | None:
    """The configuration file that an argument names, as it stands or as a shipped one."""
    any_name = flag in ("-c", "--config")
    if (any_name or value.endswith(SUFFIXES)) and os.path.isfile(root / value):
        return root / value
    shipped = configs_folder() / f"{value.removesuffix('.yaml')}.yaml"
    is_shipped = re.fullmatch(r"[\w./-]+", value) and os.path.isfile(shipped)
    return shipped if is_shipped else None


def _content(name: str) -> str:
    """A hash of the data file, or of the folder with weights, of this name; else nothing."""
    if os.path.isfile(name):
        files = [] if name.endswith(SUFFIXES) else [name]
    elif os.path.isdir(name):
        files = sorted(each.path for each in os.scandir(name) if each.is_file())
        files = files if any(file.endswith(WEIGHTS) for file in files) else []
    else:
        files = []
    return "".join(_hash(file, os.stat(file).st_mtime_ns, os.stat(file).st_size) for file in files)


@lru_cache
def _hash(file: str, modified: int, size: int) -> str:
    """Of a file's content, read once as long as neither time nor size has changed."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@lru_cache
def _values(text: str) -> str:
    """What a configuration file says, whatever its comments and the order of its keys."""
    return json.dumps(load_yaml(text), sort_keys=True, default=str)  # a date has no JSON


def _texts(file: Path, above: tuple[Path, ...] = ()) -> Iterator[str]:
    """The values of a configuration file and of the component files that it names."""
    text = _values(file.read_text(encoding="utf-8"))
    yield text
    for name in _texts_in(json.loads(text)):
        if not name.endswith(SUFFIXES):
            continue
        named = file.parent / name  # a text that ends like a file need not be one, nor have room
        if os.path.isfile(named) and named not in (file, *above):
            yield from _texts(named, (file, *above))


def _texts_in(value: object) -> Iterator[str]:
    """Every text in a value, keys included, in the order in which JSON writes them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
