"""Which key of a configuration a part belongs to that could not be built."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from jsonargparse import Namespace

_KEY = "lit_entropy_key"
_NAME = re.compile(r"([A-Za-z_]\w*)((?:\.\w+)*)(?:[=:]| is | must )")
_PLAIN = (str, int, float)


class Builder:
    """Builds parts for jsonargparse, and remembers the first one that refused.

    Where a setting takes one of several types, jsonargparse tries each and words all failures as
    one; a part that was found and refuses its arguments is no wrong type.
    """

    def __init__(self, config: Namespace, groups: Mapping[object, str]) -> None:
        """Make the builder.

        Args:
            config: the settings of the subcommand.
            groups: keys of the classes whose arguments stand without a class path.
        """
        self._config, self._groups = config, groups
        self.failure: Exception | None = None

    def __call__(self, class_type: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        """The part; what it raises is marked with its key."""
        try:
            return class_type(*args, **arguments)
        except Exception as error:
            if marked(error) is None:
                key = self._groups.get(class_type)
                mark(error, key or _find(self._config, class_type, arguments), class_type)
                _name_argument(error, arguments)
                self.failure = self.failure or error
            raise


@contextmanager
def naming(parser: Any, config: Namespace, groups: Mapping[Any, str]) -> Iterator[None]:
    """Build within it: the first part that refuses ends it, whatever other types its key takes.

    Args:
        parser: whose parts are built.
        config: the settings of the subcommand.
        groups: keys of the classes whose arguments stand without a class path.
    """
    builder = Builder(config, groups)
    stock = parser.instantiate
    # of this parser alone; LightningCLI calls it without a word of instantiators
    parser.instantiate = partial(stock, instantiators=[(builder, object, True)])
    try:
        yield
    except Exception as error:
        if builder.failure not in (None, error):
            raise builder.failure from None
        raise
    finally:
        parser.instantiate = stock
    if builder.failure is not None:
        raise builder.failure


def mark_trainer(error: Exception, settings: Mapping[str, object]) -> None:
    """Name the setting of the Trainer that an error of Lightning is about.

    Args:
        error: what the Trainer raised.
        settings: those of ``trainer``.
    """
    text = str(error)
    found = [
        (at.start(), -len(key), key) for key in settings if (at := re.search(_whole(key), text))
    ]
    if found and marked(error) is None:
        key = min(found)[2]
        mark(error, f"trainer.{key}={settings[key]}")
    elif marked(error) is None:
        mark(error, "trainer")
        _name_argument(error, settings)


def mark(error: BaseException, key: str, class_type: object = None) -> None:
    """Say which key an error is about.

    Args:
        error: what was raised.
        key: dotted.
        class_type: the part that was built there.
    """
    error.__dict__[_KEY] = (key, class_type)


def marked(error: BaseException) -> str | None:
    """The key that an error is about, None where none is known."""
    found = error.__dict__.get(_KEY)
    return found[0] if found else None


def with_key(error: BaseException) -> str:
    """The message of an error, its key before it where the message does not hold it."""
    text = str(error)
    if (key := marked(error)) is None:
        return text
    class_type = error.__dict__[_KEY][1]
    name = getattr(class_type, "__name__", "")
    found = _NAME.match(text)
    word = found[1] if found else ""
    group, _, last = key.rpartition(".")
    if found and f"{word}{found[2]}.".startswith(f"{key}."):
        return text  # it names the key in full
    if found and word in _names(class_type):
        return f"{key}.{text}"
    if found and word == last and found[2]:
        return f"{group}.{text}" if group else text
    if found and (word == key.partition(".")[0] or text.startswith(f"{name}.")):
        return text if word != name else f"{key}: {text}"
    return f"{key}: {text}" if not name or name in text else f"{key}: {name}: {text}"


def _name_argument(error: Exception, arguments: Mapping[str, object]) -> None:
    """Complete the key by the one argument whose value the message of another library holds."""
    key, class_type = error.__dict__[_KEY]
    held = [
        name
        for name, value in arguments.items()
        if type(value) in _PLAIN and re.search(_whole(str(value)), str(error))
    ]
    own = getattr(class_type, "__module__", "").startswith("lit_entropy.")
    if len(held) == 1 and not own:
        mark(error, f"{key}.{held[0]}={arguments[held[0]]}", class_type)


def _whole(value: str) -> str:
    return rf"(?<![\w.]){re.escape(value)}(?!\.?\w)"


def _names(class_type: object) -> set[str]:
    """The arguments of a class, or of a function."""
    try:
        return set(inspect.signature(cast("type", class_type)).parameters)
    except (TypeError, ValueError):  # nothing that can be called, or written in C
        return set()


def _find(config: Namespace, class_type: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """The key of a part: of its class, and of those that with most of its arguments."""
    name = getattr(class_type, "__name__", str(class_type))
    best, most = name, -1
    for key, path, values in _parts(config, ""):
        if path.rpartition(".")[2] != name and not (not path and values.keys() == arguments.keys()):
            continue
        equal = sum(arguments.get(k) == v for k, v in values.items() if type(v) in _PLAIN)
        if equal > most:
            best, most = key, equal
    return best


def _parts(values: Any, key: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, class path and arguments of every part; the path is empty for a plain record."""
    if isinstance(values, list):
        for number, item in enumerate(values):
            yield from _parts(item, f"{key}[{number}]")
    if not isinstance(values, Namespace | dict):
        return
    inner = dict(values.__dict__ if isinstance(values, Namespace) else values)
    path = str(inner.pop("class_path", ""))
    if path:
        inner = dict(vars(inner.get("init_args") or Namespace()))
    yield key, path, inner
    for name, item in inner.items():
        yield from _parts(item, f"{key}.{name}" if key else name)
