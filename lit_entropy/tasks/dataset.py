r"""Problems from data sets: verl parquet, TRL columns, JSONL, GSM8K, and the Hugging Face hub.

What the formats are and which fields are found by themselves stands in
:mod:`lit_entropy.tasks.fields`; how answers are compared is the injected checker's business.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.contracts import is_truth, refuse
from lit_entropy.functional.checks import require_choice
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.fields import AUTO
from lit_entropy.tasks.ground_truth import GroundTruth, GroundTruthReader
from lit_entropy.tasks.loaded_set import LoadedSet, set_number
from lit_entropy.tasks.loading import SetReader, named_sets
from lit_entropy.tasks.prompts import PLACE, PromptFormat
from lit_entropy.tasks.records import DataFile
from lit_entropy.tasks.reward_functions import Reward, reward_function
from lit_entropy.types import Problem
from lit_entropy.verify.base import AnswerChecker

Duplicates = Literal["keep", "drop"]


class DatasetTask(Task):
    """Prompts and reference answers from data sets; reward 1 for a right answer, else 0.

    Files are read when problems are first asked for, so a configuration can be built without them.
    A reward is None where the checker could not come to a verdict. A ``reward`` function replaces
    it; a checker beside one still says what counts as right, else a reward above one half does.

    Args:
        checker: compares a response's answer with the reference answer; with a ``reward`` it may
            be left out, and so may reference answers.
        train: ``.jsonl`` or ``.parquet`` file or ``hub:owner/name``; null for evaluation alone.
        validation: one such set, or several by name; null holds out a part of ``train``. The name
            becomes ``Problem.source``; without one it is the row's ``data_source``.
        validation_fraction: share of distinct prompts held out when there is no ``validation``.
        prompt_field: field of the prompt, text or chat messages; dots descend into records;
            ``auto`` finds it.
        answer_field: field of the reference answer; ``auto`` finds it, null reads none.
        template: text of the (last) user message; ``{prompt}`` stands for the row's prompt.
        system_prompt: system message put before prompts that have none; null adds nothing.
        chat: whether prompts are chat messages for the tokenizer's chat template (instruction-tuned
            models), or plain text (base models).
        duplicates: whether rows that ask the same as an earlier row of their set are kept or
            dropped (and counted).
        skip_bad_rows: leave out rows that cannot be used (missing or empty fields, unreadable
            reference answers), with a warning that counts them, instead of refusing them.
        train_limit: at most so many training problems, the first ones; null takes all.
        validation_limit: at most so many problems of each validation set; null takes all.
        seed: seed of the held-out draw.
        reward: a function that rewards responses, by name (``my_rewards.exact``), file
            (``my_rewards.py:exact``) or itself; its forms stand in
            :mod:`lit_entropy.tasks.reward_functions`.
        ground_truth: what makes the answer's field the reference answer where it holds a record:
            ``countdown`` or ``knights_and_knaves``, or a function of the value that gives a text,
            by name, file or itself, see :mod:`lit_entropy.tasks.ground_truth`.

    Attributes:
        statistics: rows, bad rows and duplicates of each set that was read.

    Raises:
        ValueError: a bad argument; when problems are asked for, a set that cannot be read, has bad
            rows (all listed) or no usable one, or a training prompt that is in a validation set.
    """

    def __init__(
        self,
        checker: AnswerChecker | None = None,
        train: str | DataFile | None = None,
        validation: str | dict[str, str | DataFile] | None = None,
        validation_fraction: float = 0.1,
        prompt_field: str = AUTO,
        answer_field: str | None = AUTO,
        template: str = PLACE,
        system_prompt: str | None = None,
        chat: bool = True,
        duplicates: Duplicates = "keep",
        skip_bad_rows: bool = False,
        train_limit: int | None = None,
        validation_limit: int | None = None,
        seed: int = 0,
        reward: str | Reward | None = None,
        ground_truth: str | GroundTruth | None = None,
    ) -> None:
        _check_parts(checker, reward, answer_field)
        require_choice("duplicates", duplicates, get_args(Duplicates))
        _check_limits(train_limit, validation_limit)
        if not 0 < validation_fraction < 1:
            raise ValueError(
                f"validation_fraction={validation_fraction}: use a fraction between 0 and 1"
            )
        if train is None and not validation:
            raise ValueError("train=None and validation=None: give at least one data set")
        self.checker = checker
        self.reward_function = reward_function(reward)
        self._rows: dict[int, Mapping[str, object]] = {}  # by id, for the function's columns
        self.train = DataFile(train) if isinstance(train, str) else train
        self.validation = named_sets(validation)
        self.validation_fraction, self.seed = validation_fraction, seed
        self.skip_bad_rows = skip_bad_rows
        self.train_limit, self.validation_limit = train_limit, validation_limit
        form = PromptFormat(template, system_prompt, chat)
        drop = duplicates == "drop"
        function = self.reward_function
        rows = self._rows if function is not None and function.batched else None
        reader = None if ground_truth is None else GroundTruthReader(ground_truth)
        self._reader = SetReader(checker, form, prompt_field, answer_field, drop, rows, reader)
        self._validation_sets: list[LoadedSet] | None = None
        self._problems: dict[str, list[Problem]] = {}

    def train_problems(self) -> Sequence[Problem]:
        """The training problems in file order; ``Problem.id`` is the row number."""
        if "train" not in self._problems:
            self._read_train()
        return self._problems["train"]

    def validation_problems(self) -> Sequence[Problem]:
        """The validation problems, set after set, each in file order."""
        if "validation" not in self._problems:
            if self.validation:
                self._problems["validation"] = [
                    problem
                    for loaded in self._read_validation()
                    for problem in loaded.problems[: self.validation_limit]
                ]
            else:
                self._read_train()
        return self._problems["validation"]

    def reward(self, problem: Problem, response: str) -> float | None:
        """1.0 for the right answer, 0.0 for a wrong or missing one, None if it is unchecked."""
        if self.reward_function is not None:
            return self.reward_function([problem], [response], self._rows)[0]
        return _reward(self._checks, self._checks.check(problem.answer, response))

    def rewards(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[float | None]:
        """:meth:`reward` of each response, in order, checked together; or the function's."""
        if self.reward_function is not None:
            return self.reward_function(problems, responses, self._rows)
        answers = [problem.answer for problem in problems]
        verdicts = self._checks.check_all(answers, responses)
        return [_reward(self._checks, verdict) for verdict in verdicts]

    def _own_reward(self, problem: Problem, response: str, reward: float) -> float | None:
        if self.reward_function is None or self.checker is None:
            return reward
        return _reward(self.checker, self.checker.check(problem.answer, response))

    def answer_of(self, response: str) -> str | None:
        """The final answer of a response, None where there is none."""
        return None if self.checker is None else self.checker.answer_of(response)

    @property
    def names_answers(self) -> bool:
        """Whether there is a checker, which reads answers."""
        return self.checker is not None

    @property
    def _checks(self) -> AnswerChecker:
        assert self.checker is not None  # there is one where no function gives the rewards
        return self.checker

    def close(self) -> None:
        """Give back what the checker holds."""
        if self.checker is not None:
            self.checker.close()

    def _read_train(self) -> None:
        if self.train is None:
            raise ValueError("data.task.train is null: name the training data")
        loaded = self._reader.read(self.train, "data.task.train", 0, None)
        if self.validation:
            loaded = loaded.without(self._read_validation())
        self._accept({"training": loaded})
        problems = loaded.problems
        if not self.validation:
            problems, held_out = loaded.split(self.validation_fraction, self.seed)
            self._problems["validation"] = held_out[: self.validation_limit]
        self._problems["train"] = problems[: self.train_limit]

    def _read_validation(self) -> list[LoadedSet]:
        if self._validation_sets is None:
            sets = {}
            for name, file in self.validation.items():
                label = "data.task.validation" + (f".{name}" if name else "")
                number = set_number(name)
                sets[label.removeprefix("data.task.")] = self._reader.read(
                    file, label, number, name or None
                )
            self._accept(sets)
            self._validation_sets = list(sets.values())
        return self._validation_sets

    def _accept(self, sets: dict[str, LoadedSet]) -> None:
        """Refuse bad rows and empty sets, or count them."""
        bad = [loaded for loaded in sets.values() if loaded.bad]
        report = "\n".join(loaded.report() for loaded in bad)
        if bad and not self.skip_bad_rows:
            raise ValueError(
                f"{report}\nMend or remove these rows, or leave them out with "
                "data.task.skip_bad_rows=true"
            )
        for loaded in sets.values():
            if not loaded.problems:
                raise ValueError(f"{loaded.report()}\nNo row is left: give a set with usable rows")
            if loaded.duplicates:
                rank_zero_warn(f"{loaded.place}: {loaded.duplicates} duplicates are left out")
        if bad:
            rank_zero_warn(f"{report}\nThese rows are left out (data.task.skip_bad_rows=true)")


def _reward(checker: AnswerChecker, verdict: bool | None) -> float | None:
    if verdict is not None and not is_truth(verdict):
        refuse(checker, "check", "True, False or None", verdict)
    return None if verdict is None else float(verdict)


def _check_parts(
    checker: AnswerChecker | None, reward: str | Reward | None, answer_field: str | None
) -> None:
    if checker is None and reward is None:
        raise ValueError(
            "data.task.checker=None: give a checker of answers (NumberChecker, MathChecker, "
            "ChoiceChecker), or data.task.reward, a function that rewards responses"
        )
    if checker is not None and answer_field is None:
        raise ValueError(
            f"data.task.answer_field=None, but {type(checker).__name__} compares with reference "
            "answers: name their field, or leave out data.task.checker"
        )


def _check_limits(train_limit: int | None, validation_limit: int | None) -> None:
    for name, limit in (("train_limit", train_limit), ("validation_limit", validation_limit)):
        if limit is not None and limit < 1:
            raise ValueError(f"{name}={limit}: use at least 1, or null for all")
