"""Rows in the form of each file that the field uses: its columns and peculiar rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """A set's rows and what is read of them.

    Attributes:
        suffix: of the file.
        rows: its rows.
        checker: the checker that the docs name for it.
        answers: reference answers of the rows that are read.
        refused: reason of each other row by its number.
        options: further arguments of ``DatasetTask``.
    """

    suffix: str
    rows: list[Record]
    checker: str
    answers: list[str]
    refused: dict[int, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def verl(question: str, truth: Any, source: str, **columns: Any) -> Record:
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": question}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"index": 0, "split": "test"},
        **columns,
    }


def math(answer: str, **columns: Any) -> Record:
    solution = rf"We find \boxed{{{answer}}}."
    return {"problem": f"Find {answer}.", "solution": solution, "answer": answer, **columns}


def olympiad(answers: list[str], **columns: Any) -> Record:
    row = {"id": 1, "question": f"Find {answers}.", "solution": ["One way.", "Another."]}
    row |= {"final_answer": answers, "context": None, "modality": "Text-only", "unit": None}
    return row | {"image_1": None, "is_multiple_answer": len(answers) > 1, "error": None} | columns


def minerva(answer: str, unit: str = "") -> Record:
    solution = rf"It is $\boxed{{{answer}}}${unit}."
    return {"problem": f"Find {answer}.", "solution": solution, "type": "8.282J", "idx": 0}


MESSAGES = json.dumps([{"role": "user", "content": "p"}])
KNIGHTS = {"solution_text_format": "(1) Zoey is a knave\n(2) Ann is a knight", "statements": "()"}

FORMS: dict[str, Form] = {
    "GSM8K, jsonl": Form(
        ".jsonl",
        [
            {"question": "How many?", "answer": "3*400 = <<3*400=1200>>1200.\n#### 1,200"},
            {"question": "And now?", "answer": "It falls.\n#### -5"},
        ],
        "NumberChecker",
        ["1,200", "-5"],
    ),
    "GSM8K, verl": Form(
        ".parquet",
        [verl("How many?", "72", "openai/gsm8k"), verl("And now?", "1,200", "openai/gsm8k")],
        "NumberChecker",
        ["72", "1,200"],
    ),
    "MATH-500, jsonl": Form(
        ".jsonl",
        [
            math(r"\left( 3, \frac{\pi}{2} \right)", subject="Precalculus", level=2),
            math(r"90^\circ", subject="Geometry", level=3),
            math(r"\text{Evelyn}", subject="Algebra", level=2),
            math("10,\\!080", subject="Algebra", level=1),
        ],
        "MathChecker",
        [r"\left( 3, \frac{\pi}{2} \right)", r"90^\circ", r"\text{Evelyn}", "10,\\!080"],
    ),
    "MATH, solutions alone": Form(
        ".parquet",
        [
            {"problem": "p", "solution": r"So $\boxed{\frac{1}{2}}$.", "level": "Level 3"},
            {"problem": "q", "solution": r"First \boxed{2}, then \boxed 3.", "level": "Level 1"},
        ],
        "MathChecker",
        [r"\frac{1}{2}", "3"],
    ),
    "AIME 2024, hub": Form(
        ".jsonl",
        [
            {"id": 60, "problem": "p", "solution": "s", "answer": "204", "year": "2024"},
            {"id": 61, "problem": "q", "solution": "s", "answer": "033", "year": "2024"},
        ],
        "MathChecker",
        ["204", "033"],
    ),
    "AIME 2025, hub": Form(
        ".jsonl",
        [
            {"id": "0", "problem": "p", "answer": "70"},
            {"problem_idx": 2, "problem": "q", "answer": 588},
        ],
        "MathChecker",
        ["70", "588"],
    ),
    "AIME and DAPO, verl": Form(
        ".parquet",
        [
            verl("p", "204", "math_dapo"),
            verl("q", "034", "math_dapo"),
            verl("r", "-3", "math_dapo"),
        ],
        "MathChecker",
        ["204", "034", "-3"],
    ),
    "Messages and answers as JSON, verl": Form(
        ".parquet",
        [
            verl("p", '["34"]', "math") | {"prompt": MESSAGES},
            verl("q", '["3", "4"]', "math") | {"prompt": MESSAGES},
            verl("r", "3", "math") | {"prompt": MESSAGES.replace('"', "'")},
        ],
        "MathChecker",
        ["34"],
        {2: r"holds 2 answers, \['3', '4'\]", 3: "looks like messages and is no JSON of them"},
    ),
    "AMC 2023, hub": Form(
        ".parquet",
        [
            {"id": 0, "problem": "p", "answer": 142.0, "url": "u"},
            {"id": 1, "problem": "q", "answer": 0.1, "url": "u"},
        ],
        "MathChecker",
        ["142", "0.1"],
    ),
    "OlympiadBench": Form(
        ".jsonl",
        [
            olympiad([r"$\frac{1}{2}$"]),
            olympiad(["2", "3"]),
            olympiad(["$0<x<1$ or $x>2$"]),
            olympiad(["12"], image_1={"bytes": "x", "path": None}),
        ],
        "MathChecker",
        [r"$\frac{1}{2}$"],
        {2: "holds 2 answers", 3: "names alternatives", 4: "column 'image_1' holds a picture"},
    ),
    "Minerva, solutions alone": Form(
        ".jsonl",
        [
            minerva("4.5e33", " erg/s"),
            minerva(r"\frac{1}{2} m v^2"),
            minerva("1.6", r" \mathrm{~cm}"),
            minerva("-13.6", " eV"),
        ],
        "MathChecker",
        ["4.5e33", r"\frac{1}{2} m v^2", "1.6", "-13.6"],
    ),
    "Minerva, hub": Form(
        ".jsonl",
        [{"question": "p", "answer": "1e-05"}, {"question": "q", "answer": r"m_{p} / 2"}],
        "MathChecker",
        ["1e-05", r"m_{p} / 2"],
    ),
    "Omni-MATH": Form(
        ".jsonl",
        [
            {"problem": "p", "answer": "63", "difficulty": 8.0, "source": "HMMT_2"},
            {"problem": "q", "answer": "", "difficulty": 8.0, "source": "imo"},
        ],
        "MathChecker",
        ["63"],
        {2: "empty answer"},
    ),
    "Multiple choice": Form(
        ".jsonl",
        [{"question": "p (A) 1 (B) 2", "answer": "B"}, {"question": "q", "answer": "(C)"}],
        "ChoiceChecker",
        ["B", "(C)"],
    ),
    "Geometry with pictures, verl": Form(
        ".parquet",
        [
            verl("<image>Find x.", "3", "geo3k", images=[{"bytes": b"x", "path": "a.png"}]),
            verl("Find y.", "4", "geo3k", images=[]),
            verl("<image>Find z.", "5", "geo3k", images=[]),
        ],
        "MathChecker",
        ["4"],
        {1: "column 'images' holds a picture", 3: "has the place <image>"},
    ),
    "Countdown, verl": Form(
        ".parquet",
        [verl("p", {"numbers": [44, 19, 35], "target": 98}, "countdown")],
        "CountdownChecker",
        ["44;19;35=98"],
        options={"ground_truth": "countdown"},
    ),
    "Knights and knaves, verl": Form(
        ".parquet",
        [verl("p", KNIGHTS, "kk_logic")],
        "KnightsChecker",
        [KNIGHTS["solution_text_format"]],
        options={"ground_truth": "knights_and_knaves"},
    ),
}
