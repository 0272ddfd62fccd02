"""The folder of runs: where none can be made, and the threads of each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_entropy.jobs.output import check_output
from lit_entropy.jobs.runner import cores, sole_user, train


@pytest.mark.parametrize("below", ["", "runs/of/mine"])
def test_a_file_is_no_place_for_runs(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    wanted = file / below
    with pytest.raises(ValueError) as error, sole_user(wanted):
        pass
    assert str(error.value) == (
        f"--output {wanted}: {file} is no folder; name another one, or move it away"
    )
    assert file.read_text() == "kept"


def test_what_can_be_made_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path("new/one"), tmp_path, tmp_path / "new" / "one", Path()):
        check_output(folder)
    assert list(tmp_path.iterdir()) == []
    Path("link").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"^--output link/a: link is no folder"):
        check_output(Path("link/a"))


@pytest.mark.parametrize("given, threads", [("3", 3), ("2,1", 2), (" 4 ,2", 4), ("", None)])
def test_threads_of_each_run(
    monkeypatch: pytest.MonkeyPatch, given: str, threads: int | None
) -> None:
    from lit_entropy.jobs.runner import _threads

    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert _threads(1) == (threads or cores())
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert _threads(1) == cores() and _threads(10**6) == 1


@pytest.mark.parametrize("given", ["two", "0", "-1", "1.5", "two,1"])
def test_threads_that_are_no_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    with pytest.raises(ValueError) as error:
        train(print, [], tmp_path / "out", 1)
    assert str(error.value) == (
        f"OMP_NUM_THREADS={given}: set it to 1 or more threads, or unset it"
    )
    assert not (tmp_path / "out").exists()
