"""Rewards as functions: found by name or file, in the task's form and in TRL's."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from data_files import gsm8k, verl, write_jsonl, write_parquet
from data_runs import chat_model, run
from runs import experience_of, metrics

from lit_entropy.errors import ContractError
from lit_entropy.tasks import ChainArithmetic, Countdown, DatasetTask, ShortSums
from lit_entropy.tasks.reward_functions import RewardFunction
from lit_entropy.tasks.rewards import answer_codes, reward_responses
from lit_entropy.types import Problem
from lit_entropy.verify import NumberChecker

FILE = '''
"""Rewards of a user."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT = 3


@dataclass
class Held:
    seen: list


HELD = Held([])


def exact(problem, response):
    return 1.0 if response.strip() == problem.answer else 0.25 * bool(response)


def trl(prompts, completions, answer, extra=None, **columns):
    HELD.seen.append((prompts, completions, answer, extra, sorted(columns)))
    texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    return [min(1.0, len(text) / 4) if text else None for text in texts]


def narrow(completions, answer):
    return [float(text == gold) for text, gold in zip(completions, answer)]


def late(problem, response, strict):
    return 0.0


async def slow(problem, response):
    return 0.0


def short(completions, **_):
    return completions[:1]
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "user_rewards.py"
    path.write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "user_rewards", raising=False)
    return path


TEXT, CHAT = Problem(3, "2+2", "4"), Problem(5, [{"role": "user", "content": "3+3"}], "6")


def test_the_tasks_own_form_by_name_and_by_file(file: Path) -> None:
    for reward in ("user_rewards.exact", f"{file}:exact"):
        function = RewardFunction(reward)
        assert function([TEXT, CHAT, TEXT], ["4 ", "7", ""], {}) == [1.0, 0.25, 0.0]
        copy = pickle.loads(pickle.dumps(function))  # as processes of a strategy do
        assert copy([TEXT], ["4"], {}) == [1.0]
    by_itself = RewardFunction(lambda problem, response: problem.id)
    assert by_itself([TEXT, CHAT], ["", ""], {}) == [3.0, 5.0]


def test_trls_form_is_given_prompts_completions_and_columns(file: Path) -> None:
    function = RewardFunction(f"{file}:trl")
    rows = {3: {"prompt": "2+2", "answer": "four", "level": 1}, 5: {"extra": [1]}}
    assert function([TEXT, CHAT, TEXT], ["abc", "abcdef", ""], rows) == [0.75, 1.0, None]
    (seen,) = function.function.__globals__["HELD"].seen
    assert seen == (
        ["2+2", [{"role": "user", "content": "3+3"}], "2+2"],
        ["abc", [{"role": "assistant", "content": "abcdef"}], ""],
        ["four", "6", "four"],  # the row's, or else the reference answer
        [None, [1], None],
        ["level"],
    )
    # without **columns, what it names alone
    assert RewardFunction(f"{file}:narrow")([TEXT, TEXT], ["4", "5"], {}) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("exact", r"data\.task\.reward='exact': write module\.function, or path/to/file\.py:func"),
        ("no_such.exact", r"no_such cannot be imported .* put its folder on PYTHONPATH, or write"),
        ("nowhere.py:exact", r"='nowhere\.py:exact': no such file; give an existing path"),
        ("user_rewards.exacd", r"user_rewards has no exacd; its functions are \['exact', 'trl', "),
        ("user_rewards.LIMIT", r"is no function: give one of the form f\(problem, response\) or f"),
        ("user_rewards.Held", "is no function"),
        ("user_rewards.slow", "is asynchronous"),
        ("user_rewards.late", r"takes \(problem, response, strict\): give it the form f\(problem"),
    ],
)
def test_what_is_no_reward(file: Path, reward: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetTask(train="none.jsonl", reward=reward)


def test_a_file_that_fails_is_named(file: Path) -> None:
    file.write_text("import no_such_module\n")
    with pytest.raises(ValueError, match=r"user_rewards\.py cannot be imported .*no_such_module"):
        RewardFunction(f"{file}:exact")
    file.write_text("def exact(:\n")
    with pytest.raises(ValueError, match=r"cannot be imported .*invalid syntax"):
        RewardFunction(f"{file}:exact")
    file.write_text(FILE)  # mended: nothing of the failure is left
    assert RewardFunction(f"{file}:exact")([TEXT], ["4"], {}) == [1.0]


def test_what_a_function_returns_is_checked(file: Path) -> None:
    with pytest.raises(ContractError, match=r"user_rewards.*\.short\.__call__ gave 1 rewards for"):
        RewardFunction(f"{file}:short")([TEXT] * 2, ["a", "b"], {})
    with pytest.raises(
        ContractError, match=r"short\.__call__, response 0 \(to pro.* a number or N"
    ):
        RewardFunction(f"{file}:short")([TEXT], ["a"], {})


def test_a_checker_beside_it_says_what_is_right(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", gsm8k(9))
    task = DatasetTask(NumberChecker("last"), train, reward=lambda problem, response: 0.3)
    problem = task.train_problems()[0]
    responses = [problem.answer, "no", "0"]
    assert reward_responses(task, [problem] * 3, responses, 1) == (
        [0.3] * 3,
        [True, False, False],
    )
    codes = answer_codes(task, responses)
    assert codes is not None and codes.tolist().count(-1) == 1
    assert task.reward(problem, "no") == 0.3


@pytest.mark.parametrize("task", [ChainArithmetic, Countdown, ShortSums])
def test_a_procedural_task_says_what_is_right(file: Path, task: type[ChainArithmetic]) -> None:
    rewarded = task(reward=f"{file}:exact")
    problem = rewarded.train_problems()[0]
    assert rewarded.reward_function is not None and task().reward_function is None
    rewards, right = reward_responses(rewarded, [problem] * 2, [problem.answer, "-"], 1)
    assert rewards == [1.0, 0.25]  # by the function, which wants no ending #d
    assert right == [task is ShortSums, False]  # by the task


def test_without_a_checker_a_function_is_asked_once(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", gsm8k(9))
    asked: list[int] = []
    task = DatasetTask(
        train=train, reward=lambda completions, **_: asked.append(len(completions)) or [0.6, 0.5]
    )
    problems = task.train_problems()[:2]
    assert reward_responses(task, problems, ["", ""], 1) == ([0.6, 0.5], [True, False])
    assert asked == [2]


def test_rows_need_no_answer_without_a_checker(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", [{"prompt": f"{n}?", "n": n} for n in range(9)])
    task = DatasetTask(train=train, reward=lambda completions, n, **_: [value / 10 for value in n])
    problems = task.train_problems()
    assert {problem.answer for problem in problems} == {""} and len(problems) == 8
    assert answer_codes(task, ["4"]) is None
    rewards = task.rewards(problems, [""] * 8)
    assert rewards == [int(str(p.prompt[0]["content"])[0]) / 10 for p in problems]  # type: ignore[index]
    # an answer that is there is read, or left alone on request
    rows = verl(["1+1", "2+2"], ["2", "4"])
    file = write_parquet(tmp_path / "verl.parquet", rows)
    arguments: dict[str, Any] = {"validation": file, "reward": lambda completions, **_: []}
    assert DatasetTask(**arguments).validation_problems()[1].answer == "4"
    assert DatasetTask(**arguments, answer_field=None).validation_problems()[1].answer == ""


def test_neither_checker_nor_reward() -> None:
    with pytest.raises(ValueError, match=r"data\.task\.checker=None: give a checker .* or data\.t"):
        DatasetTask(train="none.jsonl")
    with pytest.raises(ValueError, match=r"answer_field=None, but NumberChecker compares"):
        DatasetTask(NumberChecker(), "none.jsonl", answer_field=None)


def test_a_run_from_the_command_line(tmp_path: Path, file: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", gsm8k(10))
    policy = [f"--model.policy.model={chat_model(tmp_path / 'model')}", "--model.max_new_tokens=4"]
    task = ["--data.task=DatasetTask", f"--data.task.train={train}"]
    reward = f"{file}:trl"
    options = [*policy, *task, f"--data.task.reward={reward}", "--trainer.max_epochs=1"]
    cli = run("fit", tmp_path / "runs", *options, "--trainer.limit_val_batches=0")
    experience = experience_of(cli)
    texts = cli.model.policy.decode(experience.tokens_BT, experience.response_mask_BT)
    expected = [min(1.0, len(text) / 4) for text in texts if text]
    assert experience.rewards_B[experience.checked_B].tolist() == expected
    assert 0.0 < float(metrics(tmp_path / "runs")["rollout/reward"][-1]) <= 1.0
    config = yaml.safe_load((tmp_path / "runs" / "quickstart-seed0" / "config.yaml").read_text())
    assert config["data"]["task"]["init_args"]["reward"] == reward
