"""A run that cannot learn says so once, with the likely cause and two responses."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from experiences import rollout_of, whole_experience
from runs import ALONE, fit
from torch import Tensor

from lit_entropy.advantages import ReinforcePlusPlus
from lit_entropy.step.alarm import LearningAlarm
from lit_entropy.tasks import ChainArithmetic, DatasetTask
from lit_entropy.types import Experience, Problem
from lit_entropy.verify import NumberChecker

Make = Callable[..., Experience]
TASK = ChainArithmetic()


def decode(tokens_BT: Tensor, mask_BT: Tensor) -> list[str]:
    return [
        f"{int(mask_T.sum())} of {tokens_T.tolist()[0]}\x1b"
        for tokens_T, mask_T in zip(tokens_BT, mask_BT, strict=True)
    ]


@contextmanager
def messages() -> Iterator[list[str]]:
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [str(item.message) for item in caught if "RL steps" in str(item.message)]


def said(experiences: list[Experience], group_size: int = 4, task: Any = TASK) -> list[str]:
    alarm = LearningAlarm()
    with messages() as found:
        for step, experience in enumerate(experiences, start=1):
            alarm.observe(rollout_of(experience, group_size, step), task, decode)
    return found


def equal(make: Make, reward: float = 0.0, **changes: Any) -> Experience:
    """Every reward the same."""
    experience = make()
    rewards_B = torch.full((16,), reward)
    fields = {"rewards_B": rewards_B, "correct_B": rewards_B > 0.5}
    fields |= {"advantages_BT": torch.zeros_like(experience.advantages_BT)}
    fields |= {"truncated_B": torch.zeros(16, dtype=torch.bool)}
    return replace(experience, **(fields | changes))


def test_once_after_three_rl_steps_in_a_row(make_experience: Make) -> None:
    silent, taught = equal(make_experience), make_experience()
    assert said([silent, silent]) == []
    assert said([silent, silent, taught, silent, silent]) == []
    (message,) = said([taught, *[silent] * 9])
    assert message.startswith(
        "RL steps 2 to 4: every advantage of the objective is 0, so that the policy learns nothing "
        "from rewards. No response is right: the problems are too hard for the model, or "
        "ChainArithmetic does"
    )
    lines = message.splitlines()
    first, last = silent.rows(torch.tensor([0])), silent.rows(torch.tensor([15]))
    for place, row in ((1, first), (3, last)):
        prompt = f"{int(row.prompt_mask_BS.sum())} of {int(row.prompt_tokens_BS[0, 0])}"
        response = f"{int(row.response_mask_BT.sum())} of {int(row.tokens_BT[0, 0])}"
        assert lines[place] == rf"  to '{prompt}\x1b'"
        assert lines[place + 1] == rf"  -> '{response}\x1b' (reward 0)"
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"checked_B": torch.zeros(16, dtype=torch.bool)}, "100% of the responses could not be"),
        ({"truncated_B": torch.ones(16, dtype=torch.bool)}, r"100% .* raise model\.max_new_tokens"),
        ({"answers_B": torch.full((16,), -1)}, "ChainArithmetic found no answer in any response"),
        ({"reward": 1.0}, "Every response is right: the problems are too easy"),
        ({"reward": 0.0}, "No response is right: the problems are too hard"),
        ({"correct_B": torch.arange(16) < 8}, r"all get the same reward: raise data\.group_size"),
    ],
)
def test_the_likely_cause(make_experience: Make, changes: dict[str, Any], cause: str) -> None:
    (message,) = said([equal(make_experience, **changes)] * 3)
    assert re.search(cause, message)


def test_answers_that_nobody_reads_are_told_although_rewards_differ(make_experience: Make) -> None:
    unread = replace(
        make_experience(),
        answers_B=torch.full((16,), -1),
        truncated_B=torch.zeros(16, dtype=torch.bool),
    )
    task = DatasetTask(NumberChecker("boxed"), train="none.jsonl")
    (message,) = said([unread] * 3, task=task)
    assert "names an answer. DatasetTask with NumberChecker (style boxed) found no" in message
    one_read = replace(unread, answers_B=torch.arange(16) - 15)
    assert said([one_read] * 9) == []


def test_the_advantages_decide_whatever_estimated_them() -> None:
    """Groups without signal, of which REINFORCE++ makes -/+0.866, and groups of one response."""
    rewards_B = torch.tensor([0.0, 0.0, 1.0, 1.0])
    mask_BT = torch.ones(4, 3, dtype=torch.bool)
    for group_size in (2, 1):
        advantages_PG = ReinforcePlusPlus(epsilon=0.0)(rewards_B.view(-1, group_size))
        assert advantages_PG.abs().flatten().tolist() == pytest.approx([0.75**0.5] * 4)
        advantages_BT = advantages_PG.view(4, 1).expand(4, 3)
        fields = {"rewards_B": rewards_B, "advantages_BT": advantages_BT}
        assert said([whole_experience(mask_BT, **fields)] * 9, group_size) == []
        (message,) = said([whole_experience(mask_BT, rewards_B=rewards_B)] * 9, group_size)
        assert message.startswith("RL steps 1 to 3: every advantage of the objective is 0")


def test_an_objective_without_tokens_is_told_although_rewards_differ(make_experience: Make) -> None:
    experience = make_experience()
    masked = replace(
        experience,
        mask_BT=torch.zeros_like(experience.mask_BT),
        truncated_B=torch.zeros(16, dtype=torch.bool),
    )
    (message,) = said([masked] * 3)
    assert "Rewards differ within groups, but nothing of that is in the objective" in message


class Plain(ChainArithmetic):
    """Looks for a box that the model never writes."""

    def reward(self, problem: Problem, response: str) -> float:
        return NumberChecker("boxed").check(problem.answer, response)

    def answer_of(self, response: str) -> str | None:
        return NumberChecker("boxed").answer_of(response)


def test_a_run_says_it(tmp_path: Path) -> None:
    with messages() as found:
        fit(tmp_path, *ALONE, "--data.task=test_alarm.Plain", "--trainer.max_epochs=5")
    (message,) = found
    assert "RL steps 1 to 3: every advantage" in message and "Plain found no answer" in message
    assert message.count("\n  to '") == 2 == message.count("(reward 0)")
