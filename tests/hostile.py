"""Hostile answers of a model, and what becomes of them in every checker."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lit_entropy.verify import AnswerChecker

#: Texts that leave a trace at ``{place}`` if anything executes, imports or opens what they say.
_PROGRAMS = [
    "__import__('os').system('touch {place}')",
    "exec(\"open('{place}','w')\")",
    "eval(compile('open({place!r},chr(119))','x','eval'))",
    "[c for c in ().__class__.__base__.__subclasses__() if open('{place}','w')]",
    "(lambda: open('{place}', 'w'))()",
    "import subprocess; subprocess.run(['touch', '{place}'])",
    "$(touch {place})", "`touch {place}`", "; touch {place} #", "| touch {place}",
    "S('1').__class__.__mro__[-1], open('{place}','w')",
    "Symbol('x').subs(x, open('{place}', 'w'))",
    "!!python/object/apply:os.system ['touch {place}']",
    "!!python/object/new:subprocess.Popen [[touch, '{place}']]",
    '{{"class_path": "os.system", "init_args": {{"command": "touch {place}"}}}}',
    '{{"__reduce__": ["os.system", "touch {place}"]}}',
    "cos\nsystem\n(S'touch {place}'\ntR.", "\\x80\\x04\\x95cposix\\nsystem\\n(touch {place}",
    "{{0.__class__.__init__.__globals__}}", "%(touch {place})s%n%n", "{{{{''.__class__}}}}{place}",
    "${{oc.env:HOME}}${{oc.create:{place}}}", "<script>fetch('file://{place}')</script>",
    r"\write18{{touch {place}}}", r"\input{{|touch {place}}}", r"\immediate\openout0={place}",
    r"\def\x{{\x\x}}\x", r"\csname write18\endcsname{{touch {place}}}",
    "Evaluate[Run[\"touch {place}\"]]", "'; DROP TABLE x; ATTACH '{place}' AS y; --",
]  # fmt: skip
#: Numbers and expressions that are cheap to write and dear to work out.
_BOMBS = [
    "9^{9^{9^{9^{9}}}}", "9**9**9**9", "(10^{10^{10}})!", "2^{2^{2^{2^{2^{2}}}}}", "99999999999!",
    r"\prod_{n=1}^{10^{12}} n", r"\sum_{k=1}^{10^9} \frac{1}{k^{k}}",
    r"\int_0^\infty e^{-x^{x^{x}}}dx", r"\binom{10^{12}}{10^{11}}", "1e999999999",
    "0x" + "f" * 4000, "1" * 15_000, "0." + "3" * 15_000, r"\sqrt[1000000]{2}^{1000000}",
    r"(x+y+z+w)^{10000}", r"\frac{1}{0}", r"\log(\log(\log(0)))",
    r"\begin{pmatrix}" + "1&" * 900 + r"\end{pmatrix}", r"\lim_{x\to 0} \sin(1/x)^{1/x^{1/x}}",
]  # fmt: skip
#: Repeated, they make a careless expression backtrack or a parser recurse.
_REPEATED = [
    "(", "[", "{", r"\frac{", r"\sqrt{", r"\boxed{", "-", "+-", "1,", "1 000", "a", "x=", "  ",
    "####", "<answer>", r"\left(", r"\text{", "^{", "_{", "\\", "$", "**", "1/", "aA1",
    "is a knight ", "answer: ", "(A)", "\n", "\u0300", "\u202e", "٣", "²", "\U0001d7d7", "\u200b",
    "½",
    "\ufb01", "\ud83d", "\x00",
]  # fmt: skip
#: Boxes filled with what is no answer, one of each at the beginning of every attack.
_FILLED = [f"\\boxed{{{space * (19_990 // len(space))}}}" for space in ("  ", "\n", "\t", "\u00a0")]
_FRAMES: list[Callable[[str], str]] = [
    lambda text: f"\\boxed{{{text}}}",
    lambda text: f"<answer>{text}</answer>",
    lambda text: f"#### {text}",
    lambda text: f"The answer is ({text}).",
    lambda text: text,
    lambda text: f"\\boxed{{1}} or \\boxed{{{text}",
]


def hostile_answers(count: int, place: Path, seed: int = 0) -> Iterator[str]:
    """Different answers: boxes of spaces, then programs, bombs and long repetitions in frames.

    Args:
        count: how many.
        place: a file that must not be there afterwards.
        seed: of the draw.
    """
    draw = random.Random(seed)
    yield from (first := _FILLED[:count])
    seen = set(first)
    while len(seen) < count:
        program = draw.choice(_PROGRAMS).format(place=place)
        repeated = draw.choice(_REPEATED) * draw.choice([2, 30, 400, 9000])
        body = draw.choice([program, draw.choice(_BOMBS), repeated, repeated + program])
        if draw.random() < 0.3:
            body = f"{draw.choice(_REPEATED)}{body}{draw.choice(_REPEATED)}{draw.randrange(99)}"
        text = draw.choice(_FRAMES)(body[:30_000])
        if text not in seen:
            seen.add(text)
            yield text


@dataclass(frozen=True)
class Outcome:
    """What hostile answers did.

    Attributes:
        answers: how many there were.
        checks: checks of them, each by every checker.
        executed: traces of programs, and calls of the interpreter that no checker has a reason for.
        unbounded: checks that took longer than they may.
        slowest: seconds of the longest check.
        slowest_checker: the checker that it was.
        unchecked: checks without a verdict: the limits of the jail.
    """

    answers: int = 0
    checks: int = 0
    executed: int = 0
    unbounded: int = 0
    slowest: float = 0.0
    slowest_checker: str = ""
    unchecked: int = 0

    def __str__(self) -> str:
        return (
            f"{self.answers} hostile answers, {self.checks} checks: {self.executed} executed, "
            f"{self.unbounded} unbounded, {self.unchecked} without a verdict; the slowest check "
            f"{self.slowest:.2f} s ({self.slowest_checker})"
        )


class _Watch:
    """Counts what the interpreter is asked to do while it is on; a hook cannot be taken away."""

    #: Of what the trainer's process does in a check: nothing.
    EVENTS = frozenset(
        ["exec", "compile", "os.system", "os.exec", "os.posix_spawn", "pickle.find_class",
         "socket.connect", "import", "open", "marshal.loads", "ctypes.dlopen", "shutil.rmtree"]
    )  # fmt: skip

    def __init__(self) -> None:
        self.on, self.seen = False, list[str]()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in self.EVENTS:
            self.seen.append(f"{event} {arguments!r:.200}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.on = True
        try:
            yield
        finally:
            self.on = False


def attack(
    checkers: Sequence[tuple[AnswerChecker, str]],
    count: int,
    folder: Path,
    longest: float,
    seed: int = 0,
) -> Outcome:
    """Let every checker check hostile answers.

    Args:
        checkers: each with a reference answer.
        count: number of answers.
        folder: where a program that is executed leaves its trace.
        longest: seconds by the clock that a check may take.
        seed: of the answers.
    """
    place, watch, found = folder / "executed", _Watch(), Outcome()
    for checker, gold in checkers:  # what is imported or started once
        checker.check(gold, r"\boxed{1} #### 1")
        checker.answer_of(r"\boxed{x^2}")
    for text in hostile_answers(count, place, seed):
        found = replace(found, answers=found.answers + 1)
        for checker, gold in checkers:
            started = time.monotonic()
            watched = not hasattr(checker, "_pool")  # a killed process is started again
            if watched:
                with watch.watching():
                    verdict = checker.check(gold, text)
                    checker.answer_of(text)
            else:
                verdict = checker.check(gold, text)
                checker.answer_of(text)
            seconds = time.monotonic() - started
            name = type(checker).__name__
            if seconds > found.slowest:
                found = replace(found, slowest=seconds, slowest_checker=name)
            found = replace(
                found,
                checks=found.checks + 1,
                unbounded=found.unbounded + (seconds > longest),
                unchecked=found.unchecked + (verdict is None),
                executed=found.executed + place.exists(),
            )
            place.unlink(missing_ok=True)
    return replace(found, executed=found.executed + len(watch.seen))
