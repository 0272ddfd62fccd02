"""Values that stand in rows in another form: JSON in a text, records, pictures, half characters."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import write_jsonl, write_parquet

from lit_entropy.errors import ContractError
from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks.fields import read_answer, read_prompt
from lit_entropy.tasks.ground_truth import GroundTruthReader
from lit_entropy.tasks.media import refuse_media
from lit_entropy.tasks.written import written_messages
from lit_entropy.types import Problem
from lit_entropy.verify import AnswerChecker, CountdownChecker, KnightsChecker, NumberChecker

MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]


def test_the_start_of_messages_is_sought_in_linear_time() -> None:
    def seconds(length: int) -> float:
        start = time.process_time()
        assert written_messages(" " * length) == " " * length
        return time.process_time() - start

    # ten times the text, a hundred times the time if it were quadratic
    assert seconds(30_000) < 50 * max(min(seconds(3_000) for _ in range(3)), 1e-4)


def problems(path: str, checker: AnswerChecker | None = None, **options: Any) -> list[Problem]:
    return list(
        DatasetTask(checker or NumberChecker(), None, path, **options).validation_problems()
    )


def test_messages_stored_as_json_are_messages(tmp_path: Path) -> None:
    rows = [{"prompt": json.dumps(MESSAGES), "answer": "1"}]
    for path in (
        write_parquet(tmp_path / "a.parquet", rows),
        write_jsonl(tmp_path / "a.jsonl", rows),
        write_jsonl(tmp_path / "b.jsonl", [{"prompt": MESSAGES, "answer": "1"}]),
        write_jsonl(
            tmp_path / "c.jsonl", [{"prompt": json.dumps(MESSAGES, indent=1), "answer": 1}]
        ),
    ):
        assert problems(path)[0].prompt == MESSAGES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (str(MESSAGES), "looks like messages and is no JSON of them"),
        (str(MESSAGES[1]), "looks like messages and is no JSON"),
        (f"array({MESSAGES}, dtype=object)", "looks like messages and is no JSON"),
        (json.dumps(json.dumps(MESSAGES)), "looks like messages and is no JSON"),
        (json.dumps(MESSAGES)[:-2], "looks like messages and is no JSON"),
        (json.dumps(MESSAGES[1]), "is a dict; give a text or a list"),
        (json.dumps([{"role": "user"}]), "message 0: its content is None"),
        (json.dumps([{"content": "q"}]), "message 0: its role is None"),
        (json.dumps([{"from": "human", "value": "q"}]), "message 0: its role is None"),
        (json.dumps([*MESSAGES, "q"]), "message 2 is a str"),
        (json.dumps([MESSAGES[0]]), "last message is of role 'system'"),
    ],
)
def test_texts_of_messages_in_another_form_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"field 'p'.*{message}"):
        read_prompt({"p": text}, "p")


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 3]: what is its sum?",
        "[1, 2, 3]",
        '{"a": 1} has how many keys?',
        '{"a": 1}',
        '"Yes," she said: how many words?',
        "[asy] draw(role); [/asy] What is the content?",
        'Write JSON such as [{"role": "user", "content": "q"}].',
        "[" * 100_000,
    ],
)
def test_other_texts_stay_texts(text: str) -> None:
    assert read_prompt({"p": text}, "p") == text


@pytest.mark.parametrize(
    ("text", "answer"),
    [('["34"]', "34"), (r'["\\frac{1}{2}"]', r"\frac{1}{2}"), ("[1, 2]", "[1, 2]")],
)
def test_a_list_of_one_answer_stored_as_json(text: str, answer: str) -> None:
    assert read_answer({"a": text}, "a") == answer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["1", "2"]', r"holds 2 answers, \['1', '2'\]; give one"),
        ("['34']", "looks like a list or a record and is no JSON of it"),
        ("{'numbers': [1, 2], 'target': 3}", "looks like a list or a record and is no JSON"),
        (
            '{"numbers": [1, 2], "target": 3}',
            r"a record of \['numbers', 'target'\]; say what reads",
        ),
        ("nan", "nan is no answer"),
        ("null", "null is no answer"),
    ],
)
def test_answers_stored_in_another_form_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"field 'a'.*{message}"):
        read_answer({"a": text}, "a")


@pytest.mark.parametrize(
    ("record", "prompt", "message"),
    [
        ({"images": [{"bytes": None, "path": "a.png"}]}, "q", "column 'images' holds a picture"),
        ({"image_2": "a.png"}, "q", "column 'image_2' holds a picture"),
        ({"videos": ["a.mp4"]}, "q", "column 'videos' holds a film"),
        ({"audio": {"array": [0.0]}}, "q", "column 'audio' holds a sound"),
        ({}, "<image>What?", "the prompt has the place <image> for a picture"),
        ({"images": None}, "In <image 1> see", "the prompt has the place <image 1>"),
        ({}, [{"role": "user", "content": "<|image_pad|>"}], r"the place <\|image_pad\|>"),
    ],
)
def test_rows_with_pictures_are_refused(record: dict[str, Any], prompt: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message + ".*only text is read"):
        refuse_media(record, prompt)


def test_empty_columns_of_pictures_do_not_matter() -> None:
    empty: list[Any] = [None, [], [None], "", {"bytes": None, "path": None}, [{"bytes": b""}]]
    for value in empty:
        refuse_media({"images": value, "image_count": 3, "imagery": "x"}, "How does <video> work?")


def test_a_row_with_a_picture_is_named_by_its_number(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "answer": "1"}, {"prompt": "<image>q", "answer": "1"}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(ValueError, match=r"1 of 2 rows cannot be used\n  row 2, the prompt has"):
        problems(path)
    with pytest.warns(UserWarning, match="row 2, the prompt has the place"):
        assert len(problems(path, skip_bad_rows=True)) == 1


HALF = "a\ud83d"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": HALF, "answer": "1"}, r"field 'prompt': character 1 of 'a\\ud83d' is half"),
        (
            {"prompt": [{"role": "user", "content": HALF}], "answer": "1"},
            "message 0: its content: c",
        ),
        ({"prompt": "q", "answer": HALF}, "field 'answer': character 1 of"),
    ],
)
def test_half_a_surrogate_pair_is_a_bad_row(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    whole = {"prompt": "\U0001f600", "answer": "1"}  # JSON writes it as both halves
    path = write_jsonl(tmp_path / "a.jsonl", [whole, row])
    with pytest.raises(ValueError, match=rf"1 of 2 rows cannot be used\n  row 2, .*{message}"):
        problems(path)


def test_half_a_surrogate_pair_in_a_setting() -> None:
    for setting in ("template", "system_prompt"):
        with pytest.raises(ValueError, match=f"{setting}=.* holds half a surrogate pair"):
            DatasetTask(NumberChecker(), "a.jsonl", **{setting: "{prompt}" + HALF})  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path: Path) -> None:
    """A parquet file may hold them in a column of texts; other rows of the file are read."""
    column = pa.array([b"one", b"\xff\xfe", b"three"], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 3, column.buffers())
    pq.write_table(pa.table({"prompt": texts, "answer": ["1", "2", "3"]}), tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"1 of 3 rows cannot be used\n  row 2, not UTF-8"):
        problems(path)
    with pytest.warns(UserWarning, match="row 2, not UTF-8"):
        assert [p.answer for p in problems(path, skip_bad_rows=True)] == ["1", "3"]


def verl_rows(*truths: Any) -> list[dict[str, Any]]:
    return [
        {"prompt": MESSAGES, "reward_model": {"style": "rule", "ground_truth": truth}}
        for truth in truths
    ]


@pytest.mark.parametrize("form", [lambda truth: truth, json.dumps], ids=["record", "json"])
def test_countdown_records(tmp_path: Path, form: Any) -> None:
    truths = [{"numbers": [44, 19, 35], "target": 98}, {"numbers": [1.0, 2.0], "target": -1}]
    path = write_parquet(tmp_path / "a.parquet", verl_rows(*map(form, truths)))
    task = DatasetTask(CountdownChecker(), None, path, ground_truth="countdown")
    read = task.validation_problems()
    assert [problem.answer for problem in read] == ["44;19;35=98", "1;2=-1"]
    assert task.rewards([read[0]] * 2, ["<answer>44+19+35</answer>", "<answer>98</answer>"]) == [
        1,
        0,
    ]


def test_knights_and_knaves_records(tmp_path: Path) -> None:
    text = "(1) Zoey is a knave\n(2) Oliver is a knight"
    truth = {"solution_text_format": text, "statements": "(('lying', 1), ('telling-truth', 0))"}
    path = write_jsonl(tmp_path / "a.jsonl", verl_rows(truth))
    task = DatasetTask(KnightsChecker(), None, path, ground_truth="knights_and_knaves")
    (problem,) = task.validation_problems()
    assert problem.answer == text
    assert task.reward(problem, "<answer>Oliver is a knight, Zoey is a knave</answer>") == 1


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({"numbers": [1]}, "give a record of numbers, target"),
        ("1;2=3", "it is a text and no JSON"),
        ([1], "give a record of numbers, target"),
        ({"numbers": [], "target": 3}, r"its numbers are \[\]; give a list of whole numbers"),
        ({"numbers": [1.5], "target": 3}, "1.5 is no whole number"),
        ({"numbers": [True], "target": 3}, "True is no whole number"),
    ],
)
def test_records_that_a_reader_refuses_are_bad_rows(
    tmp_path: Path, truth: Any, message: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", verl_rows(truth))
    with pytest.raises(
        ValueError,
        match=r"row 1, field 'reward_model\.ground_truth': .* is refused by "
        rf"data\.task\.ground_truth='countdown' \({message}",
    ):
        problems(path, CountdownChecker(), ground_truth="countdown")


def first(value: Any) -> Any:
    """A reader of one's own."""
    return value["golds"][0]


def test_an_own_reader(tmp_path: Path) -> None:
    file = tmp_path / "my_reader.py"
    file.write_text("def first(value):\n    return value['golds'][0]\n")
    path = write_jsonl(tmp_path / "a.jsonl", verl_rows({"golds": ["5"]}))
    for reader in (first, f"{file}:first", f"{__name__}.first"):
        assert problems(path, ground_truth=reader)[0].answer == "5"
    short = write_jsonl(tmp_path / "b.jsonl", verl_rows({"golds": []}))
    with pytest.raises(ValueError, match=r"refused by data.*IndexError: list index out of range"):
        problems(short, ground_truth=first)
    number = write_jsonl(tmp_path / "c.jsonl", verl_rows({"golds": [5]}))
    with pytest.raises(ContractError, match=r"first.*expected a text, the reference answer"):
        problems(number, ground_truth=first)
    empty = write_jsonl(tmp_path / "d.jsonl", verl_rows({"golds": [" "]}))
    with pytest.raises(ValueError, match="is an empty answer"):
        problems(empty, ground_truth=first)


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("countdwon", "use one of countdown, knights_and_knaves, or a function of yours"),
        ("none.py:f", "no such file"),
        ("json.nothing", "json has no nothing"),
    ],
)
def test_readers_that_are_not_there(reader: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"data.task.ground_truth='{reader}': .*{message}"):
        GroundTruthReader(reader)
