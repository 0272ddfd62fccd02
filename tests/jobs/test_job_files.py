"""The digest of a run: every configuration file that its arguments or its files name."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs.made_jobs import Made

REGULARIZER = '{class_path: EntropyBonus, init_args: {schedule: "part.yaml"}}'


@pytest.mark.parametrize(
    "settings",
    [
        ("--model.loss", "part.yaml"),
        ("--model.regularizers", "[part.yaml]"),
        ("--model.regularizers+", '["part.yaml"]'),
        ("--model.regularizers", f"[{REGULARIZER}]"),
        ("--model.loss", REGULARIZER),
    ],
)
def test_a_component_file_counts_wherever_an_argument_names_it(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    (tmp_path / "own.yaml").write_text("seed_everything: 1\n")
    run = Made(("--config", "own.yaml", *settings), tmp_path)
    absent = run.digest
    digests = {absent}
    for text in ("coef: 1\n", "coef: 2\n"):
        (tmp_path / "part.yaml").write_text(text)
        digests.add(run.digest)
    assert len(digests) == 3
    (tmp_path / "part.yaml").write_text("# the same\ncoef: 2\n")
    assert run.digest in digests


@pytest.mark.parametrize("name", ["größe.yaml", 'quo"ted.yaml', "損失/a.yml"])
def test_a_component_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "own.yaml").write_text(f"model:\n  loss: '{name}'\n", encoding="utf-8")
    part, digests = tmp_path / name, set()
    part.parent.mkdir(exist_ok=True)
    for text in ("a: 1\n", "a: 2\n"):
        part.write_text(text)
        digests.add(Made(folder=tmp_path).digest)
    assert len(digests) == 2


def test_a_data_file_counts_within_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digests = set()
    for text in ("1", "22"):
        Path("rows.jsonl").write_text(text)
        digests.add(Made(("--data.task.train", '["rows.jsonl"]')).digest)
    assert len(digests) == 2


@pytest.mark.parametrize("word", ["[a, b", "{a: [b}", "[2e-4, null]", "{[a]: b}", "[no.yaml]"])
def test_any_other_list_is_no_file(tmp_path: Path, word: str) -> None:
    plain, listed = (Made(("--model.x", value), tmp_path).digest for value in ("1", word))
    assert plain == listed == Made((), tmp_path).digest
