"""Secrets stay out of files, servers and messages.

What is kept is listed by name; any other value of the environment, any text under a name that
speaks of secrets, and any text in the form of a credential is hidden.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from lit_entropy.moved import leaves

REDACTED = "<redacted>"

# Parts of names that speak of secrets, wherever in a name they stand: GH_TOKEN, OPENAIKEY, pwd.
_SECRET = re.compile(
    r"key|token|secret|pass(?!i)|pwd|credential|creds|auth|webhook|bearer|cookie|private|signature|"
    r"jwt|dsn|connection_?string|"
    r"(?:database|db|redis|mongo|broker|amqp|postgres\w{0,20}|mysql)_?ur[il]|"
    r"(?:^|_)(?:pat|pats|pin|otp|mfa|sas|salt|sig)\d*(?:_|$)"
)
# Names of settings that hold such a part and no secret, and texts under which are kept.
_KEPT_SETTINGS = re.compile(
    r"tokeni[sz]er(?:_\w+)?|(?:\w+_)?(?:max|min|new|prompt|response|chunk|top|hidden|num|total|stop)_"
    r"tokens?(?:_\w+)?|(?:\w+_)?tokens?_(?:\d+|loss|page|records|id|ids)|pass_(?:k|curve|at_k)|"
    r"(?:\w+_)?passes|bypass\w*|monkey\w*|keyboard\w*|compass\w*|authors?|sort_by_key|sort_keys|"
    r"experiment_key|keys|pin_memory|token_?records|token_?page|"
    r"key_error|tokens_bt|token_loss_bt|token_advantages"  # of messages, not of settings
)
# Variables of the environment whose values are kept: places, machines, languages, libraries.
_KEPT_VARIABLES = re.compile(
    r"(?:\w*_)?(?:DIR|DIRS|DIRECTORY|PATH|PATHS|HOME|ROOT|FOLDER|FILE|PREFIX|HOST|HOSTNAME|HOSTS|"
    r"PORT|ADDR|DEVICE|DEVICES|SEED|RANK|SIZE|THREADS|WORKERS|MODEL|MODELS|DATA|DATASET|DATASETS|"
    r"PROJECT|ENTITY|GROUP|TAGS|MODE|LEVEL|VERSION|CONFIG|TASK|OFFLINE|BACKEND|ENGINE|TYPE|ARCH|"
    r"PARTITION|ENV|NAME|TEST)|"
    r"PWD|OLDPWD|SHELL|TERM|COLORTERM|USER|LOGNAME|LANG|LANGUAGE|TZ|EDITOR|PAGER|VISUAL|DISPLAY|"
    r"HOSTTYPE|OSTYPE|MACHTYPE|SHLVL|CI|DEBUG|LS_COLORS|LESSOPEN|LESSCLOSE|_|"
    r"(?:LC|XDG|CUDA|NCCL|OMP|MKL|OPENBLAS|TORCH|PYTORCH|PYTHON|CONDA|SLURM|KUBERNETES|NVIDIA|GLOO|"
    r"LIT_ENTROPY|PYTEST|COV|VIRTUAL|PIP|UV|HYPOTHESIS|LOCAL|MASTER|WORLD)_?\w*"
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: Shortest value that is hidden of a variable whose name speaks of a secret, and of another one;
#: the latter within other texts only from the third length on, shorter ones of the former as words.
_SHORTEST_NAMED, _SHORTEST, _SHORTEST_PART = 3, 4, 8
_WORDS = frozenset(
    ["true", "false", "none", "null", "auto", "cpu", "cuda", "offline", "online", "lit_entropy"]
)  # a session named after the package is no secret

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^\s/?#@]+@")
# Names from their beginning, and possessive: a text of one long word takes no time squared.
_NAMED = re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)[\"']?\s*+[:=]\s*[\"']?")
_VALUE = re.compile(
    r"(?:(?:bearer|basic|token)\s+)?[^\s\"',;&})<]+(?:<redacted>)?|<redacted>", re.IGNORECASE
)
_NUMBER = re.compile(r"[\d.]+[:.]?|true|false|null|None|\[.*", re.IGNORECASE)
_FORMS = re.compile(
    r"\b(?:bearer|basic)\s+[\w.~+/=-]{3,}|"
    r"\b(?:gh[a-z]_|github_pat_|glpat-|hf_|sk-|pk-|xox[a-z]-|AKIA|ASIA|ya29\.|npm_|pypi-|dapi|"
    r"wandb_v1_|SG\.)[\w.-]{6,}|"
    r"\beyJ[\w-]{6,4000}+\.[\w-]++\.[\w-]*|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)|"
    r"https://hooks\.\S+",
    re.IGNORECASE | re.DOTALL,
)


def redact(
    config: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> dict[str, object]:
    """A copy of a nested configuration without secrets.

    Hidden are: texts under names that speak of secrets (key, token, secret, pass, auth, ...;
    numbers and booleans stay unless it is a password); wherever they stand, the values of
    environment variables, but for those whose names are listed as harmless, since ``${oc.env:...}``
    copies them; and what has the form of a credential, see :func:`redact_text`.

    Args:
        config: nested dicts and lists of plain values.
        environment: variables to protect; by default those of the process.
    """
    secrets = _Secrets(os.environ if environment is None else environment)
    return {str(key): _redact(str(key), item, secrets) for key, item in config.items()}


def redact_text(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A text without secrets, for messages: only they are taken out, the rest is kept.

    Args:
        text: any text. Hidden are values of the environment as in :func:`redact`, user and password
            of addresses, ``Bearer ...``, ``name: value`` under a name that speaks of secrets, and
            what begins as the tokens of known services do.
        environment: variables to protect; by default those of the process.
    """
    secrets = _Secrets(os.environ if environment is None else environment)
    return _without_forms(secrets.parts.sub(REDACTED, text))


def redact_words(words: Sequence[str]) -> list[str]:
    """The words of a command without secrets; what follows ``--api_key`` is one.

    Args:
        words: ``--key value`` and ``--key=value``.
    """
    shown: list[str] = []
    key = ""
    for word in words:
        flag, equals, value = word.partition("=")
        if not word.startswith("--"):
            flag, equals, value = "", "", word
        elif not equals:
            key = word.lstrip("-")
            shown.append(word)
            continue
        name = flag.lstrip("-") or key
        shown.append(f"{flag}{equals}{redact({name: value})[name]}")
        key = ""
    return shown


def hidden_by_variables(
    config: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The settings that :func:`redact` hides for a variable that need not hold a secret.

    Args:
        config: nested dicts and lists of plain values.
        environment: variables that are protected; by default those of the process.

    Returns:
        For each dotted key whose name speaks of no secret, and whose text has no credential's form,
        the variable, whose name speaks of none either and is not listed as harmless.
    """
    environment = os.environ if environment is None else environment
    others = {value: name for name, value in environment.items() if _is_protected(name, value)}
    secrets = _Secrets({name: x for name, x in environment.items() if is_secret_name(name)})
    found: dict[str, str] = {}
    for key, value in leaves(config):
        if not isinstance(value, str) or any(map(is_secret_name, key.split("."))):
            continue
        if not secrets.hides(value) and _without_forms(value) == value:
            inner = (own for own in others if len(own) >= _SHORTEST_PART and own in value)
            hiding = value if value in others else next(inner, None)
            found |= {key: others[hiding]} if hiding else {}
    return found


def require_shown(config: Mapping[str, object]) -> None:
    """Refuse the text that stands for a hidden one, which a saved configuration may hold.

    Args:
        config: nested dicts and lists of plain values, from which an experiment is built.

    Raises:
        ValueError: names the key and the remedy.
    """
    for key, value in leaves(config):
        if value == REDACTED and not key.startswith("run.changes."):
            key = key.replace(".init_args", "")
            raise ValueError(
                f"{key} is the text {REDACTED}, which a saved configuration has in place of what "
                f"may be a secret: give the value again, as --{key} VALUE or in a file"
            )


def _is_protected(name: str, value: str) -> bool:
    """Whether the value of a variable is hidden although its name speaks of no secret."""
    kept = is_secret_name(name) or _KEPT_VARIABLES.fullmatch(name.upper())
    return not kept and not _is_harmless(value)


class _Secrets:
    """What the environment holds that is not to be shown.

    Attributes:
        whole: texts that are hidden where they are a whole value.
        parts: finds texts that are hidden within others as well, short ones as words.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        named = {value for name, value in environment.items() if is_secret_name(name)}
        named = {value for value in named if len(value) >= _SHORTEST_NAMED} - _WORDS
        others = {value for name, value in environment.items() if _is_protected(name, value)}
        self.whole = named | others
        parts = set(named)
        parts |= {value for value in others if len(value) >= _SHORTEST_PART}
        parts |= {login for value in named | others for login in _logins(value)}
        found = sorted(parts - _WORDS, key=len, reverse=True)
        self.parts = re.compile("|".join(map(_pattern, found)) or r"(?!)")

    def hides(self, text: str) -> bool:
        return text in self.whole or bool(self.parts.search(text))


@cache
def is_secret_name(name: str) -> bool:
    """Whether a setting or an environment variable of this name holds a secret, as far as is known.

    Args:
        name: ``api_key``, ``apiKey``, ``HF_TOKEN``, ``GH_PAT``, ``OPENAIKEY``; of a dotted key the
            last word counts.
    """
    word = _plain(name)
    if name in ("PWD", "OLDPWD"):  # the working directory
        return False
    return bool(_SECRET.search(word)) and not _KEPT_SETTINGS.fullmatch(word)


def _plain(name: str) -> str:
    last = name.rpartition(".")[2].strip("+-")
    return re.sub(r"[\s-]+", "_", _CAMEL_HUMP.sub("_", last)).lower()


def _redact(key: str, value: object, secrets: _Secrets) -> object:
    if _hidden(key, value):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(name): _redact(str(name), item, secrets) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact("", item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    return REDACTED if secrets.hides(value) else _without_forms(value)


def _hidden(key: str, value: object) -> bool:
    if value is None or value == "" or not is_secret_name(key):
        return False
    if isinstance(value, Mapping):  # settings of a component: its own names count
        return "class_path" not in value
    numbers = value if isinstance(value, list | tuple) else [value]
    if all(isinstance(number, bool | int | float) for number in numbers):
        return bool(re.search(r"pass(?!es)|pwd|secret|pin|otp", _plain(key)))
    return True


def _without_forms(text: str) -> str:
    text = _USER_AND_PASSWORD.sub(f"{REDACTED}@", text)
    shown, end = "", 0
    while found := _NAMED.search(text, end):
        shown += text[end : found.end()]
        end = found.end()
        value = _VALUE.match(text, end) if is_secret_name(found["name"]) else None
        if value and not _NUMBER.fullmatch(value[0]):
            shown += REDACTED
            end = value.end()
    return _FORMS.sub(REDACTED, shown + text[end:])


def _pattern(secret: str) -> str:
    edges = ("", "") if len(secret) >= _SHORTEST_PART else (r"(?<![^\W_])", r"(?![^\W_])")
    return re.escape(secret).join(edges)


def _is_harmless(value: str) -> bool:
    """Whether a value of an unlisted variable may be shown: short, a plain word, a path."""
    short = len(value) < _SHORTEST or value.lower() in _WORDS
    number = len(value) < _SHORTEST_PART and value.replace(".", "", 1).isdigit()
    return short or number or (value.startswith(("/", "~", ".")) and os.path.exists(value))


def _logins(value: str) -> Iterator[str]:
    """User and password of an address: ``postgres://me:word@host``."""
    for found in _USER_AND_PASSWORD.finditer(value):
        password = found[0].removesuffix("@").rpartition(":")[2]
        if len(password) >= _SHORTEST:
            yield password
