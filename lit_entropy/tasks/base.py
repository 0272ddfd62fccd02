"""The contract of a task: where problems come from, how they are shown, how answers are scored."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from lit_entropy.functional.advantage import REWARD_NOISE
from lit_entropy.tasks.prompts import encode_chat, encode_text
from lit_entropy.tasks.reward_functions import RewardFunction
from lit_entropy.types import Problem


class Task(ABC):
    """Base of every task. Subclass it in any file and name it by ``data.task.class_path``.

    Attributes:
        checks: responses that :func:`lit_entropy.tasks.rewards.reward_responses` has given it.
        check_seconds: wall-clock seconds that they took, starts of checking processes included.
        reward_function: gives the rewards in place of :meth:`reward`, which then says what counts
            as right alone.
    """

    checks: int = 0
    check_seconds: float = 0.0
    reward_function: RewardFunction | None = None

    @abstractmethod
    def train_problems(self) -> Sequence[Problem]:
        """The training problems; a procedural task may return a lazy sequence."""

    @abstractmethod
    def validation_problems(self) -> Sequence[Problem]:
        """Held-out problems, disjoint from the training problems, in a fixed order."""

    @abstractmethod
    def reward(self, problem: Problem, response: str) -> float | None:
        """Reward of a decoded response (without special tokens); finite, usually in [0, 1].

        None says that the response could not be checked, because a checker ran out of time, say.
        That is no reward of 0: its whole group is left out of the update, and counted.
        """

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[float | None]:
        """:meth:`reward` of each pair, in order; override it to check several at a time."""
        if self.reward_function is not None:
            return self.reward_function(problems, responses, {})
        return [self.reward(*pair) for pair in zip(problems, responses, strict=True)]

    def is_correct(self, problem: Problem, response: str, reward: float) -> bool:
        """Whether a response counts as right in accuracies; by default a reward above one half.

        One half plus rounding (1.1 - 0.6 is 0.5000000000000001) is not above it. Of a reward
        function it is the task's own reward that counts.
        """
        own = self._own_reward(problem, response, reward)
        return own is not None and own > 0.5 + REWARD_NOISE

    def _own_reward(self, problem: Problem, response: str, reward: float) -> float | None:
        return reward if self.reward_function is None else self.reward(problem, response)

    def answer_of(self, response: str) -> str | None:
        """The final answer that a response gives, as text that is equal for equal answers.

        Override it to have the entropy of the answers measured; the default names none.

        Args:
            response: decoded response, without special tokens.

        Returns:
            The answer, right or wrong; None for a response without a well-formed one.
        """
        return None

    @property
    def names_answers(self) -> bool:
        """Whether the task overrides :meth:`answer_of`."""
        return type(self).answer_of is not Task.answer_of

    def encode(self, problem: Problem, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """Token ids of the prompt: chat template for messages, plain text otherwise.

        Plain text starts as the tokenizer starts texts. A template's date is that of
        :data:`lit_entropy.tasks.prompts.TODAY`.
        """
        if isinstance(problem.prompt, str):
            return encode_text(problem.prompt, tokenizer)
        return encode_chat(problem.prompt, tokenizer)

    def close(self) -> None:  # noqa: B027 - most tasks hold nothing
        """Give back what scoring holds (processes, say); it may be used again afterwards."""
