"""Row 0 of metrics.csv is the untouched base; a validation carries its checkpoint's RL step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import CONFIGS, SMALL, fit, metrics

from lit_entropy.cli.main import main

NAME = "quickstart-seed0"
OPTIONS = [option for option in SMALL if not option.startswith("--checkpoint")]
INITIAL = [
    "--trainer.callbacks=null",
    "--trainer.callbacks+=lit_entropy.callbacks.InitialValidation",
]


def validate(folder: Path, *arguments: str) -> dict[str, Any]:
    """``lit-entropy validate`` in a folder of its own; its only row."""
    config = ["--config", str(CONFIGS / "quickstart.yaml"), f"--run.folder={folder}"]
    main(["validate", *config, *OPTIONS, *arguments])
    values = metrics(folder, f"{NAME}-validate")
    assert all(len(column) == 1 for column in values.values())
    return {key: column[0] for key, column in values.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three RL steps, the last two without a validation row between 0 and 2."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    samples = "--trainer.callbacks+=lit_entropy.callbacks.Samples"
    fit(folder, *INITIAL, samples, "--trainer.max_epochs=3", "--checkpoint.save_top_k=-1")
    return folder


def rows(folder: Path) -> tuple[list[str], dict[str, Any]]:
    history = metrics(folder)
    return [key for key in history if key.startswith("val/")], history


def test_row_0_equals_a_validation_of_the_base(run: Path, tmp_path: Path) -> None:
    base = validate(tmp_path)
    keys, history = rows(run)
    assert base["step"] == 0 and history["step"].tolist() == [0, 1, 2, 3]
    assert {key for key in base if key.startswith("val/")} == set(keys)
    assert {"val/accuracy", "val/avg@8_se", "val/pass@4", "val/entropy", "val/length"} <= set(keys)
    for key in keys:
        np.testing.assert_array_equal(history[key][0], base[key], err_msg=key)
        # validated at RL step 2 alone (check_val_every_n_epoch=2)
        assert np.isnan(history[key][[1, 3]]).all(), key
    moved = [key for key in keys if history[key][2] != history[key][0]]
    assert "val/entropy" in moved  # row 0 is not a copy of a later row
    samples = (run / NAME / "samples" / "step_00000.jsonl").read_text()
    assert samples == (tmp_path / f"{NAME}-validate" / "samples" / "validate.jsonl").read_text()


def test_the_batches_do_not_matter(run: Path, tmp_path: Path) -> None:
    base = validate(tmp_path, "--data.validation_batch=3")
    keys, history = rows(run)
    for key in keys:  # sums of entropies in another order, float32 forwards of another shape
        np.testing.assert_allclose(history[key][0], base[key], rtol=1e-5, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_validate_logs_the_rl_step_of_its_checkpoint(run: Path, tmp_path: Path, steps: int) -> None:
    checkpoint = run / NAME / "checkpoints" / f"rl_step_{steps:05d}.ckpt"
    values = validate(tmp_path, f"--ckpt_path={checkpoint}")
    assert values["step"] == steps
    keys, history = rows(run)
    if steps == 2:  # where the run itself validated
        for key in keys:
            assert values[key] == history[key][2], key


@pytest.mark.parametrize(
    ("limit", "problems"),
    [
        ("1", 4),
        ("0.7", 8),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in (("2", 8), ("1.0", 10))),
    ],
)  # three batches of 4, 4 and 2; a share is rounded down as Lightning does
def test_limited_validation(tmp_path: Path, limit: str, problems: int) -> None:
    options = ["--data.validation_batch=4", f"--trainer.limit_val_batches={limit}"]
    cli = fit(tmp_path / "fit", *INITIAL, *options, "--trainer.max_epochs=1")
    assert len(cli.model.validation_records) == problems
    base = validate(tmp_path, *options)
    keys, history = rows(tmp_path / "fit")
    assert history["step"].tolist() == [0, 1]
    for key in keys:
        assert history[key][0] == base[key], key


def test_no_row_0_without_validation_or_on_a_resume(tmp_path: Path) -> None:
    off = "--trainer.limit_val_batches=0"
    cli = fit(tmp_path, *INITIAL, off, "--trainer.max_epochs=1")
    assert metrics(tmp_path)["step"].tolist() == [1] and cli.model.validation_records == []
    cli = fit(tmp_path, *INITIAL, off, "--trainer.max_epochs=2", "--ckpt_path=last")
    assert metrics(tmp_path)["step"].tolist() == [1, 2]
    resumed = fit(tmp_path, *INITIAL, "--trainer.max_epochs=3", "--ckpt_path=last")
    assert metrics(tmp_path)["step"].tolist() == [1, 2, 3]  # no validation of RL step 2's policy
    assert resumed.model.validation_records == []


def test_a_share_of_no_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"limit_val_batches=0.1 of 1 batches is none"):
        fit(tmp_path, "--trainer.limit_val_batches=0.1")
