r"""reasoning-gym as a source of problems: own scoring, disjoint splits, the jailed scorer."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_entropy.tasks.reasoning_gym import ONE_NUMBER, VALIDATION_ID, ReasoningGym

INSTALLED = importlib.util.find_spec("reasoning_gym") is not None
needs_gym = pytest.mark.skipif(not INSTALLED, reason="needs the gym extra")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'lit_entropy\[gym\]'"):
        ReasoningGym()


@needs_gym
def test_sums_and_their_scores() -> None:
    parameters = {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 1}
    task = ReasoningGym("chain_sum", parameters, train_size=300, validation_size=20)
    for problem in task.validation_problems():
        text = problem.prompt[-1]["content"]  # type: ignore[index]
        assert text.endswith("\\boxed{}.")
        terms = re.findall(r"[+-]?\s*\d+", text.partition(":")[2].partition("=")[0])
        value = sum(int(term.replace(" ", "")) for term in terms)
        assert 2 <= len(terms) <= 3 and problem.answer == str(value)
        assert task.reward(problem, f"\\boxed{{{value}}}") == 1.0
        assert task.reward(problem, f"\\boxed{{{value + 1}}}") == 0.0
        assert task.reward(problem, str(value)) == 0.0
    assert task.answer_of(r"\boxed{07.0}") == "7"


@needs_gym
def test_training_and_held_out_problems_are_disjoint_and_repeatable() -> None:
    narrow = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    task = ReasoningGym("chain_sum", narrow, train_size=400, validation_size=30, seed=3)
    train, held_out = task.train_problems(), task.validation_problems()
    assert len(held_out) == 30 and 0 < len(train) < 400  # some were held out
    assert not {str(p.prompt) for p in train} & {str(p.prompt) for p in held_out}
    ids = [problem.id for problem in (*train, *held_out)]
    assert len(set(ids)) == len(ids) and min(p.id for p in held_out) == VALIDATION_ID
    again = ReasoningGym("chain_sum", narrow, train_size=400, validation_size=30, seed=3)
    assert list(again.train_problems()) == list(train)
    other = ReasoningGym("chain_sum", narrow, train_size=400, validation_size=30, seed=4)
    assert list(other.train_problems()) != list(train)


@needs_gym
@pytest.mark.parametrize("dataset", ONE_NUMBER)
def test_every_allowed_data_set_scores_its_own_answers(dataset: str) -> None:
    task = ReasoningGym(dataset, train_size=20, validation_size=20, chat=False)
    problems = [*task.train_problems(), *task.validation_problems()]
    responses = [f"\\boxed{{{problem.answer}}}" for problem in problems]
    assert task.rewards(problems, responses) == [1.0] * len(problems)
    assert task.rewards(problems, [text[:-1] + "1}" for text in responses]) == [0.0] * len(problems)


@needs_gym
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "countdown"}, "may execute what the model writes"),
        ({"dataset": "no_such", "allow_code_execution": True}, "refuses dataset='no_such'"),
        ({"parameters": {"min_term": 2}}, "refuses dataset='chain_sum'"),
        ({"parameters": {"min_terms": 5, "max_terms": 2}}, "refuses dataset='chain_sum'"),
        ({"validation_size": 0}, "validation_size=0"),
        ({"template": "x"}, "template='x'"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReasoningGym(**arguments)  # type: ignore[arg-type]


STAND_IN = """
def create_dataset(name, seed, size):
    return Items(seed)

class Items:
    def __init__(self, seed):
        self.seed = seed

    def __getitem__(self, index):
        number = (self.seed + index) % 1000
        return {{"question": f"{{{salt}}} {{number}}", "answer": str(number)}}

    def score_answer(self, answer, item):
        return 1.0 if answer == item["answer"] else 0.25
"""


@pytest.mark.parametrize("salt", ["0", "hash('a')"])
def test_problems_of_another_hash_seed_are_not_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, salt: str
) -> None:
    """The scorer's process makes a problem again; it must be the one that was shown."""
    file = tmp_path / "reasoning_gym.py"
    file.write_text(STAND_IN.format(salt=salt))
    spec = importlib.util.spec_from_file_location("reasoning_gym", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "reasoning_gym", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    task = ReasoningGym("any", train_size=3, validation_size=2, allow_code_execution=True)
    problems = [*task.train_problems(), *task.validation_problems()]
    responses = [f"\\boxed{{{problem.answer}}}" for problem in problems]
    try:
        if salt == "0":
            assert task.rewards(problems, responses) == [1.0] * 5
            assert task.reward(problems[0], r"\boxed{x}") == 0.25
        else:
            with pytest.raises(ValueError, match=r"dataset='any' .* depend on Python's hash seed"):
                task.reward(problems[0], responses[0])
    finally:
        task.close()


@needs_gym
def test_a_data_set_that_depends_on_the_hash_seed_is_refused() -> None:
    task = ReasoningGym(
        "ransom_note", train_size=4, validation_size=2, allow_code_execution=True, timeout=10.0
    )
    with pytest.raises(ValueError, match="dataset='ransom_note' makes other problems"):
        task.rewards(task.train_problems(), [r"\boxed{True}"] * len(task.train_problems()))
    task.close()


@pytest.fixture
def jailed() -> Iterator[ReasoningGym]:
    task = ReasoningGym(
        "countdown", train_size=4, validation_size=2, allow_code_execution=True, timeout=1.0
    )
    yield task
    task.close()


@needs_gym
def test_the_jailed_scorer(jailed: ReasoningGym) -> None:
    for problem in (*jailed.train_problems()[:2], *jailed.validation_problems()):
        right = jailed.reward(problem, f"\\boxed{{{problem.answer}}}")
        assert right == 1.0 and jailed.is_correct(problem, "", right)
        wrong = jailed.reward(problem, r"\boxed{1+1}")
        assert wrong is not None and not jailed.is_correct(problem, "", wrong)
        assert jailed.reward(problem, "no box") == 0.0
    parts = sum([0.1] * 10)  # of a score that is full
    assert parts < 1.0 and jailed.is_correct(problem, "", parts)
    assert not jailed.is_correct(problem, "", 0.9999)


@needs_gym
def test_the_jailed_scorer_is_bounded(jailed: ReasoningGym) -> None:
    problem = jailed.validation_problems()[0]
    assert jailed.reward(problem, r"\boxed{9**9**9**9}") is None
    assert jailed.reward(problem, f"\\boxed{{{problem.answer}}}") == 1.0
