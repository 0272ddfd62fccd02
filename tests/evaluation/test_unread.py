"""An evaluation whose answers nobody reads says so, with the likely cause and two responses."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from runs import CONFIGS, SMALL

from lit_entropy.cli.main import main
from lit_entropy.evaluation.records import Record, Response, Shown, make_record
from lit_entropy.evaluation.unread import warn_unread
from lit_entropy.tasks import ChainArithmetic, DatasetTask
from lit_entropy.types import Problem
from lit_entropy.verify import NumberChecker

TASK = DatasetTask(NumberChecker("boxed"), train="none.jsonl")


def record(number: int, answer: int | None = -1, samples: int = 3, **changes: Any) -> Record:
    fields: dict[str, Any] = {"prompt": [3], "reward": 0.0, "correct": False, "length": 5}
    fields |= {"truncated": False, "answer": answer} | changes
    response = Response(text=f"response {number}\x1b", **fields)
    shown = Shown(response.text, response.reward, False, f"prompt {number}", 0)
    return make_record(Problem(number, "p", "1"), response, [response] * samples, shown)


def said(records: list[Record]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_unread(records, TASK)
    return [str(item.message) for item in caught]


def test_no_answer_at_all_is_told_with_two_responses() -> None:
    (message,) = said([record(number) for number in range(5)])
    assert message.startswith(
        "the evaluation: no response of 20 names an answer. DatasetTask with NumberChecker (style "
        "boxed) found no answer in any response: the model answers in another form."
    )
    assert message.splitlines()[1:] == [
        "  to 'prompt 0'", r"  -> 'response 0\x1b' (reward 0)",
        "  to 'prompt 4'", r"  -> 'response 4\x1b' (reward 0)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"truncated": True}, "100% of the responses were cut short: raise model.max_new_tokens"),
        ({"reward": None}, "100% of the responses could not be checked: raise the limits"),
    ],
)
def test_what_keeps_answers_from_being_read(changes: dict[str, Any], cause: str) -> None:
    (message,) = said([record(0, **changes)])
    assert cause in message


def test_one_answer_or_none_to_read_is_no_alarm() -> None:
    assert said([record(0), record(1, answer=7)]) == []
    assert said([record(0, answer=None)]) == []  # a task that names no answers
    assert said([]) == []
    assert len(said([record(0, samples=0)])) == 1  # greedy alone


class Unboxed(ChainArithmetic):
    """Looks for a box that the model never writes."""

    def answer_of(self, response: str) -> str | None:
        return NumberChecker("boxed").answer_of(response)


def test_validate_alone_says_it_once(tmp_path: Path) -> None:
    options = ["--config", str(CONFIGS / "quickstart.yaml"), *SMALL]
    options = [option for option in options if not option.startswith("--checkpoint")]
    sampling = ["--model.evaluation.samples=0", "--model.evaluation.pass_k=[]"]
    with pytest.warns(UserWarning, match="names an answer") as caught:
        main(
            ["validate", *options, *sampling, f"--run.folder={tmp_path}",
             "--data.task=test_unread.Unboxed", "--trainer.callbacks=null"]
        )  # fmt: skip
    (message,) = [str(one.message) for one in caught if "names an answer" in str(one.message)]
    assert "no response of 10 names an answer. Unboxed found no answer" in message
    assert message.count("\n  to '") == 2
