"""The record of a finished run: known by its settings whatever the environment hides of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jobs.made_jobs import Made

from lit_entropy.jobs.record import read_record, record_of
from lit_entropy.jobs.runner import is_done

LR = "--model.optimizer.lr"


def finish(run: Made, runs: Path, **changes: object) -> Path:
    """The record of a run as training writes it; with None for a field that it lacks."""
    values = json.loads(record_of(run).as_json()) | changes
    path = runs / run.name / "done.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return path


def test_a_hidden_setting_is_told_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LR", "2e-4")
    run = Made((LR, "2e-4"))
    path = finish(run, tmp_path)
    assert json.loads(path.read_text())["settings"] == [LR, "<redacted>"]
    assert is_done(run, tmp_path)
    monkeypatch.setenv("LR", "4e-4")
    with pytest.raises(ValueError) as error:
        is_done(Made((LR, "4e-4")), tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'own'} was trained with other settings: name another --output, or move it.\n"
        f"  there:  {LR} <redacted>\n  wanted: {LR} <redacted>\n"
        "  What differs is hidden as <redacted>."
    )
    assert is_done(run, tmp_path)  # in an environment that hides something else


def test_a_run_is_known_wherever_the_environment_hides_a_word_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Made(("--model.loss", "policy_gradient"))
    finish(run, tmp_path / "new")
    old = finish(run, tmp_path / "old", settings_sha256=None)
    assert json.loads(old.read_text()) == {"settings": [*run.settings], "digest": run.digest}
    monkeypatch.setenv("METHOD", "policy_gradient")
    assert is_done(run, tmp_path / "new") and is_done(run, tmp_path / "old")


def test_an_older_record_that_hides_a_setting_is_refused(tmp_path: Path) -> None:
    run = Made((LR, "4e-4"))
    path = finish(run, tmp_path, settings=[LR, "<redacted>"], settings_sha256=None)
    with pytest.raises(ValueError) as error:
        is_done(run, tmp_path)
    assert str(error.value) == (
        f"{path} has <redacted> in place of a setting, so whether own was trained with those that "
        f"are wanted cannot be told: name another --output, or move {path.parent} away to train "
        "it again"
    )
    assert not read_record(path.read_bytes(), "", "").has_settings_of(run)


@pytest.mark.parametrize(
    "content, reason",
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "settings=None, no words"),
        ("[]", "settings=None, no words"),
        ('{"settings": [1]}', "settings=[1], no words"),
        ('{"settings": []}', "digest=None, no text"),
        ('{"settings": [], "digest": "", "settings_sha256": 1}', "settings_sha256=1, no text"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path: Path, content: str, reason: str) -> None:
    path = finish(Made(), tmp_path)
    path.write_text(content)
    with pytest.raises(ValueError) as error:
        is_done(Made(), tmp_path)
    assert str(error.value) == (
        f"{path} is damaged ({reason}): move {path.parent} away to train it again"
    )


def test_a_record_that_is_nested_without_end_is_damaged() -> None:
    with pytest.raises(ValueError, match=r"^here is damaged \(.*recursion.*\): do this$"):
        read_record(b"[" * 100_000, "here", "do this")
