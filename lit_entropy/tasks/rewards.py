"""What a task says of decoded responses: rewards, correctness, names of answers."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_entropy.contracts import checked_rewards, is_truth, no_stop, refuse
from lit_entropy.errors import NonFiniteError, UncheckedError
from lit_entropy.functional.answer_entropy import answer_code
from lit_entropy.tasks.base import Task
from lit_entropy.types import Problem, Samples


def require_checked(samples: Samples, task: Task, rl_step: int) -> None:
    """Stop where not one response of a rollout could be checked.

    Raises:
        UncheckedError: names the task and the RL step.
    """
    if not bool(samples.checked_B.any()):
        name = type(task).__name__
        raise UncheckedError(
            f"none of the {len(samples)} responses of RL step {rl_step} could be checked: "
            f"{name}.rewards gave None for all of them. Look at the responses and at the limits "
            "of the task's checker (data.task.checker.timeout, memory_mb)"
        )


def reward_responses(
    task: Task, problems: Sequence[Problem], responses: Sequence[str], rl_step: int
) -> tuple[list[float | None], list[bool]]:
    """Rewards and correctness of decoded responses; the task keeps count and time of them.

    Returns:
        Rewards, None where a response could not be checked; and whether each counts as right,
        False where it could not be checked.

    Raises:
        NonFiniteError: a reward is NaN or infinite; names the problem and the RL step.
        ContractError: the task did not give one number or None for each response, or
            ``is_correct`` no truth value.
    """
    start = time.perf_counter()
    with no_stop(task, "rewards"):
        rewarded = task.rewards(problems, responses)
    given = checked_rewards(task, "rewards", rewarded, problems)
    task.check_seconds += time.perf_counter() - start
    task.checks += len(responses)
    rewards: list[float | None] = []
    correct = []
    for problem, text, value in zip(problems, responses, given, strict=True):
        if value is None:
            rewards.append(None)
            correct.append(False)
            continue
        reward = float(value)
        if not abs(reward) < float("inf"):
            raise NonFiniteError(
                f"reward of problem {problem.id} is {reward} at RL step {rl_step}: "
                f"{type(task).__name__}.reward must return a finite number. "
                f"The response starts {text[:80]!r}"
            )
        rewards.append(reward)
        right = task.is_correct(problem, text, reward)
        if not is_truth(right):
            refuse(task, "is_correct", "True or False", right)
        correct.append(bool(right))
    return rewards, correct


def answer_codes(task: Task, responses: Sequence[str]) -> Tensor | None:
    """int64 codes [B] of the final answers; None for a task that does not name answers."""
    if not task.names_answers:
        return None
    answers = [task.answer_of(text) for text in responses]
    for answer in answers:
        if answer is not None and not isinstance(answer, str):
            refuse(task, "answer_of", "a text or None", answer, "return str(answer)")
    return torch.tensor([answer_code(answer) for answer in answers])
