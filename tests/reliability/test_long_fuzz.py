"""Fuzzing that is gone on with: what is noted of it, and when a parser is fuzzed again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_record import EXAMPLES, ROOT, Fuzzed, digest, processor_seconds, read_record
from fuzzing import RECORD, SECONDS, described, fuzz
from hypothesis import strategies as st
from long_fuzz import fuzz_all, fuzz_collected, fuzz_table, name_of

BURN = "import time\nwhile time.process_time() < 0.2: pass\n"


def test_processor_seconds_are_those_of_children_too() -> None:
    before = processor_seconds()
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", f"{BURN}print(1, flush=True)\ninput()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout is not None and child.stdout.readline() == b"1\n"
        assert processor_seconds() - before > 0.15  # it still runs; ticks are hundredths
        child.communicate(b"\n")
    assert 0.15 < processor_seconds() - before < 5.0


def test_a_budget_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen = tmp_path / "x.json", list[int]()
    monkeypatch.setenv(RECORD, str(file))
    for seconds, more in ((0.03, True), (0.0, False), (0.03, True)):
        budget = read_record(file).seconds + seconds
        monkeypatch.setenv(SECONDS, str(budget))
        before = len(seen)
        assert fuzz(st.integers(), seen.append, examples=5) == len(seen)
        assert (len(seen) > before) == more
        done = read_record(file)
        assert (done.examples, done.found) == (len(seen), "") and done.seconds >= budget
    assert 0 < done.slowest_seconds < done.seconds and int(done.slowest) in seen


def test_each_of_two_faults_is_noted() -> None:
    pair = ExceptionGroup("2 failures", [ValueError("a"), KeyError("b")])
    pair.exceptions[1].add_note("example=3")
    assert described(pair) == "ValueError: a\nKeyError: 'b'\nexample=3"


def test_what_was_found_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen, limit = tmp_path / "x.json", list[int](), 1000
    monkeypatch.setenv(RECORD, str(file))
    monkeypatch.setenv(SECONDS, "60")

    def is_small(number: int) -> None:
        seen.append(number)
        assert number < limit

    for _ in range(2):  # the second time at once
        seen.clear()
        with pytest.raises(AssertionError):
            fuzz(st.integers(), is_small)
        found = read_record(file).found
        assert "AssertionError" in found and "example=1000" in found
    assert seen[0] == 1000
    limit = 10**9  # mended
    monkeypatch.setenv(SECONDS, str(read_record(file).seconds / 2))
    seen.clear()
    fuzz(st.integers(-9, 9), is_small)
    assert seen and read_record(file).found == ""  # once more, though its time was over


DIES = """
import os
from fuzzing import fuzz
from hypothesis import strategies as st

def test_dies():
    fuzz(st.just("a word"), lambda word: os._exit(7))
"""


def test_a_process_that_dies_is_a_fault(tmp_path: Path) -> None:
    test = tmp_path / "test_fuzz_it.py"
    test.write_text(DIES)
    parser, folder = f"{test}::test_dies", tmp_path / "fuzz"
    folder.mkdir()
    Fuzzed([EXAMPLES], "other sources", 900.0, 9, found="").write(folder / "dies.json")
    fuzz_all(folder, 600.0, [parser])
    done = read_record(folder / "dies.json")
    assert done.found == "the process ended with 7 at 'a word', see dies.log"
    assert (done.seconds, done.examples) == (0.0, 0)  # those of other sources do not count
    assert fuzz_collected(folder) | {"slowest fuzzed example s": 0} == {
        "fuzzed parsers": 1, "processor seconds of a parser, least": 0.0, "fuzzed examples": 0,
        "slowest fuzzed example s": 0, "parsers with a fault": 1,
    }  # fmt: skip


def test_a_parser_that_is_done_is_not_fuzzed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a_checker.choice.json"
    Fuzzed([EXAMPLES], digest([EXAMPLES]), 600.5, 1234, 0.25, "'x'").write(file)
    assert name_of("tests/test_fuzz_a.py::test_a_checker[choice]") == "a_checker.choice"
    fuzz_all(tmp_path, 600.0, ["no/such.py::test_a_checker[choice]"])
    assert capsys.readouterr().out == (
        "1 of 1, a_checker.choice: 600 s, 1,234 examples, no fault\n"
    )
    assert fuzz_table(tmp_path).splitlines()[2:] == [
        "| a_checker.choice | 600 | 1,234 | 0.25 | nothing |"
    ]


def test_a_record_holds_for_the_files_that_were_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    done = Fuzzed(["a.py"], digest(["a.py"], tmp_path), 600.0)
    (tmp_path / "b.py").write_text("2")
    assert done.fresh(tmp_path)
    (tmp_path / "a.py").write_text("2")
    assert not done.fresh(tmp_path)
    (tmp_path / "a.py").write_text("1")
    assert done.fresh(tmp_path)
    (tmp_path / "a.py").unlink()
    assert not done.fresh(tmp_path)
    assert not Fuzzed([], digest([]), 600.0).fresh()  # of records that name none nothing is known


def test_loaded_sources_are_those_of_the_process() -> None:
    code = "import sys, fuzz_record, lit_entropy.verify.{}; print(*fuzz_record.loaded_sources())"

    def loaded(module: str) -> list[str]:
        command = [sys.executable, "-c", code.format(module)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        return subprocess.check_output(command, env=environment, text=True).split()

    files = loaded("choice")
    assert {"lit_entropy/verify/choice.py", EXAMPLES} <= set(files)
    assert not any(name.startswith("lit_entropy/cli/") for name in files)
    # a checker's own process has the other files of the room
    assert "lit_entropy/verify/child.py" in loaded("jail")
