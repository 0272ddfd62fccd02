"""Which fields are found, what prompts and answers are, and why others are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from data_files import gsm8k, verl

from lit_entropy.tasks.fields import (
    Fields,
    find_fields,
    nested,
    read_answer,
    read_prompt,
    source_of,
)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (verl(["q"], ["1"])[0], ("prompt", "reward_model.ground_truth")),
        ({"prompt": "q", "solution": "1"}, ("prompt", "solution")),  # TRL
        ({"problem": "q", "solution": r"\boxed{1}", "answer": "1"}, ("problem", "answer")),
        ({"question": "q", "final_answer": ["1"], "solution": []}, ("question", "final_answer")),
        (gsm8k(1)[0], ("question", "answer")),
        ({"prompt": None, "problem": "q", "answer": None}, ("prompt", "answer")),
        ({"text": "q", "problem": "p", "answer": "1"}, ("problem", "answer")),
    ],
)
def test_fields_are_found_by_their_names(record: dict[str, Any], fields: Fields) -> None:
    assert find_fields(record, "auto", "auto") == fields


def test_fields_given_are_taken() -> None:
    record = {"question": "q", "answer": "1", "other": {"gold": "2"}}
    assert find_fields(record, "auto", "other.gold") == ("question", "other.gold")
    assert find_fields(record, "text", "auto") == ("text", "answer")  # each row says it is missing


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "q", "answer": "1"}, r"prompt_field=auto.*\['answer', 'text'\]: name the field"),
        (
            {"prompt": "q", "meta": {"gold": "1", "level": 2}},
            r"answer_field=auto.*columns \['meta.gold', 'meta.level', 'prompt'\]",
        ),
        ({}, r"prompt_field=auto.*columns \[\]"),
    ],
)
def test_columns_are_listed_where_none_fits(record: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_fields(record, "auto", "auto")


def test_nested_fields() -> None:
    record = {"a": {"b": {"c": 1}}, "a.b": 2}
    assert nested(record, "a.b.c") == 1 and nested(record, "a.b") == 2
    assert nested(record, "a.x") is None and nested(record, "a.b.c.d", "none") == "none"


def test_prompts_keep_role_and_content_alone() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "q", "name": "n"}]
    prompt = read_prompt({"p": messages}, "p")
    assert prompt == [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert read_prompt({"p": " q\n"}, "p") == " q\n"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"field 'p' is missing or null \(columns: \['p'\]\)"),
        ("", "empty prompt"),
        (" \n", "empty prompt"),
        ([], "empty prompt"),
        (5, "5 is a int; give a text or a list"),
        ({"role": "user", "content": "q"}, "is a dict; give a text or a list"),
        (["q"], r"message 0 is a str, not \{role, content\}"),
        ([{"role": "user"}], "message 0: its content is None; give a text"),
        ([{"role": "user", "content": [{"type": "text"}]}], "its content is .*; give a text"),
        ([{"role": "user", "content": " "}], "message 0: its content is empty"),
        ([{"content": "q"}], "message 0: its role is None"),
        (
            [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "last message is of role 'assistant'; a prompt ends with the user's",
        ),
    ],
)
def test_bad_prompts(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_prompt({"p": value}, "p")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("204", "204"),
        (" 1/2 \n", "1/2"),
        (7, "7"),
        (142.0, "142"),
        (1e-05, "0.00001"),
        (4.5e33, "45" + 32 * "0"),
        (-0.5, "-0.5"),
        (0.25, "0.25"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (["12"], "12"),
        ("So 3 + 4 = 7.\n#### 7", "7"),
        (r"Hence $\boxed{\frac{1}{2}}$, not \boxed", r"\frac{1}{2}"),
        (r"\boxed{3} and \boxed{\sqrt{2}}.", r"\sqrt{2}"),
        (r"\boxed{3} #### 4", "4"),
    ],
)
def test_reference_answers(value: Any, answer: str) -> None:
    assert read_answer({"a": value}, "a") == answer


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "field 'a' is missing or null"),
        ("", "empty answer"),
        ("so 5 #### ", "empty answer"),
        (r"\boxed{ }", "empty answer"),
        (True, "True is a bool; give a text or a number"),
        ({"x": 1}, r"is a record of \['x'\]; say what reads it with data\.task\.ground_truth"),
        ([], "holds 0 answers"),
        (["1", "2"], r"holds 2 answers, \['1', '2'\]; give one"),
        ([None], "None is a NoneType"),
        (float("nan"), "nan is no answer"),
        (float("inf"), "inf is no answer"),
    ],
)
def test_bad_answers(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_answer({"a": value}, "a")


def test_sources_are_fit_for_metric_keys() -> None:
    assert source_of({"data_source": "openai/gsm8k"}) == "openai_gsm8k"
    assert source_of({"data_source": "test-math.aime24"}) == "test-math.aime24"
    assert source_of({"data_source": 3}) == source_of({}) == ""
