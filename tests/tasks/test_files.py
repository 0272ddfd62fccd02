"""FileTask: GSM8K and verl rows, splits, templates, scoring, and errors that name the place."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_models import character_tokenizer

from lit_entropy.tasks.files import VALIDATION_ID, FileTask


def write_jsonl(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return str(path)


def gsm8k(n, start=0):
    return [
        {
            "question": f"What is {i} plus 1?",
            "answer": f"{i} + 1 = <<{i}+1={i + 1}>>.\n#### {i + 1}",
        }
        for i in range(start, start + n)
    ]


@pytest.fixture
def train_file(tmp_path):
    return write_jsonl(tmp_path / "train.jsonl", gsm8k(20))


@pytest.fixture
def validation_file(tmp_path):
    return write_jsonl(tmp_path / "validation.jsonl", gsm8k(5, start=1000))


@pytest.fixture
def verl_file(tmp_path):
    rows = [
        {
            "data_source": "aime",
            "prompt": [{"role": "user", "content": f"Find {i}."}],
            "reward_model": {"style": "rule", "ground_truth": f"0{i}"},
            "extra_info": {"index": i, "split": "test"},
        }
        for i in range(10, 20)
    ]
    path = tmp_path / "verl.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_gsm8k_rows(train_file, validation_file):
    task = FileTask(train_file, validation_file, template="{prompt} End with ####.")
    train, validation = task.train_problems(), task.validation_problems()
    assert (len(train), len(validation)) == (20, 5)
    assert train[3].prompt == [
        {"role": "user", "content": "What is 3 plus 1? End with ####."},
    ]
    assert (train[3].id, train[3].answer) == (4, "4")
    assert [p.id for p in validation] == [VALIDATION_ID + row for row in range(1, 6)]


def test_reward(train_file, validation_file):
    problem = FileTask(train_file, validation_file).train_problems()[3]
    responses = ["#### 4", r"\boxed{4.0}", "#### $4.", "4", "#### 5", "#### 4/1", ""]
    expected = {
        "either": [1, 1, 1, 0, 0, 0, 0],
        "marked": [1, 0, 1, 0, 0, 0, 0],
        "boxed": [0, 1, 0, 0, 0, 0, 0],
        "last": [1, 1, 1, 1, 0, 0, 0],
    }
    for style, rewards in expected.items():
        task = FileTask(train_file, validation_file, answer_style=style)
        assert [task.reward(problem, response) for response in responses] == rewards


def test_verl_rows(verl_file):
    task = FileTask(
        verl_file,
        prompt_field="prompt",
        answer_field="reward_model.ground_truth",
        validation_fraction=0.3,
        system_prompt="Be brief.",
        template="{prompt} Box it.",
        answer_style="boxed",
    )
    train, validation = task.train_problems(), task.validation_problems()
    assert (len(train), len(validation)) == (7, 3)
    problem = next(p for p in [*train, *validation] if p.id == 1)
    assert problem.prompt == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Find 10. Box it."},
    ]
    assert problem.answer == "010" and task.reward(problem, r"\boxed{10}") == 1.0


def test_held_out_split_is_disjoint_and_reproducible(tmp_path):
    rows = gsm8k(20) + gsm8k(20)  # every prompt twice: both copies must fall on one side
    path = write_jsonl(tmp_path / "twice.jsonl", rows)
    task, again = FileTask(path, validation_fraction=0.25), FileTask(path, validation_fraction=0.25)
    train, validation = task.train_problems(), task.validation_problems()
    assert (len(train), len(validation)) == (30, 10)
    assert not {str(p.prompt) for p in train} & {str(p.prompt) for p in validation}
    assert [p.id for p in validation] == sorted(p.id for p in validation)
    assert again.validation_problems() == validation
    other = FileTask(path, validation_fraction=0.25, seed=1).validation_problems()
    assert {p.id for p in other} != {p.id for p in validation}


def test_limits(train_file, validation_file):
    task = FileTask(train_file, validation_file, train_limit=2, validation_limit=3)
    assert [p.id for p in task.train_problems()] == [1, 2]
    assert len(task.validation_problems()) == 3


def test_plain_text_prompts(train_file, validation_file):
    task = FileTask(train_file, validation_file, chat=False, template="Q: {prompt}")
    problem = task.train_problems()[0]
    assert problem.prompt == "Q: What is 0 plus 1?"
    tokenizer = character_tokenizer("".join(sorted(set(problem.prompt))))
    assert tokenizer.decode(task.encode(problem, tokenizer)) == problem.prompt


def test_braces_in_template_and_prompt_are_left_alone(tmp_path):
    path = write_jsonl(
        tmp_path / "braces.jsonl",
        [{"question": r"What is $\frac{4}{2}$?", "answer": 2}, {"question": "{x}", "answer": 1.5}],
    )
    task = FileTask(path, validation_fraction=0.5, template=r"{prompt} Use \boxed{}.")
    problems = [*task.train_problems(), *task.validation_problems()]
    contents = {p.prompt[0]["content"]: p.answer for p in problems}
    assert contents == {
        r"What is $\frac{4}{2}$? Use \boxed{}.": "2",
        r"{x} Use \boxed{}.": "1.5",
    }


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"answer": "1"}, "'question'"),
        ({"question": "", "answer": "1"}, "'question'"),
        ({"question": "  ", "answer": "1"}, "'question'"),
        ({"question": 5, "answer": "1"}, "'question'"),
        ({"question": [], "answer": "1"}, "'question'"),
        ({"question": [{"role": "user"}], "answer": "1"}, "'question'"),
        ({"question": [{"role": "user", "content": ""}], "answer": "1"}, "'question'"),
        ({"question": "q"}, "'answer'"),
        ({"question": "q", "answer": ""}, "'answer'"),
        ({"question": "q", "answer": None}, "'answer'"),
        ({"question": "q", "answer": True}, "'answer'"),
        ({"question": "q", "answer": "x + 1"}, "'answer'.*no number"),
        ({"question": "q", "answer": "so 5 ####"}, "'answer'.*no number"),
    ],
)
def test_bad_rows_name_file_row_and_field(tmp_path, row, field):
    path = write_jsonl(tmp_path / "bad.jsonl", [*gsm8k(2), row])
    with pytest.raises(ValueError, match=rf"bad\.jsonl, row 3, field {field}"):
        FileTask(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no rows"),
        ("\n\n", "no rows"),
        ('{"question": "q"', "row 1: not JSON"),
        ("[1]", "row 1: .*not a JSON object"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        FileTask(str(path))


def test_blank_lines_keep_line_numbers(tmp_path):
    path = tmp_path / "blank.jsonl"
    path.write_text("\n".join(["", json.dumps(gsm8k(1)[0]), "", '{"question": "q"}']))
    with pytest.raises(ValueError, match="row 4, field 'answer'"):
        FileTask(str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_file": "missing.jsonl"}, r"train_file='missing\.jsonl': no such file"),
        ({"train_file": "data.csv"}, r"train_file='data\.csv': use a \.jsonl or \.parquet"),
        ({"validation_file": "missing.jsonl"}, "validation_file='missing"),
        ({"validation_fraction": 0.0}, "validation_fraction=0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"validation_fraction": 0.01}, "of 20 distinct prompts this holds out 0"),
        ({"template": "no place"}, "template='no place'"),
        ({"answer_style": "exact"}, "answer_style='exact'"),
        ({"train_limit": 0}, "train_limit=0"),
        ({"validation_limit": -1}, "validation_limit=-1"),
        ({"chat": False, "system_prompt": "s"}, "system_prompt='s' needs chat"),
        ({"prompt_field": "text"}, "row 1, field 'text'"),
    ],
)
def test_bad_arguments(train_file, options, message):
    with pytest.raises(ValueError, match=message):
        FileTask(**{"train_file": train_file, **options})


def test_overlap_of_the_two_files_is_refused(train_file, tmp_path):
    overlapping = write_jsonl(tmp_path / "overlap.jsonl", gsm8k(3, start=19))
    with pytest.raises(ValueError, match="row 1 has the prompt of row 20"):
        FileTask(train_file, overlapping)


def test_messages_need_chat(verl_file):
    with pytest.raises(ValueError, match="messages need chat=true"):
        FileTask(
            verl_file, prompt_field="prompt", answer_field="reward_model.ground_truth", chat=False
        )
