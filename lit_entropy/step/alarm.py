"""A warning for a run that cannot learn, with its likely cause and two responses to look at."""

from collections.abc import Callable

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.step.collect import group_signal
from lit_entropy.step.rollout import Rollout
from lit_entropy.tasks.base import Task
from lit_entropy.types import Experience

#: Characters of a prompt (its end) and of a response (its end) that the warning shows.
SHOWN_PROMPT, SHOWN_RESPONSE = 80, 240
#: Share of a rollout's responses from which a cause is taken for the likely one.
MOST = 0.5


class LearningAlarm:
    """Warns once where ``patience`` RL steps in a row taught nothing.

    An RL step teaches nothing if every advantage of the objective is 0, or if no response has an
    answer that the task can read.
    """

    def __init__(self, patience: int = 3) -> None:
        """Prepare the alarm.

        Args:
            patience: RL steps in a row after which it warns.
        """
        self.patience = patience
        self.raised = False
        self._streak = 0

    def observe(self, rollout: Rollout, task: Task, decode: Callable[..., list[str]]) -> None:
        """Look at the rollout of an RL step.

        Args:
            rollout: that of this RL step.
            task: rewards the responses.
            decode: texts of (tokens, mask), asked only for what the warning shows.
        """
        if self.raised:
            return
        experience = rollout.experience
        silent, unread = not has_any_advantage(rollout), names_no_answer(experience)
        self._streak = self._streak + 1 if silent or unread else 0
        if self._streak < self.patience:
            return
        self.raised = True
        what = (
            "every advantage of the objective is 0, so that the policy learns nothing from rewards"
            if silent
            else "no response names an answer"
        )
        first = rollout.rl_step - self._streak + 1
        cause = likely_cause(experience, task, rollout.group_size)
        rank_zero_warn(
            f"RL steps {first} to {rollout.rl_step}: {what}. {cause} Two responses:\n"
            f"{shown(experience, decode)}"
        )


def has_any_advantage(rollout: Rollout) -> bool:
    """Whether a token that is trained on has an advantage other than 0, whatever estimated it."""
    experience, rows = rollout.experience, rollout.train_rows
    return bool((experience.advantages_BT[rows] != 0)[experience.mask_BT[rows]].any())


def names_no_answer(experience: Experience) -> bool:
    """Whether the task names answers and no response has one."""
    return experience.answers_B is not None and bool((experience.answers_B < 0).all())


def likely_cause(experience: Experience, task: Task, group_size: int) -> str:
    """Why, and what to do; the first cause that fits."""
    truncated = float(experience.truncated_B.double().mean())
    unchecked = float((~experience.checked_B).double().mean())
    correct_N = experience.correct_B[experience.checked_B]
    if cause := spoiled_cause(unchecked, truncated):
        return cause
    if names_no_answer(experience):
        return unread_cause(task)
    if bool(correct_N.all()):
        return "Every response is right: the problems are too easy for the model; take harder ones."
    if not bool(correct_N.any()):
        return (
            f"No response is right: the problems are too hard for the model, or {_named(task)} "
            "does not count right answers as right; read the responses."
        )
    if bool(group_signal(experience, group_size).any()):
        return (
            "Rewards differ within groups, but nothing of that is in the objective: look at "
            "model.advantage, and at what model.collector leaves of the mask."
        )
    return (
        "The responses to a prompt all get the same reward: raise data.group_size, or take "
        "problems that the model solves sometimes."
    )


def spoiled_cause(unchecked: float, truncated: float) -> str:
    """What keeps most responses from a verdict; empty where nothing does.

    Args:
        unchecked: share of the responses that could not be checked.
        truncated: share that the limit of new tokens ended.
    """
    if unchecked > MOST:
        return (
            f"{unchecked:.0%} of the responses could not be checked: raise the limits of the "
            "checker (data.task.checker.timeout, memory_mb)."
        )
    if truncated > MOST:
        return (
            f"{truncated:.0%} of the responses were cut short: raise model.max_new_tokens, or ask "
            "for shorter answers."
        )
    return ""


def unread_cause(task: Task) -> str:
    """Why no response has an answer that the task reads, and what to do."""
    return (
        f"{_named(task)} found no answer in any response: the model answers in another form. Ask "
        "for the form in the prompt (data.task.template), or take a checker that reads the model's "
        "(data.task.checker)."
    )


def shown(experience: Experience, decode: Callable[..., list[str]]) -> str:
    """Prompt, response and reward of the first and the last row; escaped, so no text can act."""
    rows = torch.tensor([0, len(experience) - 1])
    two = experience.rows(rows)
    sequences = two.sequences
    prompts = decode(sequences.prompt_tokens_BS, sequences.prompt_mask_BS)
    responses = decode(sequences.tokens_BT, sequences.mask_BT)
    texts = zip(prompts, responses, two.rewards_B.tolist(), strict=True)
    return "\n".join(shown_lines(*text) for text in texts)


def shown_lines(prompt: str, response: str, reward: float) -> str:
    """A prompt and the response to it in two lines; escaped, so no text can act."""
    prompt, response = _end(prompt, SHOWN_PROMPT), _end(response, SHOWN_RESPONSE)
    return f"  to {prompt}\n  -> {response} (reward {reward:g})"


def _end(text: str, limit: int) -> str:
    return ("... " if len(text) > limit else "") + ascii(text[-limit:])


def _named(task: Task) -> str:
    """The task with its checker, if it has one."""
    name, checker = type(task).__name__, getattr(task, "checker", None)
    if checker is None:
        return name
    style = getattr(checker, "style", None)
    return f"{name} with {type(checker).__name__}" + (f" (style {style})" if style else "")
