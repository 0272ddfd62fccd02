"""The name of a run that failed before its first RL step is free again, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from runs import ALONE, fit, metrics

from lit_entropy.tracking.run_folder import claim_run_folder
from lit_entropy.tracking.unfinished import release_run_folder

NAME = "quickstart-seed0"
ROW = "step,val/accuracy\n{step},0.5\n"
#: Files of a run, and what there is once it has failed.
LEFT: dict[str, tuple[dict[str, str], list[str]]] = {
    "nothing": ({}, []),
    "the configuration": ({"config.yaml": "a: 1\n"}, []),
    "empty folders": ({"config.yaml": "a: 1\n", "checkpoints/": "", "wandb/": ""}, []),
    "a sample": (
        {"config.yaml": "a: 1\n", "samples/step_00001.jsonl": "{}\n"},
        ["run.unfinished-1/config.yaml", "run.unfinished-1/samples/step_00001.jsonl"],
    ),
    "row 0": ({"metrics.csv": ROW.format(step=0)}, ["run.unfinished-1/metrics.csv"]),
    "row 1": ({"metrics.csv": ROW.format(step=1)}, ["run/metrics.csv"]),
    "no table": ({"metrics.csv": "x\n1\n"}, ["run/metrics.csv"]),
    "a checkpoint": ({"checkpoints/last.ckpt": "x"}, ["run/checkpoints/last.ckpt"]),
    "notes of others": ({"notes.txt": "x"}, ["run.unfinished-1/notes.txt"]),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_a_failed_start_leaves(tmp_path: Path, case: str) -> None:
    files, left = LEFT[case]
    folder = tmp_path / claim_run_folder(tmp_path, "run", resume=False)
    for name, text in files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(text)
    release_run_folder(folder)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(tmp_path)) for path in found) == left
    assert folder.exists() == any(name.startswith("run/") for name in left)


def test_a_second_failure_has_the_next_number_and_an_evaluation_stays(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "metrics.csv").write_text(ROW.format(step=0))
        release_run_folder(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run.unfinished-1", "run.unfinished-2",
    ]  # fmt: skip
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text(ROW.format(step=0))
    release_run_folder(tmp_path / "run", trains=False)
    release_run_folder(None)
    release_run_folder(tmp_path / "gone")  # a part has removed it
    assert (tmp_path / "run" / "metrics.csv").exists()


def test_the_next_start_has_the_name(tmp_path: Path) -> None:
    """After two failures in the first RL step: of one row 0 is left, of the other nothing."""
    validated = ["--trainer.callbacks=InitialValidation", "--trainer.max_epochs=1"]
    with pytest.raises(FloatingPointError, match="advantages is not finite"):
        fit(tmp_path, *validated, "--model.advantage=broken_parts.InfiniteAdvantage")
    with pytest.raises(FloatingPointError, match="advantages is not finite"):
        fit(tmp_path, *ALONE, "--model.advantage=broken_parts.InfiniteAdvantage")
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.unfinished-1"]
    assert metrics(tmp_path, f"{NAME}.unfinished-1")["step"].tolist() == [0]
    cli = fit(tmp_path, *ALONE, "--trainer.max_epochs=1")
    assert cli.trainer.log_dir == str(tmp_path / NAME)


def test_an_edit_of_a_file_in_place(tmp_path: Path) -> None:
    """The second run is another one, and the configuration of each says what it trained."""
    loss = tmp_path / "loss.yaml"
    for fraction in (0.02, 0.05):
        loss.write_text(f"class_path: KLCov\ninit_args: {{fraction: {fraction}}}\n")
        fit(tmp_path, *ALONE, "--trainer.max_epochs=1", "--model.loss", str(loss))
    for name, fraction in ((NAME, 0.02), (f"{NAME}-2", 0.05)):
        config = yaml.safe_load((tmp_path / name / "config.yaml").read_text())
        assert config["model"]["loss"]["init_args"]["fraction"] == fraction
