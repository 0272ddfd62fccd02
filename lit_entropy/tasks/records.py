"""Reading rows of JSONL and parquet files, with errors that name file, row and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_rows(file: str, field: str) -> list[tuple[int, dict[str, Any]]]:
    """The rows of a file as (row number counted from 1, record).

    Args:
        file: path of a ``.jsonl`` or ``.parquet`` file; blank JSONL lines are skipped.
        field: argument that errors name.

    Raises:
        ValueError: no such file, another suffix, a line that is no JSON object, or no rows.
    """
    path = Path(file).expanduser()
    if path.suffix not in (".jsonl", ".parquet"):
        raise ValueError(f"{field}={file!r}: use a .jsonl or .parquet file")
    if not path.is_file():
        raise ValueError(f"{field}={file!r}: no such file; give an existing path")
    rows = _read_jsonl(path) if path.suffix == ".jsonl" else _read_parquet(path)
    if not rows:
        raise ValueError(f"{field}={file!r}: the file has no rows; give one with data")
    return rows


def nested(record: dict[str, Any], name: str) -> Any:
    """The value of a field; dots descend, ``reward_model.ground_truth``. None where absent."""
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def read_prompt(record: dict[str, Any], name: str, place: str) -> str | list[dict[str, str]]:
    """A non-empty text, or non-empty chat messages with string role and content.

    Args:
        record: the row.
        name: field of the prompt.
        place: file and row, for errors.

    Raises:
        ValueError: missing, empty or of another type.
    """
    prompt = nested(record, name)
    if isinstance(prompt, str) and prompt.strip():
        return prompt
    if isinstance(prompt, list) and prompt and all(_is_message(message) for message in prompt):
        return [{"role": message["role"], "content": message["content"]} for message in prompt]
    raise ValueError(
        f"{place}, field {name!r}: {prompt!r:.80} is no prompt; give a non-empty text or a list of "
        f"{{role, content}} messages (fields of this row: {sorted(record)})"
    )


def read_text(record: dict[str, Any], name: str, place: str) -> str:
    """A non-empty text; numbers are written as text.

    Raises:
        ValueError: missing, empty or of another type.
    """
    value = nested(record, name)
    if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise ValueError(
        f"{place}, field {name!r}: {value!r:.80} is no answer; give a non-empty text or a number "
        f"(fields of this row: {sorted(record)})"
    )


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    values = message.get("role"), message.get("content")
    return all(isinstance(value, str) and value.strip() for value in values)


def _read_jsonl(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, row {number}: not JSON ({error})") from error
            if not isinstance(record, dict):
                raise ValueError(f"{path}, row {number}: {record!r:.80} is not a JSON object")
            rows.append((number, record))
    return rows


def _read_parquet(path: Path) -> list[tuple[int, dict[str, Any]]]:
    import pyarrow.parquet  # slow to import, and of use to parquet files only

    return list(enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=1))
