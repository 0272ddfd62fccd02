"""Secrets stay out of files and servers."""

import os
import re
from collections.abc import Mapping

from lit_entropy.types import Config

REDACTED = "<redacted>"

_SECRET_NAME = re.compile(
    r"(?:^|[_\-.\s]|api|auth|access)(?:key|token|secret|password|passwd|credential)s?(?=[_\-.\s]|$)"
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHORTEST_SECRET = 8


def redact(config: Config, environment: Mapping[str, str] | None = None) -> dict[str, object]:
    """A copy of a nested configuration without secrets.

    Hidden are: values under names with the word key, token, secret, password or credential (numbers
    and booleans stay unless it is a password, so ``max_new_tokens`` survives), and, wherever they
    stand, the values of environment variables with such names: ``${oc.env:...}`` copies them.

    Args:
        config: nested dicts and lists of plain values.
        environment: variables to protect; by default those of the process.
    """
    environment = os.environ if environment is None else environment
    secrets = {
        value
        for name, value in environment.items()
        if _is_secret_name(name) and len(value) >= _SHORTEST_SECRET
    }
    return _redacted(config, secrets)


def _redacted(config: Config, secrets: set[str]) -> dict[str, object]:
    return {
        key: REDACTED if _hidden(str(key), item) else _redact(item, secrets)
        for key, item in config.items()
    }


def _redact(value: object, secrets: set[str]) -> object:
    if isinstance(value, Mapping):
        return _redacted(value, secrets)
    if isinstance(value, list | tuple):
        return [_redact(item, secrets) for item in value]
    if isinstance(value, str) and any(secret in value for secret in secrets):
        return REDACTED
    return value


def _hidden(key: str, value: object) -> bool:
    if value is None or value == "" or not _is_secret_name(key):
        return False
    return "pass" in key.lower() or not isinstance(value, bool | int | float)


def _is_secret_name(name: str) -> bool:
    return bool(_SECRET_NAME.search(_CAMEL_HUMP.sub("_", name).lower()))
