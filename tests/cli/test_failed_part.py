"""What is said of a part of the user's own that failed within a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lit_entropy.cli.failed_part import failed_part
from lit_entropy.contracts import no_stop
from lit_entropy.errors import PartError

TEXT = """
import json

class Part:
    def forward(self, depth):
        if depth:
            return self.forward(depth - 1)
        return json.loads("{")
"""


def raised(folder: Path, depth: int) -> Exception:
    (folder / "own_part.py").write_text(TEXT)
    sys.path.insert(0, str(folder))
    try:
        import own_part

        own_part.Part().forward(depth)
    except ValueError as error:
        # this test's own frame is no library's either: a run would not have it
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        return error
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("own_part", None)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(("depth", "shown"), [(0, [8]), (1, [7, 8]), (9, [7, 7, 8])])
def test_a_part_is_named_with_its_own_last_calls(
    tmp_path: Path, depth: int, shown: list[int]
) -> None:
    said = failed_part(raised(tmp_path, depth)) or ""
    error = "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: "
    assert said.splitlines() == [
        "own_part.Part.forward failed",
        *[f"  own_part.py, line {line}, in forward" for line in shown],
        f"own_part.Part.forward: {error}line 1 column 2 (char 1) (--debug shows the traceback)",
    ]


def test_a_library_that_failed_is_no_part() -> None:
    with pytest.raises(ValueError) as caught:
        int("x")
    assert caught.value.__traceback__ is not None
    assert failed_part(caught.value.with_traceback(None)) is None


def test_a_stop_of_a_loop_is_an_error_that_names_the_part() -> None:
    said = r"builtins\.dict\.get raised StopIteration"
    with pytest.raises(PartError, match=said), no_stop({}, "get"):
        next(iter([]))
    with pytest.raises(KeyError), no_stop({}, "get"):
        {}["a"]
