"""Readers of reference answers that are records, named by ``data.task.ground_truth``.

verl's ``reward_model.ground_truth`` may hold what only its task knows: ``{numbers: [44, 19, 35],
target: 98}`` of Countdown. A reader makes it the text that the task's checker compares with. It is
given what stands in the answer's field: a record, a list, a number or a text.
"""

import json
from collections.abc import Callable
from typing import Any

from lit_entropy.contracts import refuse
from lit_entropy.tasks.reward_functions import load_function

#: What a user may write: ``f(value)``, which gives the reference answer as a text.
GroundTruth = Callable[[Any], str]


def countdown(value: object) -> str:
    """``44;19;35=98`` of ``{numbers: [44, 19, 35], target: 98}``, for ``CountdownChecker``.

    Raises:
        ValueError: it is no such record.
    """
    record = _record(value, "numbers", "target")
    numbers = record["numbers"]
    if not isinstance(numbers, list) or not numbers:
        raise ValueError(f"its numbers are {numbers!r:.80}; give a list of whole numbers")
    return ";".join(map(_whole, numbers)) + "=" + _whole(record["target"])


def knights_and_knaves(value: object) -> str:
    """The ``solution_text_format`` of a record, for ``KnightsChecker``.

    Raises:
        ValueError: there is none, or it is no text.
    """
    text = _record(value, "solution_text_format")["solution_text_format"]
    if not isinstance(text, str):
        raise ValueError(f"its solution_text_format is {text!r:.80}; give a text")
    return text


#: The readers that are known by name.
READERS: dict[str, GroundTruth] = {
    "countdown": countdown,
    "knights_and_knaves": knights_and_knaves,
}


class GroundTruthReader:
    """A reader as the rows of a set are read by it."""

    def __init__(self, reader: str | GroundTruth) -> None:
        """Find the reader.

        Args:
            reader: a function, a key of :data:`READERS`, ``package.module.function`` on the Python
                path, or ``path/to/file.py:function``.

        Raises:
            ValueError: there is no such function.
        """
        setting = "data.task.ground_truth"
        self.name = f"{setting}={reader!r}"
        self.function: Any = reader
        if isinstance(reader, str):
            if "." not in reader and reader not in READERS:
                known = ", ".join(READERS)
                raise ValueError(
                    f"{self.name}: use one of {known}, or a function of yours as module.function "
                    "or file.py:function"
                )
            self.function = READERS.get(reader) or load_function(reader, setting)
        if not callable(self.function):
            raise ValueError(f"{self.name} is no function: give one of the form f(value)")

    def __call__(self, value: object) -> str:
        """The reference answer.

        Raises:
            ValueError: the reader refuses the value, or cannot read it.
            ContractError: it gave no text.
        """
        try:
            answer = self.function(value)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
            raise ValueError(f"{value!r:.80} is refused by {self.name} ({kind}{error})") from error
        if not isinstance(answer, str):
            refuse(self.function, "__call__", "a text, the reference answer", answer)
        return answer


def _record(value: object, *keys: str) -> dict[str, Any]:
    """The record, also from its JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("it is a text and no JSON; give a record or its JSON") from None
    if not isinstance(value, dict) or not set(keys) <= value.keys():
        raise ValueError(f"give a record of {', '.join(keys)}")
    return value


def _whole(number: object) -> str:
    """A whole number; a table with gaps holds it as a float."""
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError(f"{number!r:.80} is no whole number")
    return str(number)
