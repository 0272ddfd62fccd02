"""The shipped data set tasks through the real CLI, on tiny files of the formats they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from data_files import gsm8k, verl, write_jsonl, write_parquet
from data_runs import chat_model, run
from runs import CONFIGS, metrics

from lit_entropy.cli.main import main
from lit_entropy.verify import MathChecker, NumberChecker

PAPER_SETS = ["aime24", "aime25", "amc", "math500", "omni_math", "olympiad_bench", "minerva"]
TASKS = sorted(
    path for path in (CONFIGS / "task").glob("*.yaml") if "DatasetTask" in path.read_text()
)


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    policy = f"--model.policy.model={chat_model(tmp_path / 'model')}"
    return [policy, "--model.max_new_tokens=4", "--trainer.max_epochs=1"]


def task_file(name: str) -> str:
    return f"--data.task={CONFIGS / 'task' / name}.yaml"


def test_these_are_the_tasks() -> None:
    assert [path.stem for path in TASKS] == ["gsm8k", "paper_math", "verl_math"]


def test_gsm8k_trains(tmp_path: Path, model: list[str]) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", gsm8k(10))
    test = write_jsonl(tmp_path / "test.jsonl", gsm8k(3, start=100))
    files = [f"--data.task.train={train}", f"--data.task.validation={test}"]
    cli = run("fit", tmp_path / "runs", task_file("gsm8k"), *files, *model)
    assert cli.trainer.global_step == 2
    data = cli.datamodule
    assert isinstance(data.task.checker, NumberChecker) and data.task.checker.style == "either"
    assert (len(data.train_problems), len(data.validation_problems)) == (10, 3)
    (message,) = data.train_problems[0].prompt
    assert message["content"].startswith("What is 0 plus 1?\nThink step by step")
    assert metrics(tmp_path / "runs")["rollout/reward"][-1] == 0  # a random model


def test_verl_math_trains_and_drops_the_copies(tmp_path: Path, model: list[str]) -> None:
    questions = [f"{i}+1=?" for i in range(9)]
    rows = verl(questions, [str(i + 1) for i in range(9)])
    train = write_parquet(tmp_path / "train.parquet", rows * 3)
    held_out = [
        *verl(["2+40=?"], ["42"], source="aime"),
        *verl(["3+40=?"], [r"\frac{86}{2}"], source="math"),
    ]
    validation = write_parquet(tmp_path / "validation.parquet", held_out)
    files = [f"--data.task.train={train}", f"--data.task.validation={validation}"]
    with pytest.warns(UserWarning, match="18 duplicates are left out"):
        cli = run("fit", tmp_path / "runs", task_file("verl_math"), *files, *model)
    data = cli.datamodule
    assert isinstance(data.task.checker, MathChecker)
    assert [problem.answer for problem in data.train_problems] == [str(i + 1) for i in range(9)]
    assert [problem.source for problem in data.validation_problems] == ["aime", "math"]
    problem = data.validation_problems[1]
    responses = [r"It is \boxed{43}.", r"\boxed{44}", "43"]
    assert data.task.rewards([problem] * 3, responses) == [1.0, 0.0, 0.0]
    data.task.close()


def test_the_paper_sets_keep_their_names(tmp_path: Path, model: list[str]) -> None:
    files = []
    for index, name in enumerate(PAPER_SETS):
        rows = verl([f"{index}+{i}=?" for i in range(2)], ["5", str(index)], source="elsewhere")
        path = write_parquet(tmp_path / f"{name}.parquet", rows)
        files.append(f"--data.task.validation.{name}={path}")
    setup_only = "--trainer.limit_val_batches=0"
    cli = run("validate", tmp_path / "runs", task_file("paper_math"), *files, *model, setup_only)
    problems = cli.datamodule.validation_problems
    assert [problem.source for problem in problems] == [name for name in PAPER_SETS for _ in "ab"]
    assert len({problem.id for problem in problems}) == 14
    assert problems[0].prompt[0]["content"].endswith(r"output the final answer within \boxed{}.")
    assert cli.datamodule.task.skip_bad_rows


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_run_without_the_files_is_refused_and_leaves_nothing(
    tmp_path: Path, path: Path, model: list[str]
) -> None:
    nowhere = [f"--data.task.{name}=nowhere.parquet" for name in ("train", "validation")]
    with pytest.raises(ValueError, match=r"data\.task\.validation='nowhere\.parquet': no such"):
        run("fit", tmp_path / "runs", f"--data.task={path}", *nowhere, *model)
    assert not list((tmp_path / "runs").iterdir())


def test_every_value_of_the_files_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    for path in TASKS:
        with pytest.raises(SystemExit):
            config = str(CONFIGS / "quickstart.yaml")
            main(["fit", "--config", config, f"--data.task={path}", "--print_config"])
        resolved = yaml.safe_load(capsys.readouterr().out)["data"]["task"]
        assert_holds(resolved, yaml.safe_load(path.read_text()))


def assert_holds(config: Any, part: Any) -> None:
    """Every leaf of the file; a class named alone is written out in the configuration."""
    for name, value in part.items():
        if isinstance(value, dict):
            assert_holds(config[name], value)
        elif name == "checker":
            assert config[name]["class_path"] == value
        else:
            assert config[name] == value


def test_a_set_with_a_misspelt_setting_ends_at_parse_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(
            ["fit", "--config", str(CONFIGS / "quickstart.yaml"), task_file("gsm8k"),
             "--data.task.validation={a: {path: x.jsonl, spilt: test}}"]
        )  # fmt: skip
    assert exit_.value.code == 2 and "spilt" in capsys.readouterr().err
