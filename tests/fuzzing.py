"""Fuzzing with hypothesis: one round in CI, as long as ``LIT_ENTROPY_FUZZ_SECONDS`` says else."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fuzz_record import Fuzzed, processor_seconds, read_record
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

#: Processor seconds that each parser is fuzzed; without it one round of the same examples as ever.
SECONDS = "LIT_ENTROPY_FUZZ_SECONDS"
#: File in which a parser's fuzzing is noted, and from which it goes on.
RECORD = "LIT_ENTROPY_FUZZ_RECORD"
#: Processor seconds that a parser may take of one example.
LONGEST = 5.0
#: Seconds by the clock after which an example is one that never ends.
ENDLESS = 900.0

T = TypeVar("T")

#: What parsers of model text, of data and of settings look for, and what they might trip over.
PIECES = [
    r"\boxed{", r"\boxed ", r"\fbox{", "}", "{", "####", "<answer>", "</answer>", "$", r"\frac{",
    r"\dfrac", r"\sqrt", "√", "²", "\u2212", "½", "°", r"\text{", "}{", "^{", "_", "12", "1,000",
    "1 000", "3/4", "0/0", "1/0", "1e999", "9" * 50, "-", "+", "*", "(", ")", "[", "]", "=", "%",
    ".", ",", r"\circ", r"\pi", r"\infty", "answer: ", "(C)", "option B.", " is a knight",
    "knave", "Zoey", "44;19=63", "nan", "inf", "null", "true", "None", "١٢", "\uff11\uff12",
    "\u200b",
    "\ud83d", "\x00", "\n", " ", "\t", "\u2028", "\\", "'", '"', "${", "${oc.env:HOME}", "${a}",
    ":", "- ", "? ", "&a ", "*a", "!!python/object/apply:os.system [x]", "<<: ", "|", ">", "#",
    "@", "`", "~", "{{", "%s", "{0}", "__import__('os')", "class_path", "init_args", ".yaml",
    "--", "-c", "role", "content", "user",
]  # fmt: skip


def texts(longest: int = 40) -> st.SearchStrategy[str]:
    """Texts of the pieces and of any characters; one in a few repeats a piece many times."""
    piece = st.sampled_from(PIECES) | st.text(max_size=8)
    short = st.lists(piece, max_size=longest).map("".join)
    pair = st.lists(piece, min_size=1, max_size=3).map("".join)
    repeated = st.tuples(pair, st.sampled_from([50, 999, 5000]), short)
    return short | repeated.map(lambda parts: (parts[0] * parts[1])[:30_000] + parts[2])


def values() -> st.SearchStrategy[Any]:
    """What JSON can hold, with numbers that are not finite."""
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | texts(6)
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(3), inner, max_size=4),
        max_leaves=12,
    )


def fuzz(strategy: st.SearchStrategy[T], check: Callable[[T], object], examples: int = 150) -> int:
    """Call a check with examples; what it raises is a fault, and so is a call that takes long.

    Args:
        strategy: what makes the examples.
        check: calls a parser and asserts what it gives.
        examples: of a round; there is one round, or as many as the processor time that is given
            holds.

    Returns:
        The number of examples, which is printed as well.
    """
    budget = float(os.environ.get(SECONDS, "0"))
    if RECORD in os.environ:
        done = fuzz_on(strategy, check, examples, budget, Path(os.environ[RECORD]))
    else:
        done, start, number = Fuzzed(), processor_seconds(), 0
        while number == 0 or done.seconds < budget:
            one_round(strategy, check, examples, done, None if budget else number)
            done.seconds, number = processor_seconds() - start, number + 1
    name = getattr(check, "__name__", "check")
    print(f"{name}: {done.examples} examples in {done.seconds:.1f} processor seconds, no fault")
    return done.examples


def fuzz_on(
    strategy: st.SearchStrategy[T],
    check: Callable[[T], object],
    examples: int,
    budget: float,
    file: Path,
) -> Fuzzed:
    """Fuzz until a record has that many processor seconds; what was found is tried again first.

    Beside the record lie the examples that were found (``.examples``) and the one under way
    (``.now``), which ends the process where it does not return.
    """
    done, now = read_record(file), file.with_suffix(".now")
    again, before, start = bool(done.found), done.seconds, processor_seconds()
    database = DirectoryBasedExampleDatabase(file.with_suffix(".examples"))

    def noted(example: T) -> None:
        now.write_text(ascii(example))
        faulthandler.dump_traceback_later(ENDLESS, exit=True, file=sys.__stderr__)
        check(example)

    try:
        while again or done.seconds < budget:
            again = False
            one_round(strategy, noted, examples, done, database=database)
            done.seconds, done.found = before + processor_seconds() - start, ""
            done.note_sources()
            done.write(file)
    except (Exception, SystemExit) as error:
        done.found = described(error)[:2000]
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()
        done.seconds = before + processor_seconds() - start
        done.note_sources()
        done.write(file)
    now.unlink(missing_ok=True)
    return done


def described(error: BaseException) -> str:
    """An error with its notes, in which hypothesis names the smallest example; each of a group."""
    if isinstance(error, BaseExceptionGroup):
        return "\n".join(map(described, error.exceptions))
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])


def one_round(
    strategy: st.SearchStrategy[T],
    check: Callable[[T], object],
    examples: int,
    done: Fuzzed,
    key: int | None = None,
    database: ExampleDatabase | None = None,
) -> None:
    """Call a check with some examples, and count them.

    Args:
        strategy: what makes the examples.
        check: raises where something is wrong.
        examples: how many.
        done: where they are counted.
        key: the same one draws the same examples; without it they are others each time.
        database: examples that were found before, which come first.
    """

    def bounded(example: T) -> None:
        done.examples += 1
        start = time.process_time()
        check(example)
        taken = time.process_time() - start
        if taken > done.slowest_seconds:
            done.slowest_seconds, done.slowest = taken, f"{example!a:.200}"
        assert taken < LONGEST, f"{taken:.1f} s of processor time for {example!r:.200}"

    round_of = settings(
        max_examples=examples,
        deadline=None,
        database=database,
        suppress_health_check=list(HealthCheck),
    )
    run = round_of(given(strategy)(bounded))
    (run if key is None else seed(key)(run))()  # with a seed no database is looked at
