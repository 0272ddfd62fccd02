"""A file that is named and not there: the line says so, with the names of what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import CONFIGS

from lit_entropy.cli.main import main
from lit_entropy.closest import files_near, no_such_file
from lit_entropy.evaluation.report.files import read_report
from lit_entropy.sweep.file import read_file
from lit_entropy.tasks.records import DataFile, read_rows
from lit_entropy.tracking.metrics_file import read_metrics


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder with files of some kinds, and an experiment in a folder of its own."""
    for name in ("my_qa.yaml", "rows.jsonl", "e/e.yaml", "e/parts/loss.yml", "runs/kl/a", "o.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "e" / "e.yaml").write_text("model: {loss: parts/los.yml}\n")
    (tmp_path / "e" / "s.yaml").write_text("model: {loss: loss/kl_cov.yaml}\n")
    (tmp_path / "o.yaml").write_text("trainer: {callbacks: [mine.yaml]}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


NONE = ": no such file; give an existing path"
MISSING = [
    (["--data.task", "my_qaa.yaml"], "data.task=my_qaa.yaml: no such file; did you mean my_qa."),
    (["--model.evaluation=m/my_qa.yaml"], f"model.evaluation=m/my_qa.yaml{NONE}"),
    (["--trainer.callbacks+", "mine.yaml"], f"trainer.callbacks=mine.yaml{NONE}"),
    (["--config", "o.yaml"], f"trainer.callbacks=mine.yaml{NONE}"),
    (["--config", "e/e.yaml"], "loss=parts/los.yml: no such file; did you mean parts/loss.yml?"),
    (["--config", "e/s.yaml"], f"no such file; the shipped one is {CONFIGS}/loss/kl_cov.yaml"),
    (["--model.loss=loss/kl_covv.yaml"], "kl_covv.yaml: neither a file nor a shipped"),
    (["--trainer.strategy=my_qaa.yaml"], "trainer.strategy=my_qaa.yaml: no such file; did you"),
    (["--config", "my_qaa.yaml"], "shipped configuration; did you mean my_qa.yaml?"),
    (["--model", "my_qaa.yaml"], "model=my_qaa.yaml: no such file; did you mean my_qa.yaml? (or"),
]


@pytest.mark.parametrize(("words", "message"), MISSING, ids=[" ".join(w) for w, _ in MISSING])
def test_a_file_that_is_not_there(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((SystemExit, ValueError)) as end:
        main(["fit", "--config", "quickstart", *words])
    said = capsys.readouterr().err
    assert message in (said or str(end.value)) and len(said.splitlines()) <= 2


def test_files_near() -> None:
    assert files_near("my_qaa.yaml") == "; did you mean my_qa.yaml?"
    assert files_near("e/parts/loss.yaml") == "; did you mean e/parts/loss.yml?"  # another ending
    assert files_near("os.yaml") == ""  # a common ending makes no two names alike
    assert no_such_file("none/x.yaml") == "no such file; give an existing path"
    assert no_such_file("runs/kll/") == "no such file; did you mean runs/kl?"


def test_other_readers_say_what_is_near() -> None:
    for call in (
        lambda: read_rows(DataFile("rowss.jsonl"), "data.task.train"),
        lambda: read_file(Path("my_qaa.yaml")),
        lambda: read_metrics("runs/kll"),
        lambda: read_report("runs/kll"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=r"did you mean .*(s|kl|qa)"):
            call()
