"""Bad rows, duplicates and overlaps: gathered in one error, or left out and counted."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from data_files import gsm8k, verl, write_jsonl, write_parquet
from hypothesis import given
from hypothesis import strategies as st
from whole_numbers import WholeNumbers

from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks import loading as loading_module
from lit_entropy.tasks.loaded_set import set_number

BAD: list[dict[str, Any]] = [
    {"answer": "1"},
    {"question": " ", "answer": "1"},
    {"question": 5, "answer": "1"},
    {"question": "q"},
    {"question": "q", "answer": "x + 1"},
    {"question": [{"role": "user"}], "answer": "1"},
]
REASONS = [
    r"row 3, field 'question' is missing or null \(columns: \['answer'\]\)",
    r"row 4, field 'question' is an empty prompt",
    r"row 5, field 'question': 5 is a int",
    r"row 6, field 'answer' is missing or null",
    r"row 7, field 'answer': 'x \+ 1' is no whole number",
    r"row 8, field 'question', message 0: its content is None",
]


def dataset(*arguments: Any, **options: Any) -> DatasetTask:
    return DatasetTask(WholeNumbers(), *arguments, **options)


def test_all_bad_rows_stand_in_one_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "bad.jsonl", [*gsm8k(2), *BAD, *gsm8k(1, start=9)])
    task = dataset(path, validation_fraction=0.5)
    with pytest.raises(ValueError) as caught:
        task.train_problems()
    text = str(caught.value)
    assert text.startswith(f"data.task.train='{path}': 6 of 9 rows cannot be used\n")
    for reason in REASONS:
        assert caught.match(reason)
    assert "data.task.skip_bad_rows=true" in text and "more" not in text


def test_bad_rows_of_one_reason_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(write_lines := '{"question": "q", "answer": "1"}\n' + "no\n" * 30)
    assert write_lines.count("\n") == 31
    with pytest.raises(ValueError, match=r"30 of 31 rows") as caught:
        dataset(None, {"a": str(path)}).validation_problems()
    assert str(caught.value).count("not JSON") == 1
    assert "rows 2, 3, 4 and 27 more, not JSON" in str(caught.value)


def test_a_column_is_named_that_was_probably_meant(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", gsm8k(9))
    with pytest.raises(ValueError, match=r"rows 1, 2, 3 and 6 more, .*did you mean question\?"):
        dataset(path, prompt_field="quetsion").train_problems()


def test_bad_rows_of_every_validation_set_stand_in_one_error(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "one.jsonl", [*gsm8k(1), {"question": "q"}])
    two = write_jsonl(tmp_path / "two.jsonl", [*gsm8k(1), {"answer": "1"}])
    with pytest.raises(ValueError) as caught:
        dataset(None, {"one": one, "two": two}).validation_problems()
    for name in ("one", "two"):
        assert f"data.task.validation.{name}=" in str(caught.value)


def test_bad_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "bad.jsonl", [*gsm8k(2), *BAD])
    task = dataset(None, {"a": path}, skip_bad_rows=True)
    with pytest.warns(UserWarning, match="6 of 8 rows cannot be used") as caught:
        problems = task.validation_problems()
    assert [problem.answer for problem in problems] == ["1", "2"]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once
        task.validation_problems()


@pytest.mark.parametrize(
    ("rows", "message"),
    [([], "has no rows; give one with data"), (BAD[1:2], "1 of 1 rows.*\n.*\nNo row is left")],
)
def test_a_set_without_problems_is_refused(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    path = write_jsonl(tmp_path / "empty.jsonl", rows)
    with pytest.raises(ValueError, match=message):
        dataset(None, {"a": path}, skip_bad_rows=True).validation_problems()


def test_columns_that_do_not_fit_are_no_matter_of_rows(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "q", "gold": "1"}] * 3)
    task = dataset(None, {"a": path}, skip_bad_rows=True)
    with pytest.raises(ValueError, match=r"validation\.a='.*prompt_field=auto.*\['gold', 'text'\]"):
        task.validation_problems()
    named = dataset(None, {"a": path}, prompt_field="text", answer_field="gold")
    assert len(named.validation_problems()) == 3


def test_duplicates_are_kept_or_dropped(tmp_path: Path) -> None:
    repeated = verl(["a", "b", " a\n", "a"], ["1", "2", "1", "1"])
    path = write_parquet(tmp_path / "twice.parquet", repeated)
    assert len(dataset(None, {"a": path}).validation_problems()) == 4
    task = dataset(None, {"a": path}, duplicates="drop")
    with pytest.warns(UserWarning, match="2 duplicates are left out"):
        problems = task.validation_problems()
    assert [problem.answer for problem in problems] == ["1", "2"]
    path = write_parquet(tmp_path / "torn.parquet", verl(["a", "b", "a"], ["1", "2", "3"]))
    with pytest.raises(ValueError, match="row 3, the prompt is that of row 1, the answer '3' is"):
        dataset(None, {"a": path}, duplicates="drop").validation_problems()


def test_a_training_prompt_in_a_validation_set_is_a_bad_row(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", gsm8k(20))
    rows = verl([f"What is  {i} plus 1? " for i in range(18, 22)], ["1"] * 4)
    other = write_parquet(tmp_path / "other.parquet", rows)
    task = dataset(train, {"a": other}, validation_limit=1, template="{prompt} ####")
    with pytest.raises(ValueError, match=r"2 of 20 rows") as caught:
        task.train_problems()
    assert caught.match(
        rf"row 19, the prompt is that of row 1 of data\.task\.validation\.a='{other}'"
    )
    task.skip_bad_rows = True
    with pytest.warns(UserWarning, match="(?s)2 of 20 rows.*row 20, the prompt is that of row 2"):
        problems = task.train_problems()
    assert [problem.id for problem in problems] == list(range(1, 19))


@given(st.text())
def test_numbers_of_sets(name: str) -> None:
    assert 1 <= set_number(name) < 2**20 and set_number(name) == set_number(name)


def test_names_whose_ids_would_meet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_number("aime24") != set_number("aime25")
    monkeypatch.setattr(loading_module, "set_number", len)
    with pytest.raises(ValueError, match=r"validation\.bb: its ids would be those of aa; rename"):
        dataset(None, {"aa": "x.jsonl", "bb": "y.jsonl"})
