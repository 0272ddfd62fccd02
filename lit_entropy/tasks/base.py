"""The contract of a task: where problems come from, how they are shown, how answers are scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from lit_entropy.types import Problem


class Task(ABC):
    """Base of every task. Subclass it in any file and name it by ``data.task.class_path``."""

    @abstractmethod
    def train_problems(self) -> Sequence[Problem]:
        """The training problems; a procedural task may return a lazy sequence."""

    @abstractmethod
    def validation_problems(self) -> Sequence[Problem]:
        """Held-out problems, disjoint from the training problems, in a fixed order."""

    @abstractmethod
    def reward(self, problem: Problem, response: str) -> float:
        """Reward of a decoded response (without special tokens); finite, usually in [0, 1]."""

    def is_correct(self, problem: Problem, response: str, reward: float) -> bool:
        """Whether a response counts as right in accuracies; by default a reward above one half."""
        return reward > 0.5

    def encode(self, problem: Problem, tokenizer: Any) -> list[int]:
        """Token ids of the prompt: chat template for messages, plain text otherwise."""
        if isinstance(problem.prompt, str):
            return list(tokenizer.encode(problem.prompt, add_special_tokens=False))
        encoding = tokenizer.apply_chat_template(problem.prompt, add_generation_prompt=True)
        return list(encoding["input_ids"])
