"""Runs, exports, archives and sweeps of anyone are read, or refused in one line with the file."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fuzzing import fuzz, texts, values
from hypothesis import strategies as st

from lit_entropy.figures.history import load_run
from lit_entropy.reproduce.archived import CONFIG, unpacked
from lit_entropy.sweep.file import read_file
from lit_entropy.tracking.metrics_file import METRICS_FILE

DEEP = st.sampled_from([b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"? " * 3000])
BYTES = st.binary(max_size=200) | texts().map(lambda text: text.encode("utf-8", "replace")) | DEEP
CELLS = ["step", "0", "1", "2.5", "nan", "", '"', "val/accuracy", "x - step", "\x00", "9" * 400]
TABLES = st.lists(
    st.lists(st.sampled_from(CELLS) | texts(2), max_size=4).map(",".join), max_size=5
).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))


def refusal(error: Exception, path: Path) -> bool:
    """Whether an error is one line that names the file."""
    return str(path) in str(error) and "\n" not in str(error).replace(str(path), "")


def written(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Values as files of some 50 kB at most: PyYAML needs seconds for larger ones."""
    texts_of = strategy.map(lambda each: yaml.dump(each).encode("utf-8", "replace"))
    return texts_of.filter(lambda content: len(content) < 50_000)


def nested(key: str, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={key: inner | values()})


POLICY = st.fixed_dictionaries({"class_path": texts(2), "init_args": nested("model", texts(3))})
LOSS = st.fixed_dictionaries({
    "class_path": st.sampled_from(["a.KLCov", "a.ClipCov", "PPOClip", "x"]),
    "init_args": nested("kl_coef", st.floats()) | nested("clip_high", st.floats()) | values(),
})  # fmt: skip
CONFIGURATIONS = st.fixed_dictionaries(
    {
        "model": st.fixed_dictionaries(
            {}, optional={"policy": POLICY | values(), "loss": LOSS | values(),
                          "regularizers": st.lists(LOSS, max_size=2) | values()}
        ) | values(),
        "data": st.fixed_dictionaries({"group_size": st.integers() | values(), "task": values()})
        | values(),
    },
    optional={"seed_everything": st.integers() | values()},
)  # fmt: skip


def test_run_folders(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()

    def are_read(case: tuple[bytes, bytes]) -> None:
        (folder / CONFIG).write_bytes(case[0])
        (folder / METRICS_FILE).write_bytes(case[1])
        try:
            run = load_run(folder)
        except ValueError as error:
            assert refusal(error, folder)
            return
        assert len({len(column) for column in run.history.values()}) <= 1

    configurations = written(CONFIGURATIONS)
    tables = TABLES.map(lambda table: b"step,a\n1," + table) | TABLES | BYTES
    assert fuzz(st.tuples(configurations | BYTES, tables), are_read) >= 100


def test_exports(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"

    def is_read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            run = load_run(path)
        except ValueError as error:
            assert refusal(error, path)
            return
        assert np.isfinite(run.history["step"]).all()

    assert fuzz(TABLES | TABLES.map(lambda table: b"step,a\n" + table) | BYTES, is_read) >= 100


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.xz"

    def is_read(case: tuple[list[tuple[str, bytes]], int, int]) -> None:
        members, place, change = case
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:") as tar:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        inner = bytearray(content.getvalue())
        inner[place % len(inner)] ^= change & 255
        outer = bytearray(lzma.compress(bytes(inner), preset=0))
        outer[place % len(outer)] ^= change >> 8
        path.write_bytes(outer[: len(outer) - (change >> 8) % 3])
        try:
            with unpacked(tmp_path) as folder:
                found = {f"{each.parent.name}/{each.name}" for each in folder.glob("*/*")}
        except ValueError as error:
            assert refusal(error, path)
            return
        assert len(found) <= len(members)

    names = st.tuples(texts(2).map(lambda text: text[:60]), st.sampled_from([CONFIG, METRICS_FILE]))
    names = names.map("/".join) | texts(3).map(lambda text: text[:90])
    good = names.filter(lambda name: "\x00" not in name and "\ud83d" not in name)
    members = st.lists(st.tuples(good, st.binary(max_size=40)), max_size=3)
    changes = st.just(0) | st.integers(1, 255) | st.integers(256, 2**16 - 1)
    cases = st.tuples(members, st.integers(0, 2**20), changes)
    assert fuzz(cases, is_read) >= 100


def test_sweep_files(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"

    def is_read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            found = read_file(path)
        except ValueError as error:
            assert refusal(error, path)
            return
        assert all(isinstance(word, str) for word in found.words)

    entry = st.fixed_dictionaries({}, optional={"value": values(), "values": values()})
    names = st.sampled_from(["seed_everything", "model", "a.b"]) | texts(2)
    files = st.fixed_dictionaries(
        {"parameters": st.dictionaries(names, entry | values(), max_size=3) | values()},
        optional={
            "method": st.just("grid") | values(),
            "metric": nested("name", texts(2)) | values(),
            "command": st.lists(st.sampled_from(["fit", "--a", "${args}"]) | values()) | values(),
            "program": values(),
            "\n": values(),
        },
    )
    assert fuzz(written(files) | BYTES, is_read) >= 100
