"""Fuzzing with hypothesis: one round in CI, as long as ``LIT_ENTROPY_FUZZ_SECONDS`` says else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

#: Seconds that each parser is fuzzed; without it one round of the same examples as ever.
VARIABLE = "LIT_ENTROPY_FUZZ_SECONDS"
#: Processor seconds that a parser may take of one example.
LONGEST = 5.0

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
        examples: of a round; there is one round, or as many as the time that is given holds.

    Returns:
        The number of examples, which is printed as well.
    """
    seconds = float(os.environ.get(VARIABLE, "0"))
    end = time.monotonic() + seconds
    count = number = 0

    def bounded(example: T) -> None:
        nonlocal count
        count += 1
        start = time.process_time()
        check(example)
        taken = time.process_time() - start
        assert taken < LONGEST, f"{taken:.1f} s of processor time for {example!r:.200}"

    while number == 0 or time.monotonic() < end:
        round_of = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        first = number if not seconds else time.time_ns()
        seed(first)(round_of(given(strategy)(bounded)))()
        number += 1
    print(f"{getattr(check, '__name__', 'check')}: {count} examples in {seconds:g} s, no fault")
    return count
