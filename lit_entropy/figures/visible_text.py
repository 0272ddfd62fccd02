"""Text of a model made visible: no character of it can hide, reorder or act."""

import unicodedata

SIGNS = {" ": "·", "\n": "↵", "\t": "⇥"}
#: Control, format, surrogate, private and unassigned characters, and every separator.
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def visible(text: str) -> str:
    """``text`` with a sign in the place of every character that would not show.

    A space is ``·``, a newline ``↵``, a tab ``⇥``; others, such as control characters, marks of
    text direction and lone surrogates, are ``⟨U+202E⟩``.
    """
    return "".join(map(_sign, text))


def visible_lines(text: str) -> str:
    """As :func:`visible`, with spaces kept and each ``↵`` followed by its line break."""
    return "\n".join(map(_keep_spaces, text.replace("\n", "↵\n").split("\n")))


def _keep_spaces(line: str) -> str:
    return " ".join(map(visible, line.split(" ")))


def _sign(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    if unicodedata.category(character) in HIDDEN:
        return f"⟨U+{ord(character):04X}⟩"
    return character
