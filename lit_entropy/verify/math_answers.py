r"""Mathematical answers, compared by math-verify in a jailed process.

math-verify reads LaTeX and compares with sympy: ``\frac{1}{2}`` equals ``0.5``, ``x=5`` equals
``5``. A short hostile answer can keep it busy for hours or fill the memory, so it never runs in the
trainer's process. It compares numbers rounded to six decimals.
"""

import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, get_args

from lit_entropy.verify.answers import MAX_TEXT_LENGTH, boxed_text, last_number, parse_number
from lit_entropy.verify.base import AnswerChecker
from lit_entropy.verify.jail import Message
from lit_entropy.verify.pool import JailPool

#: ``last_box``: the last ``\boxed{}`` alone; ``anywhere``: whatever math-verify finds in the text.
Extraction = Literal["last_box", "anywhere"]

#: A longer content of a box is no answer.
MAX_ANSWER_LENGTH = 1_000

# Integers that both sides write alike are equal exactly when the texts are.
_INTEGER = re.compile(r"0|-?[1-9]\d{0,14}", re.ASCII)
# An interval or list is no integer, although [5,5] and {5,5} as sets hold one number.
_COLLECTION = re.compile(r"(?:\\left)?(?:[\[(]|\\?\{).*,.*", re.DOTALL)
_SPELLINGS = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:left|right)(?![a-zA-Z])"), ""),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\[,;:! ]|[\s$~]"), ""),
)
_FRACTION = re.compile(
    r"(?P<sign>-?)(?:\\frac\{(?P<over>\d{1,30})\}\{(?P<under>\d{1,30})\}|"
    r"(?P<left>\d{1,30})/(?P<right>\d{1,30}))",
    re.ASCII,
)


class MathChecker(AnswerChecker):
    r"""Checks mathematical answers with math-verify.

    By default the last ``\boxed{...}`` of a response is its answer, whatever stands elsewhere; an
    empty one, an unclosed one or one of more than ``MAX_ANSWER_LENGTH`` characters is none. Of a
    response only the last ``MAX_TEXT_LENGTH`` characters count.

    What could not be checked (None) is counted by kind in :meth:`statistics`: ``timeout``,
    ``memory``, ``crashed`` (the process died), ``error`` (math-verify raised an exception).

    Args:
        timeout: seconds of processor time of one check; by the clock ten times as long.
        memory_mb: address space of each checking process, MiB.
        workers: checking processes; they are started when they are needed.
        extraction: where the answer of a response is looked for. ``anywhere`` is math-verify's own
            search through the whole text, which also takes numbers outside of boxes.

    Raises:
        ValueError: a bad argument, or math-verify is not installed.
    """

    def __init__(
        self,
        timeout: float = 2.0,
        memory_mb: int = 1024,
        workers: int = 1,
        extraction: Extraction = "last_box",
    ) -> None:
        if extraction not in get_args(Extraction):
            raise ValueError(f"extraction={extraction!r}: use one of {get_args(Extraction)}")
        if importlib.util.find_spec("math_verify") is None:
            raise ValueError(
                "MathChecker needs math-verify, which is not installed: "
                "pip install 'lit_entropy[math]'"
            )
        self.extraction = extraction
        self.timeout = timeout
        self._pool = JailPool("math_verify", timeout, memory_mb, workers)
        self._counts: Counter[str] = Counter()

    def check_gold(self, answer: str) -> str | None:
        """Why math-verify cannot compare with this answer; None where it can."""
        gold = _cleaned(answer)
        if _INTEGER.fullmatch(gold):
            return None
        if not 0 < len(gold) <= MAX_ANSWER_LENGTH:
            return f"{answer!r:.80} is empty or longer than {MAX_ANSWER_LENGTH} characters"
        reply = self._pool.ask({"gold": gold, "answer": None})
        if "failure" in reply:
            return f"{answer!r:.80} could not be read by math-verify ({reply['failure']})"
        if not reply["gold"]:
            return f"{answer!r:.80} is no mathematics that math-verify reads"
        return None if reply["verdict"] else f"math-verify finds {answer!r:.80} unequal to itself"

    def check(self, answer: str, response: str) -> bool | None:
        """Whether the answer of a response equals the reference; see the base class."""
        return self.check_all([answer], [response])[0]

    def check_all(self, answers: Sequence[str], responses: Sequence[str]) -> list[bool | None]:
        """:meth:`check` of each pair, in order, all checking processes at work.

        Raises:
            ValueError: a reference answer cannot be read.
            CheckerError: the checking process cannot be started.
        """
        pairs = [(_cleaned(a), self._text(r)) for a, r in zip(answers, responses, strict=True)]
        whole = self.extraction == "anywhere"
        verdicts = [_plain_verdict(*pair, whole) for pair in pairs]
        asked = [index for index, verdict in enumerate(verdicts) if verdict is None]
        replies = self._pool.ask_all(
            [{"gold": pairs[i][0], "answer": pairs[i][1], "whole": whole} for i in asked]
        )
        kinds = ["right" if verdict else "wrong" for verdict in verdicts]
        for index, reply in zip(asked, replies, strict=True):
            if not reply.get("gold", True):
                raise ValueError(
                    f"the reference answer {answers[index]!r:.80} is no mathematics that "
                    "math-verify reads; check_gold says so at setup"
                )
            verdicts[index] = reply.get("verdict")
            kinds[index] = _kind(reply)
        for index, (_, text) in enumerate(pairs):
            kinds[index] = "no_answer" if text is None else kinds[index]
        self._counts.update(kinds)
        return verdicts

    def answer_of(self, response: str) -> str | None:
        r"""The last box without spaces and spellings that do not matter; numbers as fractions.

        ``\dfrac{2}{4}``, ``1/2`` and ``0.50`` are one text; expressions that only algebra shows to
        be equal are not. With ``anywhere`` the last number where there is no box.
        """
        text = _box(response)
        if text is None and self.extraction == "anywhere":
            number = last_number(response[-MAX_TEXT_LENGTH:])
            return None if number is None else str(number)
        return None if text is None else _canonical(text)

    def statistics(self) -> dict[str, int]:
        """Checks so far by kind: right, wrong, no_answer, unparsed (wrong too), timeout, ..."""
        return dict(self._counts)

    def close(self) -> None:
        """End the checking processes; the next check starts others."""
        self._pool.close()

    def _text(self, response: str) -> str | None:
        return response[-MAX_TEXT_LENGTH:] if self.extraction == "anywhere" else _box(response)


def _cleaned(text: str) -> str:
    """Without what surrounds an answer: spaces, a box, a final full stop."""
    text = text.strip()
    if text.startswith(r"\boxed{") and (content := boxed_text(text)) is not None:
        text = content.strip()
    return text.removesuffix(".").rstrip()


def _box(response: str) -> str | None:
    content = boxed_text(response[-MAX_TEXT_LENGTH:])
    text = "" if content is None else _cleaned(content)
    return text if 0 < len(text) <= MAX_ANSWER_LENGTH else None


def _plain_verdict(gold: str, text: str | None, whole: bool) -> bool | None:
    """The verdict that needs no mathematics; None where math-verify has to say."""
    if text is None:
        return False
    if _INTEGER.fullmatch(gold) and _INTEGER.fullmatch(text):
        return gold == text
    if not whole and _INTEGER.fullmatch(gold) and _COLLECTION.fullmatch(text):
        return False
    return None


def _kind(reply: Message) -> str:
    if "failure" in reply:
        return str(reply["failure"])
    if reply["verdict"]:
        return "right"
    return "wrong" if reply["read"] else "unparsed"


def _canonical(text: str) -> str:
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    number = parse_number(text)
    if number is None and (match := _FRACTION.fullmatch(text)):
        over, under = match["over"] or match["left"], match["under"] or match["right"]
        if int(under):
            number = Fraction(int(match["sign"] + over), int(under))
    return text if number is None else str(number)
