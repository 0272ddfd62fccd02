"""No character can hide or act."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.figures.visible_text import HIDDEN, visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "·the"),
        ("a\n\tb", "a↵⇥b"),
        ("\x00\x1b[31m\x7f", "⟨U+0000⟩⟨U+001B⟩[31m⟨U+007F⟩"),
        ("\u202e\u200b\ud800\xa0", "⟨U+202E⟩⟨U+200B⟩⟨U+D800⟩⟨U+00A0⟩"),
        ("é漢🙂<b>", "é漢🙂<b>"),
    ],
)
def test_signs(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_keep_spaces_and_breaks() -> None:
    assert visible_lines("a b\n\n c\r") == "a b↵\n↵\n c⟨U+000D⟩"


@given(st.text(st.characters(codec=None)))
def test_nothing_hidden_is_left(text: str) -> None:
    assert not {unicodedata.category(character) for character in visible(text)} & HIDDEN
    lines = visible_lines(text).replace("\n", "").replace(" ", "")
    assert not {unicodedata.category(character) for character in lines} & HIDDEN
    visible(text).encode()  # no lone surrogate
    assert visible_lines(text).count("\n") == text.count("\n")
