"""Rows of Arrow tables as Python values: parquet files and data sets of the hub.

Floats of 16 and 32 bits become the shortest decimals that give them: 0.1, where Arrow's own
conversion gives 0.10000000149011612. They are what their author wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # slow to import, and of use to such tables only
    import pyarrow as pa


def batch_records(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch.

    Args:
        batch: rows of a table.

    Returns:
        The record of each row, or why it cannot be read.
    """
    narrow = narrow_columns(batch.schema)
    try:
        records = batch.to_pylist()
    except UnicodeDecodeError:  # in some row
        records = [_record(batch, index) for index in range(batch.num_rows)]
    for record in records:
        yield record if isinstance(record, str) else written_out(record, narrow)


def narrow_columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    """The types of the columns that hold floats of 16 or 32 bits, be it within lists or records."""
    return {field.name: field.type for field in schema if "float" in str(field.type)}


def written_out(record: Mapping[str, Any], narrow: Mapping[str, pa.DataType]) -> dict[str, Any]:
    """A record with the shortest decimals of its narrow floats.

    Args:
        record: a row.
        narrow: :func:`narrow_columns` of its table.
    """
    found = {name: _shortest(record[name], kind) for name, kind in narrow.items() if name in record}
    return {**record, **found}


def plain_number(value: np.generic) -> object:
    """A scalar of numpy as a Python value, a narrow float by its shortest decimal."""
    return float(str(value)) if isinstance(value, np.float16 | np.float32) else value.item()


def _shortest(value: Any, kind: pa.DataType) -> Any:
    import pyarrow.types as types

    if value is None:
        return None
    if types.is_float16(kind) or types.is_float32(kind):
        return plain_number((np.float16 if types.is_float16(kind) else np.float32)(value))
    if types.is_struct(kind):
        return {field.name: _shortest(value[field.name], field.type) for field in kind}
    if types.is_map(kind):
        return [(_shortest(k, kind.key_type), _shortest(v, kind.item_type)) for k, v in value]
    if isinstance(value, list) and hasattr(kind, "value_type"):  # lists of every layout
        return [_shortest(item, kind.value_type) for item in value]
    inner = getattr(kind, "storage_type", getattr(kind, "value_type", None))
    return value if inner is None else _shortest(value, inner)  # extensions and dictionaries


def _record(batch: pa.RecordBatch, index: int) -> dict[str, Any] | str:
    try:
        record: dict[str, Any] = batch.slice(index, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        return f"not UTF-8 ({error})"
    return record
