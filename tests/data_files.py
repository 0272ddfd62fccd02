"""Tiny data sets in the formats that users bring, written where a test says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Record = dict[str, Any]


def write_jsonl(path: Path, rows: list[Record]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def write_parquet(path: Path, rows: list[Record]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def gsm8k(n: int, start: int = 0) -> list[Record]:
    """Rows as in GSM8K: the reasoning and, after ``####``, the number."""
    return [
        {"question": f"What is {i} plus 1?", "answer": f"<<{i}+1={i + 1}>> Add.\n#### {i + 1}"}
        for i in range(start, start + n)
    ]


def verl(questions: list[str], answers: list[str], source: str | None = "aime") -> list[Record]:
    """Rows as in verl's parquet files."""
    return [
        {
            **({} if source is None else {"data_source": source}),
            "prompt": [{"role": "user", "content": question}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": answer},
            "extra_info": {"index": index, "split": "test"},
        }
        for index, (question, answer) in enumerate(zip(questions, answers, strict=True))
    ]
