r"""From a row to its prompt and reference answer, in the formats that data sets come in.

- verl: ``data_source``, ``prompt`` (messages), ``reward_model.ground_truth``.
- TRL: ``prompt`` (text or messages) and a column such as ``answer`` or ``solution``.
- GSM8K: ``question``, ``answer`` with the number after ``####``; MATH: ``problem``, ``solution``
  with the answer in ``\boxed{}``.

A reason, the message of a ``ValueError`` here, is completed with set and row by the caller.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from lit_entropy.verify.answers import MARKER, boxed_text

AUTO = "auto"
#: Fields tried by ``auto``, in this order; dots descend into records.
PROMPT_FIELDS = ("prompt", "question", "problem")
ANSWER_FIELDS = ("reward_model.ground_truth", "ground_truth", "answer", "final_answer", "solution")

Prompt = str | list[dict[str, str]]
_ABSENT = object()


class Fields(NamedTuple):
    """The fields of prompt and reference answer."""

    prompt: str
    answer: str


def find_fields(record: Mapping[str, object], prompt: str, answer: str) -> Fields:
    """The fields given, those that are ``auto`` found by the columns of a row.

    Raises:
        ValueError: nothing fits; the columns are listed.
    """
    chosen = []
    for kind, given, known in (
        ("prompt", prompt, PROMPT_FIELDS),
        ("answer", answer, ANSWER_FIELDS),
    ):
        names = [name for name in known if nested(record, name, _ABSENT) is not _ABSENT]
        if given == AUTO and not names:
            raise ValueError(
                f"{kind}_field=auto finds none of {', '.join(known)} among the columns "
                f"{columns(record)}: name the field of the {kind}"
            )
        chosen.append(names[0] if given == AUTO else given)
    return Fields(*chosen)


def columns(record: Mapping[str, object]) -> list[str]:
    """The fields of a row, those of records inside it with dots."""
    names = []
    for name, value in record.items():
        inner = [f"{name}.{key}" for key in value] if isinstance(value, dict) else []
        names += inner or [name]
    return sorted(names)


def nested(record: Mapping[str, object], name: str, absent: object = None) -> object:
    """The value of a field, ``absent`` where it is; dots descend, ``reward_model.ground_truth``."""
    if name in record:
        return record[name]
    value: object = record
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return absent
        value = value[part]
    return value


def read_prompt(record: Mapping[str, object], name: str) -> Prompt:
    """A non-empty text, or chat messages with non-empty texts that end with the user's.

    Raises:
        ValueError: missing, empty or of another type; the message is the reason.
    """
    prompt = _value(record, name)
    if isinstance(prompt, str):
        if prompt.strip():
            return prompt
        raise ValueError(f"field {name!r} is an empty prompt")
    if not isinstance(prompt, list):
        raise ValueError(
            f"field {name!r}: {prompt!r:.80} is a {type(prompt).__name__}; give a text or a list "
            "of {role, content} messages"
        )
    if not prompt:
        raise ValueError(f"field {name!r} is an empty prompt")
    messages = []
    for place, message in enumerate(prompt):
        role, content = _message(message, f"field {name!r}, message {place}")
        messages.append({"role": role, "content": content})
    if messages[-1]["role"] != "user":
        raise ValueError(
            f"field {name!r}: its last message is of role {messages[-1]['role']!r}; a prompt ends "
            "with the user's"
        )
    return messages


def read_answer(record: Mapping[str, object], name: str) -> str:
    r"""The reference answer: what follows ``####``, the last ``\boxed{}``, or the whole text.

    Raises:
        ValueError: missing, empty, several, or of another type; the message is the reason.
    """
    value = _value(record, name)
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"field {name!r} holds {len(value)} answers, {value!r:.80}; give one")
        value = value[0]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"field {name!r}: {value} is no answer")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(
            f"field {name!r}: {value!r:.80} is a {type(value).__name__}; give a text or a number"
        )
    if isinstance(value, float):  # its digits written out: 1e-05 in a text has another reading
        value = format(Decimal(repr(value)).normalize(), "f")
    text = str(value)
    boxed = None if MARKER in text else boxed_text(text)
    text = text.rpartition(MARKER)[2] if boxed is None else boxed
    if not text.strip():
        raise ValueError(f"field {name!r} is an empty answer")
    return text.strip()


def source_of(record: Mapping[str, object]) -> str:
    """The row's ``data_source`` in letters that a metric key may have; empty where it has none."""
    value = record.get("data_source")
    return re.sub(r"[^\w.-]+", "_", value).strip("_") if isinstance(value, str) else ""


def _value(record: Mapping[str, object], name: str) -> object:
    value = nested(record, name)
    if value is None:
        raise ValueError(f"field {name!r} is missing or null (columns: {columns(record)})")
    return value


def _message(message: object, place: str) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise ValueError(f"{place} is a {type(message).__name__}, not {{role, content}}")
    for key in ("role", "content"):
        value = message.get(key)
        if not isinstance(value, str):
            raise ValueError(f"{place}: its {key} is {value!r:.80}; give a text")
        if not value.strip():
            raise ValueError(f"{place}: its {key} is empty")
    return message["role"], message["content"]
