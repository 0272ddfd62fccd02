"""What an evaluation keeps of a problem: one record of plain numbers, whatever was sampled.

A record has ``id``, ``source``, ``difficulty``, ``fingerprint`` (of prompt and answer) and
``sample``, one response in full. A greedy response adds ``accuracy`` (1, 0, or None where it could
not be checked), ``checked``, ``length``, ``truncated`` and, where the task names answers,
``malformed``. n samples add ``samples`` (n), ``checked_count``, ``correct_count``,
``entropy_total`` (nats), ``tokens``, ``truncated_count`` and, where the task names answers,
``malformed_count``, ``answer_entropy`` (nats) and ``votes``, [samples, checked, correct] an answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch

from lit_entropy.functional.answer_entropy import NO_ANSWER, answer_entropy
from lit_entropy.functional.majority import votes
from lit_entropy.types import Problem

Record = dict[str, Any]
Row = dict[str, Any]


def fingerprint(problem: Problem) -> str:
    """A hash of what a problem asks and expects, the same on every machine."""
    text = json.dumps([problem.prompt, problem.answer], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prompts_hash(records: Sequence[Record]) -> str:
    """A hash of the whole set of problems: sources, ids, prompts and answers, in any order."""
    keys = sorted(f"{r['source']}\n{r['id']}\n{r['fingerprint']}" for r in records)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]


def start_record(problem: Problem) -> Record:
    """The record of a problem that nothing was decoded for."""
    return {
        "id": problem.id,
        "source": problem.source,
        "difficulty": problem.difficulty,
        "fingerprint": fingerprint(problem),
    }


def shown_sample(row: Row, difficulty: int, prompt: str) -> dict[str, Any]:
    """A response in full, for the tables of samples."""
    shown = {key: row[key] for key in ("response", "reward", "correct")}
    return shown | {"prompt": prompt, "difficulty": difficulty}


def add_greedy(record: Record, row: Row) -> None:
    """Put a problem's greedy response into its record."""
    record["accuracy"] = float(row["correct"]) if row["checked"] else None
    record["checked"] = float(row["checked"])
    record["length"] = row["length"]
    record["truncated"] = float(row["truncated"])
    if "answer" in row:
        record["malformed"] = float(row["answer"] == NO_ANSWER)


def add_samples(record: Record, rows: Sequence[Row]) -> None:
    """Put a problem's samples into its record; unchecked ones count neither as right nor wrong."""
    record["samples"] = len(rows)
    record["checked_count"] = sum(row["checked"] for row in rows)
    record["correct_count"] = sum(row["correct"] and row["checked"] for row in rows)
    record["entropy_total"] = sum(row["entropy"] for row in rows)
    record["tokens"] = sum(row["length"] for row in rows)
    record["truncated_count"] = sum(row["truncated"] for row in rows)
    if "answer" in rows[0]:
        columns = {name: [row[name] for row in rows] for name in ("answer", "correct", "checked")}
        answer_G, correct_G, checked_G = (torch.tensor(column) for column in columns.values())
        record["malformed_count"] = int((answer_G == NO_ANSWER).sum())
        record["answer_entropy"] = float(answer_entropy(answer_G[None]))
        record["votes"] = [list(vote) for vote in votes(answer_G, correct_G, checked_G)]
