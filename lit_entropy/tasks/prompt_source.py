"""A task's training problems as a policy is shown them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lit_entropy.tasks.base import Task
from lit_entropy.tasks.prompt_limit import setting, too_long
from lit_entropy.types import Problem


@dataclass(frozen=True)
class PromptSource:
    """Training problems with the tokenizer that encodes them.

    Attributes:
        task: where the problems come from and how responses are rewarded.
        problems: the training problems.
        tokenizer: the policy's.
        max_prompt_tokens: longest prompt accepted.
    """

    task: Task
    problems: Sequence[Problem]
    tokenizer: PreTrainedTokenizerBase
    max_prompt_tokens: int

    def pick(self, indices_P: Tensor) -> list[Problem]:
        """The problems of these indices, int64 [P]."""
        return [self.problems[index] for index in indices_P.tolist()]

    def encode(self, problems: Sequence[Problem]) -> list[list[int]]:
        """Token ids of each problem's prompt.

        Raises:
            ValueError: a prompt is empty or longer than ``max_prompt_tokens``.
        """
        encoded = [self.task.encode(problem, self.tokenizer) for problem in problems]
        for problem, tokens in zip(problems, encoded, strict=True):
            if not 0 < len(tokens) <= self.max_prompt_tokens:
                raise too_long(problem, len(tokens), setting(self.max_prompt_tokens))
        return encoded
