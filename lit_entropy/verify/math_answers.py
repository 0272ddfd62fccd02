r"""Mathematical answers, compared by math-verify in a jailed process.

math-verify reads LaTeX and compares with sympy: ``\frac{1}{2}`` equals ``0.5``, ``x=5`` equals
``5``. A short hostile answer can keep it busy for hours or fill the memory, so it never runs in the
trainer's process. What shows without algebra, numbers above all, is compared exactly in this one.
"""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from lit_entropy.verify.answers import MAX_TEXT_LENGTH, boxed_text, count_boxes, last_number
from lit_entropy.verify.base import AnswerChecker
from lit_entropy.verify.exact import canonical, exact_value, gold_fault, plain_verdict
from lit_entropy.verify.jail import Message
from lit_entropy.verify.notation import ascii_text, latex_notation
from lit_entropy.verify.pool import JailPool

#: ``last_box``: the last ``\boxed{}`` alone; ``anywhere``: whatever math-verify finds in the text.
Extraction = Literal["last_box", "anywhere"]

#: A longer content of a box is no answer.
MAX_ANSWER_LENGTH = 1_000


class _Answer(NamedTuple):
    """The text in which an answer is looked for: that of a box, or the whole of a response."""

    text: str | None
    whole: bool


class MathChecker(AnswerChecker):
    r"""Checks mathematical answers with math-verify.

    By default the last ``\boxed{...}`` of a response is its answer, whatever stands elsewhere; an
    empty one, an unclosed one or one of more than ``MAX_ANSWER_LENGTH`` characters is none. Of a
    response only the last ``MAX_TEXT_LENGTH`` characters count.

    Both sides are brought into one notation first, see :mod:`~lit_entropy.verify.notation`: a
    Unicode minus, ``90°``, ``1\,000``, e-notation and units at the end do not matter. Decimals
    agree to six places, below 1 to six significant digits; whole reference answers exactly. A set
    is no tuple, an open interval no closed one, ``4210_5`` is not ``4210_6``, and two numbers side
    by side are no answer.

    What could not be checked (None) is counted by kind in :meth:`statistics`: ``timeout``,
    ``memory``, ``crashed`` (the process died), ``error`` (math-verify raised an exception).

    Args:
        timeout: seconds of processor time of one check; by the clock ten times as long.
        memory_mb: address space of each checking process, MiB.
        workers: checking processes; they are started when they are needed.
        extraction: where the answer of a response is looked for. ``anywhere`` takes the box where
            there is one, else math-verify's own search through the whole text.

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
        """Why this is no reference answer to compare with; None where it is one.

        Refused are what math-verify cannot read or finds unequal to itself, remarks in parentheses,
        alternatives (``80 or 81``, but not ``x=1 or x=2``) and numbers side by side.
        """
        if len(answer) > MAX_ANSWER_LENGTH or not (gold := _cleaned(answer)):
            return (
                f"{answer!r:.80} is no mathematics: empty, or longer than {MAX_ANSWER_LENGTH} "
                "characters"
            )
        if reason := gold_fault(gold):
            return f"{answer!r:.80} {reason}"
        if exact_value(gold) is not None:
            return None
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
        golds = [_cleaned(answer) for answer in answers]
        found = [self._answer(response) for response in responses]
        if "" in golds:
            raise ValueError(
                f"the reference answer {answers[golds.index('')]!r:.80} is no mathematics; "
                "check_gold says so at setup"
            )
        verdicts = [_first_verdict(*pair) for pair in zip(golds, found, strict=True)]
        asked = [index for index, verdict in enumerate(verdicts) if verdict is None]
        replies = self._pool.ask_all(
            [{"gold": golds[i], "answer": found[i].text, "whole": found[i].whole} for i in asked]
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
        for index, answer in enumerate(found):
            kinds[index] = "no_answer" if answer.text is None else kinds[index]
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
        return None if text is None else canonical(text)

    def statistics(self) -> dict[str, int]:
        """Checks so far by kind: right, wrong, no_answer, unparsed (wrong too), timeout, ..."""
        return dict(self._counts)

    def close(self) -> None:
        """End the checking processes; the next check starts others."""
        self._pool.close()

    def _answer(self, response: str) -> _Answer:
        text = response[-MAX_TEXT_LENGTH:]
        if self.extraction == "anywhere" and count_boxes(text) != 1:
            return _Answer(ascii_text(text), whole=True)
        return _Answer(_box(response), whole=False)


def _cleaned(text: str) -> str:
    """Without what surrounds an answer: spaces, a box, a final full stop, a unit."""
    text = text.strip()
    if text.startswith((r"\boxed", r"\fbox")) and (content := boxed_text(text)) is not None:
        text = content.strip()
    return latex_notation(text.removesuffix("."))


def _box(response: str) -> str | None:
    content = (boxed_text(response[-MAX_TEXT_LENGTH:]) or "").strip()
    return (_cleaned(content) or None) if len(content) <= MAX_ANSWER_LENGTH else None


def _first_verdict(gold: str, answer: _Answer) -> bool | None:
    """The verdict that needs no mathematics; None where math-verify has to say."""
    if answer.text is None:
        return False
    return None if answer.whole else plain_verdict(gold, answer.text)


def _kind(reply: Message) -> str:
    if "failure" in reply:
        return str(reply["failure"])
    if reply["verdict"]:
        return "right"
    return "wrong" if reply["read"] else "unparsed"
