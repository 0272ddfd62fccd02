"""Parts that the pages show do what their texts say; that they run, the test of commands holds."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from data_files import write_jsonl
from documents import ROOT, labelled

from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks.chain import make_problem
from lit_entropy.verify import NumberChecker

HOW_TO = ROOT / "docs" / "how-to"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the Python path, into which :func:`module` writes the file of a page."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def module(folder: Path, page: str, name: str) -> ModuleType:
    (text,) = labelled(f"file {name}.py", HOW_TO / page)
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    return importlib.reload(importlib.import_module(name))


def test_the_shown_reward_prefers_the_right_response(shown: Path) -> None:
    near = module(shown, "task.md", "my_rewards").near
    problem = make_problem(0, "7+5*3-2 ")  # 12 -> 2, 6, 4
    right, beside, far = "7+5=2;2*3=6;6-2=4;#4", "7+5=2;2*3=6;6-2=4;#3", "7+5=2;6-2=4;#9"
    assert [near(problem, text) for text in (right, "#4", beside, far)] == [1.0, 1.0, 0.2, 0.0]
    assert [near(problem, text) for text in ("4", "", "#4;#3", "#")] == [0.0] * 4


def test_the_shown_reward_of_a_batch_prefers_the_right_response(shown: Path) -> None:
    """On rows whose column ``answer`` is a whole solution."""
    module(shown, "task.md", "my_rewards")
    solution = "He has 48 / 2 = 24 left.\nAltogether he has 48 + 24 = 72 of them.\n#### 72"
    rows = [{"question": f"Question {i}?", "answer": solution} for i in range(2)]
    task = DatasetTask(
        NumberChecker("either"),
        train=write_jsonl(shown / "gsm8k.jsonl", rows),
        validation_fraction=0.5,
        reward=f"{shown / 'my_rewards.py'}:short",
    )
    problem = task.train_problems()[0]
    texts = ["#### 72", "So it is 72.\n#### 72", "#### 71", "x" * len(solution), ""]
    rewards = task.rewards([problem] * len(texts), texts)
    assert rewards == pytest.approx([1 / 1.007, 1 / 1.020, 0, 0, 0])


def test_the_shown_task_is_whole(shown: Path) -> None:
    task = module(shown, "task.md", "digit_sums").DigitSums()
    train, held_out = task.train_problems(), task.validation_problems()
    assert sorted(p.id for p in [*train, *held_out]) == list(range(100)) and len(held_out) == 20
    problem = next(p for p in train if p.prompt == "7+5 ")
    assert problem.answer == "2"
    texts = ("7+5=2;#2", "#3", "2", "")
    assert [task.reward(problem, text) for text in texts] == [1.0, 0.0, 0.0, 0.0]
