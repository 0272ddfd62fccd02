"""A resumed run has the rows that it began with, or does not go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import gsm8k, write_jsonl
from data_runs import chat_model, run

from lit_entropy.errors import CheckpointError
from lit_entropy.tasks.problem_ids import require_distinct
from lit_entropy.tasks.same_problems import problems_state, require_same_problems
from lit_entropy.types import Problem

ROWS = [Problem(0, "1+1", "2"), Problem(1, [{"role": "user", "content": "é"}], "3", 4, "x")]


def test_every_part_and_the_order_count() -> None:
    noted = problems_state(ROWS)
    assert noted["count"] == 2 and len(noted["hash"]) == 32
    require_same_problems(noted, problems_state([*ROWS]))
    require_same_problems(noted, {})  # of a lazy sequence nothing is known
    require_same_problems({}, noted)  # of an earlier version nothing is noted
    assert problems_state(tuple(ROWS)) == {}  # type: ignore[arg-type]
    first, second = ROWS
    for other in (
        [second, first],
        [first, second._replace(answer="4")],
        [first, second._replace(id=7)],
        [first, second._replace(prompt="é")],
    ):
        with pytest.raises(CheckpointError, match="some differ, or have another place"):
            require_same_problems(noted, problems_state(other))
    with pytest.raises(
        CheckpointError, match=r"data\.task: .* \(2 then, 1 now\), .* start another"
    ):
        require_same_problems(noted, problems_state([first]))


def test_held_out_problems_of_one_source_have_their_own_ids() -> None:
    require_distinct(ROWS)
    sources = [Problem(0, "1+1", "2", source=name) for name in "abca"]
    require_distinct(sources[:3])
    with pytest.raises(ValueError) as caught:
        require_distinct(sources)
    assert str(caught.value) == (
        "data.task: validation problems 0 and 3, from 0, of 'a' both have the id 0, which keys "
        "their samples' random numbers and pairs policies in compare: give each its own Problem.id"
    )
    with pytest.raises(ValueError, match="problems 0 and 1, from 0, both have the id 0, which"):
        require_distinct((ROWS[0], ROWS[0]))


def test_a_run_does_not_go_on_with_other_rows(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    held_out = write_jsonl(tmp_path / "validation.jsonl", gsm8k(3, start=100))
    arguments = [
        "--data.task=DatasetTask",
        "--data.task.checker=whole_numbers.WholeNumbers",
        f"--data.task.train={write_jsonl(path, gsm8k(12))}",
        f"--data.task.validation={held_out}",
        "--data.task.chat=false",
        f"--model.policy.model={chat_model(tmp_path / 'model')}",
        "--checkpoint.every_n_epochs=1",
    ]
    run("fit", tmp_path, *arguments, "--trainer.max_epochs=1")
    last = tmp_path / "quickstart-seed0" / "checkpoints" / "last.ckpt"
    more = [*arguments, "--trainer.max_epochs=2", f"--ckpt_path={last}"]
    write_jsonl(path, gsm8k(12, start=1))
    with pytest.raises(CheckpointError, match=r"training problems are not those .* another place"):
        run("fit", tmp_path, *more)
    write_jsonl(path, gsm8k(12))
    assert run("fit", tmp_path, *more).trainer.current_epoch == 2
    # an evaluation reads other rows as it likes
    write_jsonl(path, gsm8k(9))
    run("validate", tmp_path, *arguments, f"--ckpt_path={last}")
