r"""Procedural problems of reasoning-gym, a collection of some hundred generators (2505.24760).

Its generators are used as they are. Its scorers are not run in this process: some of them execute
text of the answer. Where a problem has one right answer an own checker compares it.
"""

import importlib
import importlib.util
import json
from collections.abc import Sequence
from typing import Any

from lit_entropy.functional.advantage import REWARD_NOISE
from lit_entropy.functional.rng import hash_keys
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.prompts import PLACE, PromptFormat
from lit_entropy.tasks.reward_functions import Reward, reward_function
from lit_entropy.types import Problem
from lit_entropy.verify.answers import boxed_text
from lit_entropy.verify.base import AnswerChecker
from lit_entropy.verify.number import NumberChecker
from lit_entropy.verify.pool import JailPool

#: Data sets whose problems have exactly one right answer, a number.
ONE_NUMBER = (
    "basic_arithmetic",
    "chain_sum",
    "count_bits",
    "count_primes",
    "decimal_chain_sum",
    "gcd",
    "lcm",
    "leg_counting",
    "letter_counting",
    "products",
    "rectangle_count",
    "simple_equations",
)
#: Validation ids start here.
VALIDATION_ID = 1_000_000_000
#: Longest boxed answer that is handed to a scorer of reasoning-gym, characters.
MAX_ANSWER_LENGTH = 5_000


class ReasoningGym(Task):
    r"""Problems of one data set of reasoning-gym; the answer is asked for in a ``\boxed{}``.

    Data sets of ``ONE_NUMBER`` are scored by ``checker``: 1 for the right number, else 0. Others
    may have several right answers and need reasoning-gym's own scorer, which runs in a jailed
    process, bounded in time and memory. Such a scorer may execute what the model writes, with the
    rights of the user to files and network, so ``allow_code_execution`` has to say so.

    Args:
        dataset: name of the data set in reasoning-gym.
        parameters: its own parameters, ``{min_terms: 2, max_terms: 4}`` for ``chain_sum`` say.
        train_size: training problems that are generated; those held out are left out.
        validation_size: held-out problems.
        template: text of the user message; ``{prompt}`` stands for the question.
        system_prompt: system message; null adds none.
        chat: whether prompts are chat messages, or plain text (base models).
        checker: compares numbers; null for the last ``\boxed{}``, exactly.
        allow_code_execution: let reasoning-gym's scorer run, in the jailed process.
        timeout: seconds of processor time of one score in the jailed process.
        memory_mb: address space of that process, MiB.
        seed: seed of the problem set.
        reward: a function that gives the rewards, see
            :mod:`lit_entropy.tasks.reward_functions`; the task still says what counts as right.

    Raises:
        ValueError: reasoning-gym is not installed, does not know the data set or its parameters, or
            the data set needs ``allow_code_execution``.
    """

    def __init__(
        self,
        dataset: str = "chain_sum",
        parameters: dict[str, Any] | None = None,
        train_size: int = 10_000,
        validation_size: int = 200,
        template: str = PLACE + "\nPut the final answer into \\boxed{}.",
        system_prompt: str | None = None,
        chat: bool = True,
        checker: AnswerChecker | None = None,
        allow_code_execution: bool = False,
        timeout: float = 2.0,
        memory_mb: int = 1024,
        seed: int = 0,
        reward: str | Reward | None = None,
    ) -> None:
        self.reward_function = reward_function(reward)
        if importlib.util.find_spec("reasoning_gym") is None:
            raise ValueError(
                "ReasoningGym needs reasoning-gym, which is not installed: "
                "pip install 'lit_entropy[gym]'"
            )
        if dataset not in ONE_NUMBER and not allow_code_execution:
            raise ValueError(
                f"dataset={dataset!r} is scored by reasoning-gym's own scorer, which may execute "
                "what the model writes: choose one of " + ", ".join(ONE_NUMBER) + ", or set "
                "allow_code_execution=true on a machine that may be harmed"
            )
        if min(train_size, validation_size) < 1:
            raise ValueError(
                f"train_size={train_size}, validation_size={validation_size}: use at least 1"
            )
        self.dataset, self.parameters = dataset, dict(parameters or {})
        self._form = PromptFormat(template, system_prompt, chat)
        self.checker = checker or NumberChecker("boxed")
        self._pool: JailPool | None = None
        if dataset not in ONE_NUMBER:
            self._pool = JailPool("reasoning_gym", timeout, memory_mb, workers=1)
        self._questions: dict[int, str] = {}  # by id, where the jailed process makes them again
        # two streams of 31 bits: reasoning-gym seeds problem i with seed + i
        self._seeds = {
            first_id: int(hash_keys(seed, name)) % 2**31
            for first_id, name in ((0, "gym-train"), (VALIDATION_ID, "gym-validation"))
        }
        self._sizes = {0: train_size, VALIDATION_ID: validation_size}
        self._validation = self._generate(VALIDATION_ID)
        held_out = {str(problem.prompt) for problem in self._validation}
        train = self._generate(0)
        self._train = [problem for problem in train if str(problem.prompt) not in held_out]
        if not self._train:
            raise ValueError(
                f"dataset={dataset!r}: every training problem is held out; lower "
                f"validation_size={validation_size} or widen parameters={self.parameters}"
            )

    def train_problems(self) -> Sequence[Problem]:
        """The generated problems, without those held out."""
        return self._train

    def validation_problems(self) -> Sequence[Problem]:
        """The held-out problems in the order of their generation."""
        return self._validation

    def reward(self, problem: Problem, response: str) -> float | None:
        """1.0 or 0.0, or reasoning-gym's score in [0, 1]; None where it could not be had.

        Raises:
            ValueError: the scorer's process makes another problem from the same seed.
        """
        if self._pool is None:
            verdict = self.checker.check(problem.answer, response)
            return None if verdict is None else float(verdict)
        answer = self.answer_of(response)
        if answer is None:
            return 0.0
        first_id = VALIDATION_ID if problem.id >= VALIDATION_ID else 0
        request = {"dataset": self._recipe(first_id), "index": problem.id - first_id}
        question = self._questions[problem.id]
        reply = self._pool.ask({**request, "question": question, "answer": answer})
        if not reply.get("same", True):
            raise ValueError(
                f"dataset={self.dataset!r} makes other problems in another process, because they "
                "depend on Python's hash seed: no run could be resumed; take another data set"
            )
        score: float | None = reply.get("score")
        return score

    def is_correct(self, problem: Problem, response: str, reward: float) -> bool:
        """Whether the score is full; reasoning-gym gives parts of it for form."""
        own = self._own_reward(problem, response, reward)
        return own is not None and own > 1.0 - REWARD_NOISE

    def answer_of(self, response: str) -> str | None:
        r"""The number, or the content of the last ``\boxed{}``."""
        if self._pool is None:
            return self.checker.answer_of(response)
        text = (boxed_text(response[-4 * MAX_ANSWER_LENGTH :]) or "").strip()
        return text if 0 < len(text) <= MAX_ANSWER_LENGTH else None

    def close(self) -> None:
        """End the processes."""
        self.checker.close()
        if self._pool is not None:
            self._pool.close()

    def _recipe(self, first_id: int) -> str:
        """Name and parameters of a stream of problems, from which any process makes the same."""
        fixed = {"seed": self._seeds[first_id], "size": self._sizes[first_id]}
        return json.dumps([self.dataset, {**self.parameters, **fixed}])

    def _generate(self, first_id: int) -> list[Problem]:
        gym = importlib.import_module("reasoning_gym")
        name, parameters = json.loads(self._recipe(first_id))
        try:
            items = gym.create_dataset(name, **parameters)
        except (TypeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"reasoning-gym refuses dataset={name!r}, parameters={self.parameters}: {error}"
            ) from error
        problems = []
        for index in range(self._sizes[first_id]):
            item = items[index]
            prompt = self._form.show(item["question"])
            problem = Problem(first_id + index, prompt, str(item["answer"]), source=name)
            if self._pool is not None:
                self._questions[problem.id] = item["question"]
            elif (reason := self.checker.check_gold(problem.answer)) is not None:
                raise ValueError(f"dataset={name!r}, problem {index}: {reason}")
            problems.append(problem)
        return problems
