"""Names of runs that a terminal would act on, and what killed runs leave in their folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lit_entropy.tracking.run_folder import WRITTEN, claim_run_folder, sweep_run_folder


@pytest.mark.parametrize(
    "name", ["a\nb", "a\rb", "\x1b[2Ja", "a\x00", "a\u202eb", "a\x9b31m", "\ud800"]
)
def test_characters_that_cannot_be_shown_are_refused(tmp_path: Path, name: str) -> None:
    """A line end forges lines of a log, ESC acts on the terminal that lists the runs."""
    with pytest.raises(ValueError, match=r"name='.*\\.*' holds a line end or another") as caught:
        claim_run_folder(tmp_path / "runs", name, resume=False)
    assert str(caught.value).isprintable()
    with pytest.raises(ValueError, match="save_dir='"):
        claim_run_folder(f"{tmp_path}/{name}", "run", resume=False)
    assert not list(tmp_path.iterdir())


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    """In every folder of a run to which files are written beside their names; nothing else is."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = ["notes.tmp", "step_00001.html", f"step_00002.html.tmp-{os.getpid()}", "x.tmp-draft"]
    assert {"checkpoints", "figures", "samples", "tokens-abandoned"} <= {*WRITTEN}
    for folder in (".", *WRITTEN):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in [*kept, f"step_00002.html.tmp-{dead.pid}"]:
            (tmp_path / folder / name).touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f"a.tmp-{dead.pid}").touch()
    sweep_run_folder(tmp_path)
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.tmp-*")}
    expected = {Path(folder) / name for folder in (".", *WRITTEN) for name in kept[2:]}
    assert left == expected | {Path("mine") / f"a.tmp-{dead.pid}"}


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/y"])
def test_a_name_that_is_too_long_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError) as caught:
        claim_run_folder(tmp_path / "runs", name, resume=False)
    assert str(caught.value) == (
        f"name='{'x' * 40}...' has {len(name)} characters, more than the name of a folder may "
        "have: give a shorter one"
    )
