r"""From a row to its prompt and reference answer, in the formats that data sets come in.

- verl: ``data_source``, ``prompt`` (messages), ``reward_model.ground_truth``.
- TRL: ``prompt`` (text or messages) and a column such as ``answer`` or ``solution``.
- text alone: messages, or a list of one answer, written as JSON.
- GSM8K: ``question``, ``answer`` with the number after ``####``; MATH: ``problem``, ``solution``
  with the answer in ``\boxed{}``.

A reason, the message of a ``ValueError`` here, is completed with set and row by the caller.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple, TypeVar

from lit_entropy.closest import did_you_mean
from lit_entropy.tasks.written import written_answer, written_messages
from lit_entropy.verify.answers import MARKER, boxed_text

AUTO = "auto"
#: Fields tried by ``auto``, in this order; dots descend into records.
PROMPT_FIELDS = ("prompt", "question", "problem")
ANSWER_FIELDS = ("reward_model.ground_truth", "ground_truth", "answer", "final_answer", "solution")

Prompt = str | list[dict[str, str]]
_ABSENT = object()
T = TypeVar("T")
R = TypeVar("R")


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

    Messages may be stored as their JSON.

    Raises:
        ValueError: missing, empty, of another type, or no Unicode; the message is the reason.
    """
    prompt = _value(record, name)
    if isinstance(prompt, str):
        prompt = _read(written_messages, prompt, name)
    if isinstance(prompt, str):
        if prompt.strip():
            return _whole(prompt, f"field {name!r}")
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


def read_answer(
    record: Mapping[str, object], name: str, ground_truth: Callable[[object], str] | None = None
) -> str:
    r"""The reference answer: what follows ``####``, the last ``\boxed{}``, or the whole text.

    Args:
        record: the row.
        name: the answer's field.
        ground_truth: reads what stands there; what it gives is the reference answer as it is.

    Raises:
        ValueError: missing, empty, several, or of another type; the message is the reason.
    """
    value = _value(record, name)
    if ground_truth is not None:
        return _answer_text(_read(ground_truth, value, name), name)
    if isinstance(value, str):
        value = _read(written_answer, value, name)
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"field {name!r} holds {len(value)} answers, {value!r:.80}; give one")
        value = value[0]
    if isinstance(value, dict):
        raise ValueError(
            f"field {name!r}: {value!r:.80} is a record of {sorted(value)}; say what reads it with "
            "data.task.ground_truth (countdown, knights_and_knaves, or a function of yours), or "
            "name a field in it with data.task.answer_field"
        )
    if str(value) in ("nan", "NaN", "inf", "-inf", "null"):
        raise ValueError(f"field {name!r}: {value} is no answer")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(
            f"field {name!r}: {value!r:.80} is a {type(value).__name__}; give a text or a number"
        )
    if isinstance(value, float):
        value = Decimal(repr(value)).normalize()
    if isinstance(value, Decimal):  # its digits written out: 1e-05 in a text has another reading
        value = format(value, "f")
    text = str(value)
    boxed = None if MARKER in text else boxed_text(text)
    text = text.rpartition(MARKER)[2] if boxed is None else boxed
    return _answer_text(text, name)


def source_of(record: Mapping[str, object]) -> str:
    """The row's ``data_source`` in letters that a metric key may have; empty where it has none."""
    value = record.get("data_source")
    return re.sub(r"[^\w.-]+", "_", value).strip("_") if isinstance(value, str) else ""


def _read(reader: Callable[[T], R], value: T, name: str) -> R:
    """What a reader makes of a field; its reason names the field."""
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f"field {name!r}: {error}") from error


def _answer_text(text: str, name: str) -> str:
    if not text.strip():
        raise ValueError(f"field {name!r} is an empty answer")
    return _whole(text.strip(), f"field {name!r}")


def _whole(text: str, place: str) -> str:
    r"""The text, if it is Unicode: JSON's ``\ud83d`` without its other half encodes nothing."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{place}: character {error.start} of {text!r:.80} is half a surrogate pair, which no "
            "tokenizer reads; mend the text"
        ) from None
    return text


def _value(record: Mapping[str, object], name: str) -> object:
    value = nested(record, name)
    if value is None:
        near = did_you_mean(name, columns(record))
        raise ValueError(f"field {name!r} is missing or null (columns: {columns(record)}){near}")
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
        _whole(value, f"{place}: its {key}")
    return message["role"], message["content"]
