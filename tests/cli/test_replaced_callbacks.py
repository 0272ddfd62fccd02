"""A list of callbacks that replaces another says which are gone; one that adds says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import ALONE, CONFIGS, fit

from lit_entropy.cli.main import main
from lit_entropy.cli.replaced_callbacks import replaced_callbacks

BASE = ["--config", str(CONFIGS / "base.yaml")]
ADDS = "trainer.callbacks+ adds to them"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An overlay whose list replaces, one that adds, and one without callbacks."""
    monkeypatch.chdir(tmp_path)
    kept = "[{class_path: lit_entropy.callbacks.EntropyLaw}, lit_entropy.callbacks.Samples]"
    Path("all.yaml").write_text(f"trainer: {{callbacks: {kept}}}\n")
    Path("more.yaml").write_text(f"trainer: {{callbacks+: {kept}}}\n")
    Path("none.yaml").write_text("trainer: {max_epochs: 3}\n")


REST = "InitialValidation, EntropyMonitor, CovarianceMonitor, EntropyDelta"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--config=all.yaml"],
            "trainer.callbacks of all.yaml replaces the callbacks of the files before it, and "
            f"drops {REST}, RLProgressBar, RunSummary: {ADDS}",
        ),
        (
            ["--trainer.callbacks", "EntropyLaw", "--trainer.callbacks+", "my.RunSummary"],
            "--trainer.callbacks EntropyLaw replaces the callbacks of the files before it, and "
            f"drops {REST}, Samples, RLProgressBar: {ADDS}",
        ),
        (["--config=more.yaml"], None),
        (["--config=none.yaml", "--trainer.callbacks+=EntropyLaw"], None),
        (["--trainer.callbacks=null"], None),
        (["--config=all.yaml", "--trainer.callbacks=[]"], None),
        (["--config", str(CONFIGS / "experiment/paper/section4.yaml")], None),
    ],
)
def test_what_is_said(files: None, words: list[str], said: str | None) -> None:
    assert replaced_callbacks([*BASE, *words]) == said


def test_a_list_over_nothing_says_nothing(files: None) -> None:
    assert replaced_callbacks(["--config=all.yaml"]) is None


def test_a_start_says_it_once(
    files: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        fit(tmp_path, "--trainer.callbacks=Samples", ALONE[1], "--trainer.max_epochs=1")
    assert caplog.text.count(f"RLProgressBar: {ADDS}") == 1


def test_a_file_that_adds_keeps_those_before_it(
    files: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["fit", *BASE, "--config=more.yaml", "--print_config"])
    shown = capsys.readouterr().out
    assert shown.count("class_path: lit_entropy.callbacks.") == 9
    assert shown.index("RunSummary") < shown.index("EntropyLaw")
