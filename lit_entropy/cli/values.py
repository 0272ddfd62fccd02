"""Values of a configuration as text and back: what a flag sets, a file gives again."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from lit_entropy.yaml_text import ShallowLoader, load_yaml, read_yaml

_NUMBER = r"[-+]?(?:0|[1-9][0-9_]*)"
#: Plain words that are not text. ``on``, ``off``, ``yes``, ``no``, dates, ``007`` and ``0x10`` are.
_MEANINGS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (_NUMBER, "-+0123456789"),
    "float": (
        rf"{_NUMBER}(?:\.[0-9_]*)?[eE][-+]?[0-9]+|{_NUMBER}\.[0-9_]*"
        r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
}
#: Words that start with ``-`` and are values, not flags.
NEGATIVE = re.compile(r"-(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$|-\.?inf$", re.IGNORECASE)
_LOOKS_LIKE_A_NUMBER = re.compile(r"[-+]?\.?[0-9]")
_LINE_ENDS = frozenset("\r\x85\u2028\u2029")
_REFERENCE = re.compile(r"(\\*)\$\{")
_ABSOLUTE = re.compile(r"(?<!\\)((?:\\\\)*)\$\{([A-Za-z_][\w.\[\]]*)\}")


class ConfigLoader(ShallowLoader):
    """YAML 1.2's words for booleans; other than in it, ``007`` and ``0x10`` are text.

    A key that stands twice in a mapping is refused; YAML's own readers take the last one.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping's values; ``<<`` is no key."""
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if key.value in first:
                problem = f"the key {key.value} stands twice, first in line {first[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            first[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


ConfigLoader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _MEANINGS.items():
    ConfigLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})$"), list(_first)
    )


class _FileDumper(yaml.SafeDumper):
    """Quotes text that any reader of YAML might take for a number or a date."""


class _PlainDumper(yaml.SafeDumper):
    """Quotes all text."""


def _file_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if _LOOKS_LIKE_A_NUMBER.match(value) else None
    if not _LINE_ENDS.isdisjoint(value):
        style = '"'  # other styles lose them
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _plain_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')


_FileDumper.add_representer(str, _file_text)
_PlainDumper.add_representer(str, _plain_text)


def load_values(text: str) -> Any:
    """The values that a configuration file, or a flag, holds.

    Raises:
        yaml.YAMLError: not YAML.
    """
    value = parse_yaml(text)
    # ``name:`` and ``{a, b}`` on the command line are text, as jsonargparse has it
    if isinstance(value, dict) and value and all(item is None for item in value.values()):
        words = set(text.strip(" {}").replace(" ", "").split(","))
        if words == set(value) or text.strip() == f"{next(iter(value))}:":
            return text
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML text by :class:`ConfigLoader`.

    Raises:
        yaml.YAMLError: not YAML, nested too deeply, or with a key twice.
    """
    return load_yaml(text, ConfigLoader)


def read_values(path: Path) -> Any:
    """The values that a configuration file holds.

    Raises:
        ValueError: as :func:`~lit_entropy.yaml_text.read_yaml`, and a key that stands twice.
    """
    return read_yaml(path, ConfigLoader)


def dump_values(values: object) -> str:
    """A configuration file of values, in which a literal ``${`` is escaped."""
    text = map_text(values, escaped)
    return yaml.dump(text, Dumper=_FileDumper, sort_keys=False, allow_unicode=True)


def dump_references(values: object) -> str:
    """Values whose ``${...}`` are to be resolved, as text that has one reading."""
    return yaml.dump(values, Dumper=_PlainDumper, sort_keys=False)


def escaped(value: str) -> str:
    r"""Text that is read as ``value``: ``\${`` stands for ``${``, before it ``\\`` for ``\``."""
    return _REFERENCE.sub(lambda found: f"{found[1] * 2}\\${{", value)


def unescaped(value: str) -> str:
    """What text without references is read as; undoes :func:`escaped`."""
    return _REFERENCE.sub(lambda found: f"{found[1][: len(found[1]) // 2]}${{", value)


def below(value: str, subcommand: str) -> str:
    """Text whose ``${key}`` refer to the settings of a subcommand, wherever the text stands."""

    def replaced(found: re.Match[str]) -> str:
        key = found[2]
        if re.split(r"[.\[]", key)[0] != subcommand:
            key = f"{subcommand}.{key}"
        return f"{found[1]}${{{key}}}"

    return _ABSOLUTE.sub(replaced, value)


def map_text(values: Any, change: Callable[[str], str]) -> Any:
    """A copy of nested values with every text changed; keys and other values as they are."""
    if isinstance(values, str):
        return change(values)
    if isinstance(values, list | tuple):
        return [map_text(value, change) for value in values]
    if isinstance(values, dict):
        return {key: map_text(value, change) for key, value in values.items()}
    if isinstance(values, Namespace):
        return Namespace(**{key: map_text(value, change) for key, value in vars(values).items()})
    return values
