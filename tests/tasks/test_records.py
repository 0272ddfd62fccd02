"""Rows from files and the hub: numbers, unreadable lines, plain values, and errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import gsm8k, write_jsonl, write_parquet
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.tasks import records
from lit_entropy.tasks.records import DataFile, Row, plain, read_rows


def rows(path: str, **options: str) -> list[Row]:
    return list(read_rows(DataFile(path, **options), "data.task.train"))


def test_jsonl_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    data = gsm8k(3)
    expected = [Row(number, record) for number, record in enumerate(data, start=1)]
    assert rows(write_jsonl(tmp_path / "a.jsonl", data)) == expected
    assert rows(write_parquet(tmp_path / "a.parquet", data)) == expected


def test_row_numbers_of_jsonl_are_those_of_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [b"\xef\xbb\xbf" + b'{"a": 1}', b"", b'{"a": 2', b"[3]", b'{"a": "\xff"}', b'{"a": 4}']
    path.write_bytes(b"\r\n".join(lines))
    first, half, array, latin, last = rows(str(path))
    assert (first, last) == (Row(1, {"a": 1}), Row(6, {"a": 4}))
    assert half.number == 3 and half.reason.startswith("not JSON (")
    assert array == Row(4, {}, "[3] is not a JSON object")
    assert latin.number == 5 and "can't decode byte 0xff" in latin.reason


def test_a_parquet_file_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BATCH_ROWS", 2)
    found = rows(write_parquet(tmp_path / "a.parquet", [{"i": i} for i in range(5)]))
    assert found == [Row(i + 1, {"i": i}) for i in range(5)]


def test_nested_parquet_types_become_plain(tmp_path: Path) -> None:
    messages = pa.list_(
        pa.struct([("role", pa.dictionary(pa.int8(), pa.string())), ("n", pa.int8())])
    )
    table = pa.table(
        {
            "prompt": pa.array([[{"role": "user", "n": 1}], None], messages),
            "kind": pa.array(["x", "x"]).dictionary_encode(),
            "text": pa.array(["a", "b"], pa.large_string()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert [row.record for row in rows(str(tmp_path / "a.parquet"))] == [
        {"prompt": [{"role": "user", "n": 1}], "kind": "x", "text": "a"},
        {"prompt": None, "kind": "x", "text": "b"},
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


def numpied(value: Any) -> Any:
    """The same value as numpy would hold it: object arrays and numpy scalars."""
    if isinstance(value, dict):
        return {key: numpied(item) for key, item in value.items()}
    if isinstance(value, list):
        array = np.empty(len(value), dtype=object)
        array[:] = [numpied(item) for item in value]
        return array
    if isinstance(value, bool):
        return np.bool_(value)
    return np.int64(value) if isinstance(value, int) else value


@given(json_values)
def test_plain_undoes_numpy(value: Any) -> None:
    assert plain(value) == value
    result = plain(numpied(value))
    assert result == value
    assert json.dumps(result) == json.dumps(value)  # which numpy's types would not survive


def test_tuples_and_typed_arrays_become_lists() -> None:
    value = {"a": (np.array([1.5, 2.0]), np.array(["x"])), 3: np.float32(0.5)}
    assert plain(value) == {"a": [[1.5, 2.0], ["x"]], "3": 0.5}


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("none.jsonl", {}, r"data\.task\.train='none\.jsonl': no such file"),
        ("none.csv", {}, r"'none\.csv': use a \.jsonl or \.parquet file, or hub:owner/name"),
        ("a.jsonl", {"split": "test"}, r"split='test' is for hub data sets"),
        ("a.jsonl", {"revision": "main"}, r"revision='main' is for hub data sets"),
    ],
)
def test_settings_that_cannot_be_read(path: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows(path, **options)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("text")
    with pytest.raises(ValueError, match=r"a\.parquet': no readable parquet file"):
        rows(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(ValueError, match=rf"data\.task\.train='.*a\{suffix}': .*Permission denied"):
        rows(str(path))


def test_the_hub_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # an import now fails
    with pytest.raises(ValueError, match=r"pip install 'lit_entropy\[data\]'"):
        rows("hub:owner/name")


def test_hub_rows_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the package, and what becomes of its rows and errors."""
    asked: list[Any] = []
    splits = {"train": [{"a": np.int64(1)}], "test": [{"a": np.array([2])}]}

    def load(name: str, config: Any, *, split: Any, revision: Any) -> Any:
        asked.append((name, config, split, revision))
        if split is None:
            return splits
        if split not in splits:
            raise ValueError(f'Unknown split "{split}"')
        return splits[split]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))
    options = {"config": "main", "split": "test", "revision": "abc"}
    assert rows("hub:owner/name", **options) == [Row(1, {"a": [2]})]
    assert asked == [("owner/name", "main", "test", "abc")]
    with pytest.raises(ValueError, match=r"name its split, one of \['train', 'test'\]"):
        rows("hub:owner/name")
    del splits["test"]
    assert rows("hub:owner/name") == [Row(1, {"a": 1})]
    with pytest.raises(ValueError, match=r"hub:owner/name', config=None, split='x'.*Unknown split"):
        rows("hub:owner/name", split="x")


def test_narrow_floats_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package gives 0.10000000149011612 too; what its columns are says the schema."""
    table = pa.table({"a": pa.array([0.1, 2.5], pa.float32()), "b": ["x", "y"]})

    class Loaded(list[Any]):
        features = SimpleNamespace(arrow_schema=table.schema)

    loaded = Loaded(table.to_pylist())
    monkeypatch.setitem(
        sys.modules, "datasets", SimpleNamespace(load_dataset=lambda *_, **__: loaded)
    )
    assert [row.record for row in rows("hub:owner/name")] == [
        {"a": 0.1, "b": "x"},
        {"a": 2.5, "b": "y"},
    ]


def test_a_local_folder_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    write_jsonl(folder / "train.jsonl", gsm8k(3))
    write_jsonl(folder / "test.jsonl", gsm8k(2, start=5))
    found = rows(f"hub:{folder}", split="test")
    assert found == [Row(i + 1, record) for i, record in enumerate(gsm8k(2, start=5))]
    with pytest.raises(ValueError, match="name its split"):
        rows(f"hub:{folder}")
    with pytest.raises(ValueError, match="Unknown split"):
        rows(f"hub:{folder}", split="validation")


NARROW = [0.1, 3.14, 1e-5, 5.0, None]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_floats_are_the_shortest_decimals_that_give_them(tmp_path: Path, kind: pa.DataType) -> None:
    """Alone, in lists, in records, and where a column names its values by number."""
    column = pa.array(NARROW).cast(kind)
    table = {
        "a": column,
        "list": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4, 5], pa.int32()), column),
        "record": pa.StructArray.from_arrays([column, pa.array(["x"] * 5)], ["gold", "kind"]),
    }
    if kind != pa.float16():  # which Arrow does not encode so
        table["named"] = column.dictionary_encode()
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    read = [row.record for row in rows(str(tmp_path / "a.parquet"))]
    golds: Any = NARROW
    if kind == pa.float16():  # three digits and a little
        golds = [0.1, 3.14, 1.0e-05, 5.0, None]
    assert [record["a"] for record in read] == golds
    assert [record["list"] for record in read] == [[gold] for gold in golds]
    assert [record["record"]["gold"] for record in read] == golds
    assert [record.get("named", record["a"]) for record in read] == golds


def test_narrow_numbers_of_numpy_are_shortest_decimals() -> None:
    value = {"a": np.float32(0.1), "b": np.array([0.1, 2.5], np.float32), "c": np.float16(0.1)}
    assert plain(value) == {"a": 0.1, "b": [0.1, 2.5], "c": 0.1}
    assert plain(np.array([[0.1]], np.float32)) == [[0.1]] and plain(np.array(0.1)) == 0.1
    assert plain(np.array(0.1, np.float32)) == 0.1
