"""What a run wrote after the checkpoint of a resume lies elsewhere before it is made again."""

from __future__ import annotations

from pathlib import Path

from lit_entropy.tracking.abandoned_files import set_files_aside


def write(folder: Path, names: list[str], text: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{text} {name}")


def files(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


KEPT = ["samples/step_00002.jsonl", "samples/validate.jsonl", "tokens/step_00001.html"]
KEPT += ["samples/mine.jsonl", "checkpoints/rl_step_00003.ckpt", "config.yaml"]
LATER = ["samples/step_00003.jsonl", "samples/step_00003-2.jsonl", "tokens/step_10000.html"]
WHOLE = ["theorem_states.csv", "law.json", "figures/summary.png", "figures/summary.pdf"]
LAID_ASIDE = ["samples-abandoned/step_00003-2.jsonl", "samples-abandoned/step_00003.jsonl",
              "tokens-abandoned/step_10000.html"]  # fmt: skip


def test_files_of_later_steps_are_set_aside(tmp_path: Path) -> None:
    write(tmp_path, [*KEPT, *LATER, *WHOLE], "first")
    moved = set_files_aside(tmp_path, 2, ended=False)
    assert [str(path.relative_to(tmp_path)) for path in moved] == LAID_ASIDE
    now = files(tmp_path)
    assert sorted(now) == sorted([*KEPT, *WHOLE, *LAID_ASIDE])
    assert now["samples-abandoned/step_00003-2.jsonl"] == "first samples/step_00003-2.jsonl"
    assert set_files_aside(tmp_path, 2, ended=False) == [] and files(tmp_path) == now


def test_what_is_aside_already_stays(tmp_path: Path) -> None:
    for text in ("first", "second", "second"):
        write(tmp_path, LATER[2:], text)
        set_files_aside(tmp_path, 2, ended=True)
    assert files(tmp_path) == {
        "tokens-abandoned/step_10000.html": "first tokens/step_10000.html",
        "tokens-abandoned/step_10000-2.html": "second tokens/step_10000.html",
    }


def test_files_about_the_whole_run_where_it_went_on(tmp_path: Path) -> None:
    write(tmp_path, WHOLE, "first")
    set_files_aside(tmp_path, 2, ended=True)
    assert files(tmp_path) == {
        "figures/summary-abandoned.pdf": "first figures/summary.pdf",
        "figures/summary-abandoned.png": "first figures/summary.png",
        "law-abandoned.json": "first law.json",
        "theorem_states-abandoned.csv": "first theorem_states.csv",
    }
