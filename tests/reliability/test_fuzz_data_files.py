"""Any file and any row of a data set is read, or refused in the words of the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import fuzz, texts, values
from hypothesis import strategies as st

from lit_entropy.tasks.fields import ANSWER_FIELDS, PROMPT_FIELDS, read_answer, read_prompt
from lit_entropy.tasks.ground_truth import READERS, GroundTruthReader
from lit_entropy.tasks.loading import SetReader
from lit_entropy.tasks.media import refuse_media
from lit_entropy.tasks.prompts import PromptFormat
from lit_entropy.tasks.records import DataFile
from lit_entropy.tasks.written import written_answer, written_messages
from lit_entropy.verify import ChoiceChecker, NumberChecker

NAMES = [*PROMPT_FIELDS, *(name for name in ANSWER_FIELDS if "." not in name)]
NAMES += ["reward_model", "data_source", "image", "extra_info"]
ROWS = st.dictionaries(st.sampled_from(NAMES) | texts(2), values(), max_size=6)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": texts(4)}),
    max_size=3,
)
USUAL = st.fixed_dictionaries(
    {"prompt": texts(6) | MESSAGES | values(), "answer": texts(6) | st.integers() | values()}
)


def read(path: Path, checked: bool = True) -> None:
    """Read a set as the task does: problems, or one error in a few lines."""
    checker = ChoiceChecker() if path.name.startswith("c") else NumberChecker("last")
    reader = SetReader(checker if checked else None, PromptFormat())
    try:
        loaded = reader.read(DataFile(str(path)), "data.task.train", 0, None)
    except ValueError as error:
        assert str(error).startswith("data.task.train=") and len(str(error)) < 20_000
        return
    assert loaded.rows == len(loaded.problems) + loaded.bad
    assert all(isinstance(problem.answer, str) for problem in loaded.problems)
    assert len(loaded.report()) < 20_000


def test_jsonl_of_any_bytes(tmp_path: Path) -> None:
    def is_read(content: bytes) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(content)
        read(path)

    lines = st.lists(USUAL.map(_line) | st.binary(max_size=60) | texts().map(_encoded), max_size=5)
    deep = st.sampled_from(
        [b"[" * 50_000, b'{"prompt":' * 20_000, b"9" * 10_000, b"\xef\xbb\xbf{}"]
    )
    assert fuzz(lines.map(b"\n".join) | st.binary(max_size=200) | deep, is_read) >= 100


def test_jsonl_of_any_rows(tmp_path: Path) -> None:
    def is_read(rows: list[dict[str, Any]]) -> None:
        for name in ("rows.jsonl", "choice.jsonl"):
            path = tmp_path / name
            path.write_bytes(b"\n".join(map(_line, rows)))
            read(path)
            read(path, checked=False)

    assert fuzz(st.lists(ROWS | USUAL, max_size=4), is_read, examples=60) >= 50


def test_parquet_of_any_rows_and_bytes(tmp_path: Path) -> None:
    def is_read(case: tuple[list[Any], list[Any], int, int]) -> None:
        prompts, answers, place, byte = case
        size = min(len(prompts), len(answers))
        try:
            table = pa.table({"prompt": prompts[:size], "answer": answers[:size]})
        except (pa.ArrowException, OverflowError, ValueError, TypeError):  # no column of one type
            return
        path = tmp_path / "rows.parquet"
        pq.write_table(table, path)
        read(path)
        content = bytearray(path.read_bytes())
        content[-1 - place % min(len(content), 8)] ^= byte  # its footer's length, or its mark
        path.write_bytes(content[: len(content) - place % 3])
        read(path)

    plain = texts(4).map(lambda text: text.encode("utf-8", "replace").decode())
    columns = st.lists(plain, max_size=4) | st.lists(st.integers(-9, 9), max_size=4)
    columns |= st.lists(st.lists(plain, max_size=2), max_size=4)
    columns |= st.lists(st.floats(width=32), max_size=4)
    columns |= st.lists(st.binary(max_size=4), max_size=4)
    cases = st.tuples(columns, columns, st.integers(0, 99), st.integers(1, 255))
    assert fuzz(cases, is_read, examples=60) >= 50


def test_fields_of_any_row() -> None:
    readers = [None, *(GroundTruthReader(name) for name in READERS)]

    def are_read(row: dict[str, Any]) -> None:
        for name in (*NAMES, "reward_model.ground_truth", "extra_info.x"):
            try:
                refuse_media(row, read_prompt(row, name))
            except ValueError as error:
                assert str(error)
            for reader in readers:
                try:
                    assert read_answer(row, name, reader).strip()
                except ValueError as error:
                    assert str(error)

    assert fuzz(ROWS | USUAL, are_read) >= 100


def test_written_lists_and_records() -> None:
    def are_read(text: str) -> None:
        for reader in (written_messages, written_answer):
            try:
                reader(text)
            except ValueError as error:
                assert len(str(error)) < 1_000

    assert fuzz(texts() | values().map(_dumped), are_read) >= 100


def _dumped(value: Any) -> str:
    return json.dumps(value)


def _line(value: Any) -> bytes:
    return _dumped(value).encode()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
