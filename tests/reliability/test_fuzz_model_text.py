"""Any text of a model is read or refused by every checker, any reply by the other side."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Pipe
from typing import Any, get_args

import pytest
from fuzzing import fuzz, texts, values
from hypothesis import strategies as st

from lit_entropy.verify import (
    AnswerChecker,
    ChoiceChecker,
    CountdownChecker,
    KnightsChecker,
    MathChecker,
    NumberChecker,
)
from lit_entropy.verify.answers import (
    AnswerStyle,
    boxed_text,
    count_boxes,
    final_number,
    last_number,
    marked_number,
    parse_number,
    tagged_text,
)
from lit_entropy.verify.countdown import expression_value
from lit_entropy.verify.exact import canonical, exact_value, gold_fault, plain_verdict
from lit_entropy.verify.jail import MAX_REPLY, Jail
from lit_entropy.verify.notation import latex_notation

CHECKERS: dict[str, tuple[AnswerChecker, str]] = {
    **{style: (NumberChecker(style), "12.5") for style in get_args(AnswerStyle)},
    "choice": (ChoiceChecker(), "C"),
    "countdown": (CountdownChecker(), "44;19;35=98"),
    "knights": (KnightsChecker(), "Zoey is a knave, Oliver is a knight"),
}


@pytest.mark.parametrize("name", CHECKERS)
def test_a_checker_of_plain_text(name: str) -> None:
    checker, gold = CHECKERS[name]

    def has_a_verdict(text: str) -> None:
        assert checker.check(gold, text) in (True, False)
        answer = checker.answer_of(text)
        assert answer is None or isinstance(answer, str)
        reason = checker.check_gold(text)
        assert reason is None or len(reason) < 600
        if reason is None:  # a reference answer is compared with any response
            assert checker.check(text, text) in (True, False)

    assert fuzz(texts(), has_a_verdict) >= 100


def test_parsers_of_answers() -> None:
    def parses(text: str) -> None:
        for parser in (parse_number, marked_number, last_number, exact_value):
            value = parser(text[:2000])
            assert value is None or value.denominator >= 1
        for style in get_args(AnswerStyle):
            final_number(text, style)
        found = boxed_text(text)
        assert found is None or count_boxes(text) > 0
        tagged_text(text)
        short = text[:1000]
        assert isinstance(latex_notation(short), str)
        assert canonical(short) == canonical(short)
        assert plain_verdict(short, short) in (True, False, None)
        gold_fault(short)

    assert fuzz(texts(), parses) >= 100


def test_expressions_of_countdown() -> None:
    tokens = st.lists(st.sampled_from([*"+-*/()", "1", "0", "7", "9" * 15]), max_size=120)
    assert fuzz(tokens, lambda found: expression_value(found)) >= 100


@pytest.fixture(scope="module")
def mathematics() -> Iterator[MathChecker]:
    checker = MathChecker(timeout=1.0, memory_mb=1024)
    yield checker
    checker.close()


def test_the_jailed_checker_of_mathematics(mathematics: MathChecker) -> None:
    def has_a_verdict(text: str) -> None:
        start = time.monotonic()
        assert mathematics.check(r"\frac{1}{2}", f"\\boxed{{{text}}}") in (True, False, None)
        assert time.monotonic() - start < 30, text[:100]  # ten times the limit, and a new start
        answer = mathematics.answer_of(text)
        assert answer is None or isinstance(answer, str)

    assert fuzz(texts(12), has_a_verdict, examples=25) >= 10


def test_any_bytes_for_a_reply() -> None:
    """What a jailed process may send is a reply, or the end of that process."""
    process = _Nobody()

    def is_a_reply(sent: bytes) -> None:
        jail = Jail("fractions", 0.005, 512)
        ours, theirs = Pipe()
        jail._process, jail._connection, jail._request = process, ours, 1  # type: ignore[assignment]
        with theirs:
            theirs.send_bytes(sent[:50_000])  # nobody reads meanwhile, so it must fit the pipe
            try:
                reply = jail._receive(time.monotonic() + 0.01)
            except (OSError, EOFError):  # longer than a reply may be; Jail.ask starts another
                reply = {"failure": "crashed"}
        ours.close()
        assert isinstance(reply, dict)
        assert "failure" in reply or reply["id"] == 1

    replies = values().map(lambda value: _json({"id": 1, "verdict": value}))
    small = st.binary(max_size=200).filter(len)
    long = st.just(b"[" * MAX_REPLY) | st.just(b'{"id": 1, "x": "' + b"y" * MAX_REPLY)
    assert fuzz(small | replies | values().map(_json) | long, is_a_reply) >= 100


class _Nobody:
    """Stands for a process that has ended."""

    pid = os.getpid()

    def poll(self) -> int:
        return 0


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
