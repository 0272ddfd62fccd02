"""Prompts that do not fit: refused or dropped at setup, of lists and of lazy sequences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from data_files import gsm8k, write_jsonl
from data_runs import chat_model, run
from tiny_models import character_tokenizer
from whole_numbers import WholeNumbers

from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.sampling import SetSampling
from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks.prompt_limit import SAMPLE, prompt_limit, setting, usable_problems
from lit_entropy.types import Problem

TOKENIZER = character_tokenizer("ab")
TASK = DatasetTask(WholeNumbers(), "train.jsonl")  # only its encoding is used


def problems(*prompts: str) -> list[Problem]:
    return [Problem(identity, prompt, "1") for identity, prompt in enumerate(prompts, start=1)]


def usable(given: Any, overlong: Any = "refuse", limit: int = 3) -> tuple[Sequence[Problem], int]:
    return usable_problems(TASK, given, "training", TOKENIZER, setting(limit), overlong)


def test_prompts_that_fit_are_left_alone() -> None:
    given = problems("a", "ab", "aba")
    kept, overlong = usable(given)
    assert kept is given and overlong == 0


def test_overlong_prompts_are_refused_or_dropped() -> None:
    given = problems("a", "abab", "ab", "ababa")
    with pytest.raises(ValueError, match=r"problem 2 has a prompt of 4 tokens") as caught:
        usable(given)
    assert "2 of 4 prompts are longer, up to 5" in str(caught.value)
    assert "data.overlong_prompts=drop" in str(caught.value)
    kept, overlong = usable(given, "drop")
    assert kept == [given[0], given[2]] and overlong == 2
    with pytest.raises(ValueError, match=r"all 4 training prompts .*the shortest has 1"):
        usable(given, "drop", limit=0)


def test_empty_sets_and_empty_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.task has no training problems"):
        usable([])
    with pytest.raises(ValueError, match="problem 2 has a prompt of 0 tokens"):
        usable(problems("a", ""), "drop")


class Lazy(Sequence[Problem]):
    """Counts the problems that are made."""

    def __init__(self, size: int, long_from: int) -> None:
        self.size, self.long_from, self.made = size, long_from, 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        self.made += 1
        return Problem(index, "abab" if index >= self.long_from else "a", "1")


def test_characters_that_the_tokenizer_drops_are_refused() -> None:
    """The policy would answer another question; spaces are no loss."""
    with pytest.raises(
        ValueError, match=r"^problem 2: the policy's tokenizer has no token"
    ) as error:
        usable(problems("ab", "two a b", "a"), limit=9)
    assert "for ['o', 't', 'w'] and drops them; it reads 'two a b' as 'ab'." in str(error.value)
    given = problems("a b")
    assert usable(given, limit=9)[0] is given


def test_of_a_lazy_sequence_a_sample_is_made() -> None:
    lazy = Lazy(10**9, long_from=10**9)
    kept, overlong = usable(lazy, "drop")
    assert kept is lazy and overlong == 0 and lazy.made == SAMPLE
    with pytest.raises(ValueError, match="problem 5 has a prompt of 4 tokens"):
        usable(Lazy(10**9, long_from=5), "drop")  # it cannot be dropped


def test_one_prompt_of_each_sequence_of_roles_meets_the_chat_template() -> None:
    tokenizer = character_tokenizer("ab")
    tokenizer.chat_template = "{{ messages[-1].content }}"
    user = {"role": "user", "content": "a"}
    plain = [Problem(1, [user], "1"), Problem(2, [user], "1")]
    system = Problem(3, [{"role": "system", "content": "b"}, user], "1")
    assert usable_problems(TASK, plain, "training", tokenizer, setting(3), "refuse")[1] == 0
    with pytest.raises(ValueError, match="drops the system message 'b'"):
        usable_problems(TASK, [*plain, system], "training", tokenizer, setting(3), "refuse")


def test_responses_leave_prompts_the_rest_of_the_context() -> None:
    sets = {"aime": SetSampling(2, 1.0, True, 90), "other": SetSampling(2, 1.0)}
    evaluation = Evaluation(2, max_new_tokens=70, pass_k=(1,), sets=sets)
    assert evaluation.limits() == {
        "evaluation.max_new_tokens": 70,
        "evaluation.sets.aime.max_new_tokens": 90,
        "evaluation.sets.other.max_new_tokens": 70,
    }
    training = {"model.max_new_tokens": 60}
    validation = training | evaluation.limits()
    assert prompt_limit(training, 100, 40) == (40, "data.max_prompt_tokens=40")
    tokens, reason = prompt_limit(training, 100, 41)
    assert tokens == 40 and "40, what model.max_new_tokens=60 leaves of the model's 100" in reason
    assert prompt_limit(validation, 100, 41).tokens == 10
    with pytest.raises(ValueError, match=r"sets.aime.max_new_tokens=90 leaves no room.* 90 tokens"):
        prompt_limit(validation, 90, 1)
    assert prompt_limit(validation, None, 2**20).tokens == 2**20


def test_a_run_leaves_out_what_it_is_told_to(tmp_path: Path) -> None:
    """Through the real CLI: bad rows and overlong prompts are gone, and counted."""
    rows = [*gsm8k(12), {"question": "What?"}, {"question": "a" * 60, "answer": "1"}]
    path = write_jsonl(tmp_path / "train.jsonl", rows)
    held_out = write_jsonl(tmp_path / "validation.jsonl", gsm8k(3, start=100))
    arguments = [
        "--data.task=DatasetTask",
        "--data.task.checker=whole_numbers.WholeNumbers",
        f"--data.task.train={path}",
        f"--data.task.validation={held_out}",
        "--data.task.chat=false",
        f"--model.policy.model={chat_model(tmp_path / 'model')}",
        "--data.max_prompt_tokens=40",
        "--trainer.max_epochs=1",
    ]
    with pytest.raises(ValueError, match="1 of 14 rows cannot be used"):
        run("fit", tmp_path / "runs", *arguments)
    with pytest.raises(ValueError, match="problem 14 has a prompt of 60 tokens"):
        run("fit", tmp_path / "runs", *arguments, "--data.task.skip_bad_rows=true")
    assert not list((tmp_path / "runs").iterdir())
    leave_out = ["--data.task.skip_bad_rows=true", "--data.overlong_prompts=drop"]
    with pytest.warns(UserWarning, match="1 of 13 training prompts are longer than"):
        cli = run("fit", tmp_path / "runs", *arguments, *leave_out)
    data = cli.datamodule
    assert [problem.id for problem in data.train_problems] == list(range(1, 13))
    assert len(data.validation_problems) == 3
    assert data.task.checker.closed >= 1
