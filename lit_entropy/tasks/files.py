r"""Problems from the user's own files: JSONL or parquet, GSM8K rows and verl rows included.

GSM8K: ``prompt_field: question``, ``answer_field: answer`` (the number after ``####`` is gold).
verl: ``prompt_field: prompt`` (messages), ``answer_field: reward_model.ground_truth``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from lit_entropy.functional.rng import permutation
from lit_entropy.tasks.answers import MARKER, AnswerStyle, final_number, marked_number, parse_number
from lit_entropy.tasks.base import Task
from lit_entropy.tasks.records import read_prompt, read_rows, read_text
from lit_entropy.types import Problem

#: Ids of a validation file's rows start here, so that they never meet those of the training file.
VALIDATION_ID = 1_000_000_000


class FileTask(Task):
    """Prompts and numeric answers from files; reward 1 for the right final number, else 0.

    Args:
        train_file: ``.jsonl`` or ``.parquet`` file of training problems.
        validation_file: File of validation problems; None holds out a part of ``train_file``.
        validation_fraction: Share of distinct prompts held out when there is no validation file.
        prompt_field: Field of the prompt (text or chat messages); dots descend into records.
        answer_field: Field of the reference answer: a number, or a text with ``####`` before it.
        template: Text of the (last) user message; ``{prompt}`` stands for the row's prompt.
        system_prompt: System message put before prompts that have none; None adds nothing.
        chat: Whether text prompts become a chat message (instruction-tuned models) or stay text.
        answer_style: Where the response's number must stand: ``marked`` (after ``####``), ``boxed``
            (``\\boxed{}``), ``either``, or ``last`` (either, else the last number of the text).
        train_limit: At most so many training problems, the first ones; None takes all.
        validation_limit: At most so many validation problems, the first ones; None takes all.
        seed: Seed of the held-out draw.

    Raises:
        ValueError: a bad argument, an unreadable file, a row without prompt or numeric answer
            (file, row and field are named), a prompt in both files, or an empty set.
    """

    def __init__(
        self,
        train_file: str,
        validation_file: str | None = None,
        validation_fraction: float = 0.1,
        prompt_field: str = "question",
        answer_field: str = "answer",
        template: str = "{prompt}",
        system_prompt: str | None = None,
        chat: bool = True,
        answer_style: AnswerStyle = "either",
        train_limit: int | None = None,
        validation_limit: int | None = None,
        seed: int = 0,
    ) -> None:
        if "{prompt}" not in template:
            raise ValueError(f"template={template!r}: it must contain {{prompt}}")
        if answer_style not in get_args(AnswerStyle):
            raise ValueError(f"answer_style={answer_style!r}: use one of {get_args(AnswerStyle)}")
        for name, limit in (("train_limit", train_limit), ("validation_limit", validation_limit)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name}={limit}: use at least 1, or null for all")
        if system_prompt is not None and not chat:
            raise ValueError(
                f"system_prompt={system_prompt!r} needs chat=true; plain text has none"
            )
        self.prompt_field, self.answer_field = prompt_field, answer_field
        self.template, self.system_prompt, self.chat = template, system_prompt, chat
        self.answer_style = answer_style
        train = self._read(train_file, "train_file", 0)
        if validation_file is None:
            train, validation = _split(train, validation_fraction, seed)
        else:
            validation = self._read(validation_file, "validation_file", VALIDATION_ID)
        self._train, self._validation = train[:train_limit], validation[:validation_limit]
        _check_disjoint(self._train, self._validation)

    def train_problems(self) -> Sequence[Problem]:
        """The training problems in file order; ``Problem.id`` is the row number."""
        return self._train

    def validation_problems(self) -> Sequence[Problem]:
        """The validation problems in file order."""
        return self._validation

    def reward(self, problem: Problem, response: str) -> float:
        """1.0 where the response's final number equals the reference exactly, else 0.0."""
        number = final_number(response, self.answer_style)
        return float(number is not None and number == marked_number(MARKER + problem.answer))

    def _read(self, file: str, field: str, first_id: int) -> list[Problem]:
        return [
            self._problem(record, first_id + row, f"{file}, row {row}")
            for row, record in read_rows(file, field)
        ]

    def _problem(self, record: dict[str, Any], identity: int, place: str) -> Problem:
        prompt = read_prompt(record, self.prompt_field, place)
        text = read_text(record, self.answer_field, place)
        gold = marked_number(text) if MARKER in text else parse_number(text)
        if gold is None:
            raise ValueError(
                f"{place}, field {self.answer_field!r}: {text!r:.80} is no number; this task "
                f"compares integers and decimals, or the number after {MARKER}"
            )
        return Problem(identity, self._show(prompt, place), _reference(text))

    def _show(self, prompt: str | list[dict[str, str]], place: str) -> str | list[dict[str, str]]:
        if isinstance(prompt, str):
            text = self.template.replace("{prompt}", prompt)
            if not self.chat:
                return text
            messages = [{"role": "user", "content": text}]
        elif not self.chat:
            raise ValueError(f"{place}, field {self.prompt_field!r}: messages need chat=true")
        else:
            last = self.template.replace("{prompt}", prompt[-1]["content"])
            messages = [*prompt[:-1], {**prompt[-1], "content": last}]
        if self.system_prompt is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system_prompt}, *messages]
        return messages


def _reference(text: str) -> str:
    """The reference answer as the file writes it, without the reasoning before ``####``."""
    return text.rpartition(MARKER)[2].strip()


def _split(problems: list[Problem], fraction: float, seed: int) -> tuple[list, list]:
    """Training and held-out problems; equal prompts stay on one side."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_fraction={fraction}: use a fraction between 0 and 1")
    prompts = list(dict.fromkeys(str(problem.prompt) for problem in problems))
    held_out_size = round(fraction * len(prompts))
    if not 0 < held_out_size < len(prompts):
        raise ValueError(
            f"validation_fraction={fraction}: of {len(prompts)} distinct prompts this holds out "
            f"{held_out_size}, which leaves a set empty; change it or give a validation_file"
        )
    order = permutation(len(prompts), seed, "validation-split")[:held_out_size].tolist()
    held_out = {prompts[index] for index in order}
    sides: tuple[list, list] = [], []
    for problem in problems:
        sides[str(problem.prompt) in held_out].append(problem)
    return sides


def _check_disjoint(train: list[Problem], validation: list[Problem]) -> None:
    seen = {str(problem.prompt): problem.id for problem in train}
    for problem in validation:
        if (row := seen.get(str(problem.prompt))) is not None:
            raise ValueError(
                f"validation_file: row {problem.id - VALIDATION_ID} has the prompt of row {row} of "
                "train_file; remove it, or leave validation_file out to hold out a fraction"
            )
