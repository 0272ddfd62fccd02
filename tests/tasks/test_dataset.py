"""DatasetTask: formats that agree, splits, several sets, identities, scoring, arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data_files import gsm8k, verl, write_jsonl, write_parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import character_tokenizer
from whole_numbers import WholeNumbers

from lit_entropy.tasks import DataFile, DatasetTask
from lit_entropy.tasks.loaded_set import row_of
from lit_entropy.types import Problem
from lit_entropy.verify import NumberChecker


@pytest.fixture
def train(tmp_path: Path) -> str:
    return write_jsonl(tmp_path / "train.jsonl", gsm8k(20))


@pytest.fixture
def validation(tmp_path: Path) -> str:
    return write_jsonl(tmp_path / "validation.jsonl", gsm8k(5, start=1000))


def dataset(*arguments: Any, **options: Any) -> DatasetTask:
    return DatasetTask(WholeNumbers(), *arguments, **options)


def test_gsm8k_rows(train: str, validation: str) -> None:
    task = dataset(train, validation, template="{prompt} End with ####.", system_prompt="Solve.")
    problems = task.train_problems()
    assert problems[3] == Problem(
        4,
        [
            {"role": "system", "content": "Solve."},
            {"role": "user", "content": "What is 3 plus 1? End with ####."},
        ],
        "4",
    )
    assert [problem.id for problem in problems] == list(range(1, 21))
    assert [problem.answer for problem in task.validation_problems()] == [
        str(i) for i in range(1001, 1006)
    ]
    assert task.train_problems() is problems  # read once


texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(texts, st.integers(-(10**12), 10**12)), min_size=1, max_size=6))
def test_every_format_gives_the_same_problems(tmp_path: Path, pairs: list[tuple[str, int]]) -> None:
    questions, answers = [q for q, _ in pairs], [str(a) for _, a in pairs]
    rows = list(zip(questions, answers, strict=True))
    messages = verl(questions, answers, source=None)
    files = [
        write_parquet(tmp_path / "verl.parquet", messages),
        write_jsonl(tmp_path / "verl.jsonl", messages),
        write_parquet(tmp_path / "trl.parquet", [{"prompt": q, "solution": a} for q, a in rows]),
        write_jsonl(
            tmp_path / "trl.jsonl",
            [{"prompt": [{"role": "user", "content": q}], "answer": int(a)} for q, a in rows],
        ),
        write_jsonl(
            tmp_path / "gsm8k.jsonl", [{"question": q, "answer": f"So\n#### {a}"} for q, a in rows]
        ),
        write_jsonl(
            tmp_path / "math.jsonl",
            [{"problem": q, "solution": rf"Thus $\boxed{{{a}}}$."} for q, a in rows],
        ),
    ]
    read = [list(dataset(None, {"set": file}).validation_problems()) for file in files]
    assert [problem.answer for problem in read[0]] == answers
    assert [problem.prompt[0]["content"] for problem in read[0]] == questions
    assert all(problems == read[0] for problems in read[1:])


def test_plain_text_prompts_are_encoded_as_they_stand(train: str, validation: str) -> None:
    task = dataset(train, validation, chat=False, template="Q: {prompt}\nA:")
    problem = task.train_problems()[0]
    assert problem.prompt == "Q: What is 0 plus 1?\nA:"
    tokenizer = character_tokenizer("".join(sorted(set(problem.prompt))))
    assert tokenizer.decode(task.encode(problem, tokenizer)) == problem.prompt


def test_held_out_part_is_disjoint_and_reproducible(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "twice.jsonl", gsm8k(20) + gsm8k(20))  # copies on one side
    task, again = (dataset(path, validation_fraction=0.25) for _ in range(2))
    training, held_out = task.train_problems(), task.validation_problems()
    assert (len(training), len(held_out)) == (30, 10)
    assert not {str(p.prompt) for p in training} & {str(p.prompt) for p in held_out}
    assert sorted(p.id for p in [*training, *held_out]) == list(range(1, 41))
    assert again.validation_problems() == held_out  # also when it is asked for first
    other = dataset(path, validation_fraction=0.25, seed=1).validation_problems()
    assert {p.id for p in other} != {p.id for p in held_out}
    with pytest.raises(ValueError, match="of 20 distinct prompts this holds out 0"):
        dataset(path, validation_fraction=0.01).train_problems()


def test_several_validation_sets_by_name(tmp_path: Path, train: str) -> None:
    one = write_jsonl(tmp_path / "one.jsonl", gsm8k(3, start=100))
    two = write_parquet(tmp_path / "two.parquet", verl(["a", "b"], ["7", "8"]))
    named = {"one": one, "two": DataFile(two, template="{prompt}!")}
    task = dataset(train, named, template="{prompt}?", validation_limit=2)
    problems = task.validation_problems()
    assert [problem.source for problem in problems] == ["one", "one", "two", "two"]
    assert problems[0].prompt[0]["content"] == "What is 100 plus 1??"
    assert problems[2].prompt[0]["content"] == "a!"
    # a set's ids depend on its name and rows alone
    alone = dataset(None, {"two": two}).validation_problems()
    assert [problem.id for problem in alone] == [problem.id for problem in problems[2:]]
    swapped = dataset(None, {"two": one, "one": two}).validation_problems()
    ids = {problem.id for problem in [*problems, *swapped, *task.train_problems()]}
    assert len(ids) == 20 + 2 + 3 and all(0 < i < 2**52 for i in ids)
    assert [row_of(problem) for problem in problems] == [1, 2, 1, 2]


def test_an_unnamed_set_takes_the_source_of_its_rows(tmp_path: Path) -> None:
    rows = verl(["a"], ["1"], source="aime") + verl(["b"], ["2"], source="math/500")
    path = write_parquet(tmp_path / "both.parquet", rows)
    sources = [problem.source for problem in dataset(None, path).validation_problems()]
    assert sources == ["aime", "math_500"]
    task = dataset(path, validation_fraction=0.5)
    assert {p.source for p in [*task.train_problems(), *task.validation_problems()]} == set(sources)


def test_rewards_have_three_values(train: str, validation: str) -> None:
    checker = WholeNumbers()
    task = DatasetTask(checker, train, validation)
    problems = task.train_problems()[3:7]
    responses = ["it is 4", "7", "? 6", "none"]
    expected = [1.0, 0.0, None, 0.0]
    assert [task.reward(*pair) for pair in zip(problems, responses, strict=True)] == expected
    assert task.rewards(problems, responses) == expected
    assert checker.batches == [4]  # one call for all of them
    assert task.answer_of("it is 04") == "4" and task.names_answers
    task.close()
    assert checker.closed == 1


def test_styles_of_the_number_checker(train: str, validation: str) -> None:
    responses = ["#### 4", r"\boxed{4.0}", "#### $4.", "4", "#### 5", "#### 4/1", ""]
    expected: dict[Any, list[int]] = {
        "either": [1, 1, 1, 0, 0, 0, 0],
        "marked": [1, 0, 1, 0, 0, 0, 0],
        "boxed": [0, 1, 0, 0, 0, 0, 0],
        "last": [1, 1, 1, 1, 0, 0, 0],
    }
    for style, rewards in expected.items():
        task = DatasetTask(NumberChecker(style), train, validation)
        assert task.rewards([task.train_problems()[3]] * 7, responses) == rewards


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": None}, "train=None and validation=None"),
        ({"validation_fraction": 0.0}, "validation_fraction=0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"template": "no place"}, "template='no place'"),
        ({"train_limit": 0}, "train_limit=0"),
        ({"validation_limit": -1}, "validation_limit=-1"),
        ({"chat": False, "system_prompt": "s"}, "system_prompt='s' needs chat"),
        ({"duplicates": "some"}, "duplicates='some'"),
        ({"validation": {"a/b": "x.jsonl"}}, "validation.a/b: name sets with letters"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset(**{"train": "train.jsonl", **options})


def test_evaluation_alone_has_no_training_problems(validation: str) -> None:
    task = dataset(validation=validation)
    assert len(task.validation_problems()) == 5
    with pytest.raises(ValueError, match=r"data\.task\.train is null"):
        task.train_problems()
