"""From the rows of data sets to problems."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lit_entropy.tasks.fields import (
    ANSWER_FIELDS,
    AUTO,
    Fields,
    columns,
    find_fields,
    read_answer,
    read_prompt,
    source_of,
)
from lit_entropy.tasks.ground_truth import GroundTruthReader
from lit_entropy.tasks.loaded_set import LONGEST_REASON, ROW_BITS, LoadedSet, set_number
from lit_entropy.tasks.media import refuse_media
from lit_entropy.tasks.prompts import PromptFormat, question_key
from lit_entropy.tasks.records import DataFile, Row, read_rows
from lit_entropy.types import Problem
from lit_entropy.verify.base import AnswerChecker

#: The answer's field in a set whose rows need none.
NO_ANSWER = ""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class SetReader:
    """How the rows of a set become problems.

    Attributes:
        checker: refuses reference answers that it could not compare; without one a set may lack
            them.
        format: how prompts are shown.
        prompt_field: field of the prompt, or ``auto``.
        answer_field: field of the reference answer, or ``auto``.
        drop_duplicates: whether rows that ask the same as an earlier one are left out.
        records: where the row of each problem is kept by its id; None keeps none.
        ground_truth: reads the answer's field; None takes the text that stands there.
    """

    checker: AnswerChecker | None
    format: PromptFormat
    prompt_field: str = AUTO
    answer_field: str | None = AUTO
    drop_duplicates: bool = False
    records: dict[int, Mapping[str, object]] | None = None
    ground_truth: GroundTruthReader | None = None

    def read(self, file: DataFile, label: str, number: int, source: str | None) -> LoadedSet:
        """Read a set.

        Args:
            file: where it stands.
            label: the setting that names it, for errors.
            number: number of the set, see :func:`set_number`; 0 for the training set.
            source: ``Problem.source``; None takes the row's ``data_source``.

        Raises:
            ValueError: the file cannot be read, no column fits, or there are no rows. Bad rows
                raise nothing: the set names them.
        """
        loaded = LoadedSet(f"{label}={file.path!r}")
        form = self.format.with_template(file.template)
        fields: Fields | None = None
        answers: dict[str, tuple[int, str]] = {}
        for row in read_rows(file, label):
            loaded.rows += 1
            try:
                if row.reason:
                    raise ValueError(row.reason)
                fields = fields or self._fields(file, row.record, loaded.place)
                identity = number << ROW_BITS | row.number
                question, problem = self._problem(row, fields, form, identity, source)
                if self.drop_duplicates and is_repeated(row.number, question, problem, answers):
                    loaded.duplicates += 1
                    continue
            except SettingError:
                raise
            except ValueError as reason:
                loaded.reject(row.number, str(reason))
            else:
                loaded.problems.append(problem)
                loaded.questions.append(question)
                if self.records is not None:
                    self.records[problem.id] = row.record
        if loaded.rows == 0:
            raise ValueError(f"{loaded.place} has no rows; give one with data")
        return loaded

    def _fields(self, file: DataFile, record: Mapping[str, object], place: str) -> Fields:
        prompt, answer = file.prompt_field or self.prompt_field, self._answer_field(file, record)
        try:
            return find_fields(record, prompt, NO_ANSWER if answer is None else answer)
        except ValueError as error:
            raise SettingError(f"{place}: {error!s:.{LONGEST_REASON}}") from error

    def _answer_field(self, file: DataFile, record: Mapping[str, object]) -> str | None:
        """The setting; None where no answer is needed and none is there or wanted."""
        answer = file.answer_field or self.answer_field
        none_there = answer == AUTO and not set(ANSWER_FIELDS) & set(columns(record))
        return None if self.checker is None and none_there else answer

    def _problem(
        self, row: Row, fields: Fields, form: PromptFormat, identity: int, source: str | None
    ) -> tuple[str, Problem]:
        prompt = read_prompt(row.record, fields.prompt)
        refuse_media(row.record, prompt)
        shown = form.show(prompt)
        answer = ""
        if fields.answer != NO_ANSWER:
            answer = read_answer(row.record, fields.answer, self.ground_truth)
        reason = None if self.checker is None else self.checker.check_gold(answer)
        if reason is not None:
            raise ValueError(f"field {fields.answer!r}: {reason}")
        name = source_of(row.record) if source is None else source
        return question_key(prompt), Problem(identity, shown, answer, source=name)


class SettingError(ValueError):
    """A setting is wrong, whatever the row."""


def is_repeated(
    row: int, question: str, problem: Problem, answers: dict[str, tuple[int, str]]
) -> bool:
    """Whether an earlier row asks the same; notes the question otherwise.

    Raises:
        ValueError: it does, with another answer.
    """
    first, answer = answers.setdefault(question, (row, problem.answer))
    if first == row:
        return False
    if answer != problem.answer:
        raise ValueError(
            f"the prompt is that of row {first}, the answer {problem.answer!r:.80} is not its "
            f"{answer!r:.80}"
        )
    return True


def named_sets(validation: str | dict[str, str | DataFile] | None) -> dict[str, DataFile]:
    """The validation sets by name; a single one has the empty name.

    Raises:
        ValueError: a mapping without sets, a name that no metric key may have, or (once in
            thousands of sets) one whose problems would have the ids of another set's.
    """
    if isinstance(validation, str):
        return {"": DataFile(validation)}
    if validation is not None and not validation:
        raise ValueError(
            f"validation={validation}: name a set, or use null to hold out a part of the training "
            "data"
        )
    sets = {}
    numbers: dict[int, str] = {}
    for name, file in (validation or {}).items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"validation.{name}: name sets with letters, digits, _ . and - only")
        other = numbers.setdefault(set_number(name), name)
        if other != name:
            raise ValueError(f"validation.{name}: its ids would be those of {other}; rename it")
        sets[name] = DataFile(file) if isinstance(file, str) else file
    return sets
