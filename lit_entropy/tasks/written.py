"""Lists and records that a data set stores as text: chat messages or an answer, written as JSON.

Tables of text alone (CSV, many parquet files) hold them so. What is in another notation, Python's
above all, is refused by name: read as one text it would ask or compare something else.
"""

import json
import re

# How messages begin, in JSON or not: [{"role": ..., [{'content': ..., array([{'role': ...
_MESSAGES = re.compile(
    r"\s*+\"?(?:array\(\s*+)?\[?\s*+\{\s*\\?['\"](?:role|content|from)\\?['\"]\s*:"
)
# How a list of texts or a record begins; no answer to a problem does.
_CONTAINER = re.compile(r"\s*\"?(?:array\(\s*)?[\[{]\s*\\?['\"]")


def written_messages(text: str) -> object:
    """The messages that a prompt's text is the JSON of; the text itself where it is none.

    Args:
        text: a prompt as it stands in a row.

    Returns:
        The value that was written, not yet checked, or the text.

    Raises:
        ValueError: messages in Python's notation, JSON within JSON, or broken off.
    """
    value = _json(text)
    items = value if isinstance(value, list) else [value]
    if any(map(_is_message, items)):
        return value
    if _MESSAGES.match(text):
        raise ValueError(
            f"{text!r:.80} looks like messages and is no JSON of them (Python's notation, JSON "
            "within JSON, or broken off): store a list of {role, content}, or its JSON"
        )
    return text


def written_answer(text: str) -> object:
    """The list or record that an answer's text is the JSON of; the text itself where it is none.

    Only lists of texts count: ``[1, 2]`` is an interval or a list of numbers to a checker.

    Raises:
        ValueError: a list or record in Python's notation, JSON within JSON, or broken off.
    """
    if not _CONTAINER.match(text):
        return text
    value = _json(text)
    if isinstance(value, list | dict):
        return value
    raise ValueError(
        f"{text!r:.80} looks like a list or a record and is no JSON of it (Python's notation, JSON "
        "within JSON, or broken off): store the answer alone"
    )


def _json(text: str) -> object:
    """The value of a JSON text; None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_message(value: object) -> bool:
    """Whether a record has the fields of a chat message, or of a conversation's turn."""
    if not isinstance(value, dict):
        return False
    return bool({"role", "content"} & value.keys()) or {"from", "value"} <= value.keys()
