"""Rows that need more than text: pictures, films, sounds. A policy that reads text is not shown
them, so that such a row asks what cannot be answered.
"""

import re
from collections.abc import Mapping

from lit_entropy.tasks.fields import Prompt

_COLUMN = re.compile(
    r"(?:decoded_)?(?:image|video|audio)s?(?:_(?:\d+|paths?|urls?|bytes))?|multi_modal_data|"
    r"pixel_values",
    re.IGNORECASE,
)
# The places for them in a text: of verl and LLaVA, of MMMU (<image 1>), and the tokens of Qwen and
# Llama. <video> and <audio> are HTML's as well, and stand in questions about it.
_PLACE = re.compile(
    r"<image(?:[ _]?\d{1,3})?>|<\|(?:image|video|audio|vision_start)(?:_pad)?\|>", re.IGNORECASE
)


def refuse_media(record: Mapping[str, object], prompt: Prompt) -> None:
    """Refuse a row that holds a picture, film or sound, or whose prompt has a place for one.

    Args:
        record: the row; columns that are null or empty do not matter.
        prompt: its prompt.

    Raises:
        ValueError: it does; the message is the reason.
    """
    for name, value in record.items():
        if _COLUMN.fullmatch(name) and not _is_empty(value):
            raise ValueError(
                f"column {name!r} holds {_kind(name)}, which the policy would not be shown: only "
                "text is read"
            )
    texts = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    for text in texts:
        if found := _PLACE.search(text):
            raise ValueError(
                f"the prompt has the place {found[0]} for {_kind(found[0])}, which the policy "
                "would not be shown: only text is read"
            )


def _is_empty(value: object) -> bool:
    """Whether there is nothing in a column: null, no text, no item, or records of nothing."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    if isinstance(value, list):
        return all(map(_is_empty, value))
    return value is None or value is False or value == "" or value == b""


def _kind(name: str) -> str:
    for word, kind in (("video", "a film"), ("audio", "a sound")):
        if word in name.lower():
            return kind
    return "a picture"
