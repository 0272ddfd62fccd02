r"""Knights and knaves: who tells the truth and who lies (2410.23123)."""

import re

from lit_entropy.verify.answers import MAX_TEXT_LENGTH, tagged_text
from lit_entropy.verify.base import AnswerChecker
from lit_entropy.verify.notation import ascii_text

#: Names of the two roles, those of the data set's perturbed puzzles included.
ROLES = (
    "knight", "knave", "pioneer", "laggard", "saint", "sinner", "hero", "villain", "angel", "devil",
    "altruist", "egoist", "sage", "fool",
)  # fmt: skip

_ROLE = re.compile(rf"\b(?:{'|'.join(ROLES)})\b", re.IGNORECASE)
_STATEMENT = re.compile(
    rf"\b([^\W\d_]+)\s*(?:\bis\b|:|=)\s*(?:an?\s+)?({'|'.join(ROLES)})\b", re.IGNORECASE
)
_NOISE = re.compile(r"[*_$`{}]|\\(?:text|textbf|mathrm|mathbf)(?![a-zA-Z])")


class KnightsChecker(AnswerChecker):
    r"""Checks that a response gives every person the right role, and nobody two.

    The answer of a response is the content of its last ``<answer>...</answer>``, or of its last
    ``\boxed{}`` where there is none. It and the reference answer name the role of each person, as
    in ``(1) Zoey is a knave (2) Oliver is a knight`` or ``Zoey: knave, Oliver: knight``. A role
    that belongs to no person ("a knight or a knave") makes it no answer.

    Source: the reward of Logic-RL (2502.14768), without its part for the form.
    """

    def check_gold(self, answer: str) -> str | None:
        """Why a reference answer names no roles; None where it does."""
        if roles_of(answer):
            return None
        return f"{answer!r:.80} names no roles such as 'Zoey is a knave'; known are " + ", ".join(
            ROLES
        )

    def check(self, answer: str, response: str) -> bool:
        """Whether the response gives exactly the reference's persons their roles."""
        gold = roles_of(answer)
        if gold is None:
            raise ValueError(f"the reference answer: {self.check_gold(answer)}")
        return roles_of(_final(response)) == gold

    def answer_of(self, response: str) -> str | None:
        """The persons in alphabetical order with their roles, ``oliver: knight; zoey: knave``."""
        roles = roles_of(_final(response))
        return (
            "; ".join(f"{name}: {role}" for name, role in sorted(roles.items())) if roles else None
        )


def roles_of(text: str) -> dict[str, str] | None:
    """The role of each person, in small letters; None where none is named, or one has two."""
    text = _NOISE.sub("", ascii_text(text))
    pairs = {(name.lower(), role.lower()) for name, role in _STATEMENT.findall(text)}
    roles = dict(pairs)
    statements, words = len(_STATEMENT.findall(text)), len(_ROLE.findall(text))
    return roles if roles and len(roles) == len(pairs) and statements == words else None


def _final(response: str) -> str:
    return tagged_text(response[-MAX_TEXT_LENGTH:]) or ""
