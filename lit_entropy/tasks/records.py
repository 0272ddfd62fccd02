"""Rows of a data set, one by one: JSONL, parquet, or a data set of the Hugging Face hub."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lit_entropy.closest import no_such_file
from lit_entropy.tasks.arrow import batch_records, narrow_columns, plain_number, written_out

HUB = "hub:"
#: Rows of a parquet file that are turned into Python objects at a time.
BATCH_ROWS = 4096


@dataclass(frozen=True)
class DataFile:
    """Where the rows of a set stand, and in which fields.

    Attributes:
        path: a ``.jsonl`` or ``.parquet`` file, or ``hub:owner/name`` (extra ``data``).
        prompt_field: field of the prompt; None takes the task's ``prompt_field``.
        answer_field: field of the reference answer; None takes the task's ``answer_field``.
        template: text of the user message; None takes the task's ``template``.
        split: split of a hub data set; may be left out where there is only one.
        config: configuration of a hub data set, ``main`` say.
        revision: branch, tag or commit of a hub data set; pin one for a reproducible run.
    """

    path: str
    prompt_field: str | None = None
    answer_field: str | None = None
    template: str | None = None
    split: str | None = None
    config: str | None = None
    revision: str | None = None


class Row(NamedTuple):
    """A row with its number, counted from 1 (in JSONL that of the line).

    ``reason`` says why the record could not be read; empty where it could.
    """

    number: int
    record: Mapping[str, object]
    reason: str = ""


def read_rows(file: DataFile, label: str) -> Iterator[Row]:
    """The rows of a set; blank lines of JSONL are skipped, but counted.

    Args:
        file: where they stand.
        label: the setting that names the set, for errors (``data.task.train``).

    Raises:
        ValueError: no such file or data set, another suffix, a file that cannot be read, hub
            settings for a local file, or the ``datasets`` package is missing.
    """
    place = f"{label}={file.path!r}"
    if file.path.startswith(HUB):
        return _read_hub(file, place)
    for name in ("split", "config", "revision"):
        if (value := getattr(file, name)) is not None:
            raise ValueError(f"{place}: {name}={value!r} is for hub data sets, hub:owner/name")
    path = Path(file.path).expanduser()
    if path.suffix not in (".jsonl", ".parquet"):
        raise ValueError(f"{place}: use a .jsonl or .parquet file, or hub:owner/name")
    if not path.is_file():
        raise ValueError(f"{place}: {no_such_file(file.path)}")
    return _read_jsonl(path, place) if path.suffix == ".jsonl" else _read_parquet(path, place)


def plain_record(record: Mapping[Any, object]) -> dict[str, object]:
    """A row with :func:`plain` values."""
    return {str(key): plain(item) for key, item in record.items()}


def plain(value: object) -> object:
    """Arrays and numbers of numpy, tuples and mappings as lists, Python numbers and dicts."""
    if isinstance(value, Mapping):
        return plain_record(value)
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value] if value.ndim else plain(value[()])
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return plain_number(value) if isinstance(value, np.generic) else value


def _read_jsonl(path: Path, place: str) -> Iterator[Row]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"{place}: the file cannot be opened ({error})") from error
    with file as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except (ValueError, RecursionError) as error:
                yield Row(number, {}, f"not JSON ({error})")
                continue
            if isinstance(record, dict):
                yield Row(number, record)
            else:
                yield Row(number, {}, f"{record!r:.80} is not a JSON object")


def _read_parquet(path: Path, place: str) -> Iterator[Row]:
    import pyarrow  # slow to import, and of use to parquet files only
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for record in batch_records(batch):
                    number += 1
                    if isinstance(record, str):
                        yield Row(number, {}, record)
                    else:
                        yield Row(number, plain_record(record))
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{place}: no readable parquet file ({error})") from error


def _read_hub(file: DataFile, place: str) -> Iterator[Row]:
    try:
        import datasets  # an extra
    except ImportError as error:
        raise ValueError(
            f"{place}: hub data sets need the package datasets: pip install 'lit_entropy[data]', "
            "or give a .jsonl or .parquet file"
        ) from error
    name = file.path.removeprefix(HUB)
    try:
        loaded = datasets.load_dataset(name, file.config, split=file.split, revision=file.revision)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{place}, config={file.config!r}, split={file.split!r}, revision={file.revision!r}: "
            f"{error}; correct the setting, or give a .jsonl or .parquet file"
        ) from error
    if isinstance(loaded, dict):  # every split, since none was named
        if len(loaded) > 1:
            raise ValueError(f"{place}: name its split, one of {list(loaded)}")
        loaded = next(iter(loaded.values()))
    features = getattr(loaded, "features", None)  # a stream may not know them
    narrow = narrow_columns(features.arrow_schema) if features else {}
    return (
        Row(number, plain_record(written_out(record, narrow)))
        for number, record in enumerate(loaded, start=1)
    )
