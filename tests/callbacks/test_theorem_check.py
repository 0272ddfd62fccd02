"""TheoremCheck on real runs: its numbers against the theorems, its file, and its refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runs import metrics

from lit_entropy.cli.main import main
from lit_entropy.functional.agreement import slope_through_origin, squared_correlation
from lit_entropy.tracking.state_table import COLUMNS, STATES_FILE, read_states

CHECK = "--trainer.callbacks=lit_entropy.callbacks.TheoremCheck"


def run(folder: Path, *arguments: str) -> dict[str, np.ndarray]:
    """States of a short run on the table."""
    words = ["--config", "base", "--config", "experiment/table", CHECK, f"--run.folder={folder}"]
    fixed = ["--run.wandb=off", "--run.name=table", "--trainer.limit_val_batches=0"]
    main(["fit", *words, *fixed, "--trainer.max_epochs=3", *arguments])
    return read_states(folder / "table")


def test_every_state_at_every_rl_step(tmp_path: Path) -> None:
    states = run(tmp_path)
    logged = metrics(tmp_path, "table")
    assert tuple(states) == COLUMNS and len(states["step"]) == 3 * 16
    assert np.isnan(states["sampled"]).all()
    training = states["held_out"] == 0
    # the realised change of the logits is the step of Proposition 1, and nothing moves elsewhere
    assert np.allclose(states["lemma1"], np.where(training, states["theorem1"], 0), atol=1e-6)
    assert (states["delta"][~training] == 0).all()
    assert squared_correlation(states["theorem1"][training], states["delta"][training]) > 0.999
    for name in ("delta", "lemma1", "theorem1", "theorem2"):
        for part, prefix in ((training, ""), (~training, "held_out_")):
            expected = states[name][part].reshape(3, 8).mean(1)
            assert np.allclose(logged[f"theorems/{prefix}{name}"], expected)
    # lr 2, one update, each prompt an eighth
    assert np.allclose(logged["theorems/theorem2"], -2 / 8 * logged["theorems/covariance"])
    assert np.allclose(np.diff(logged["theorems/entropy"]), logged["theorems/delta"][:-1])
    assert (np.diff(logged["theorems/reward"]) > 0).all()
    assert "theorems/sampled" not in logged


def test_samples_whose_advantages_are_centred_foretell_their_own_step(tmp_path: Path) -> None:
    """The term that the estimate leaves out is proportional to the mean advantage, which is 0."""
    states = run(
        tmp_path, "--trainer.callbacks.sampled=true", "--model.advantage=DrGRPO",
        "--model.engine=lit_entropy.rollouts.LocalEngine", "--data.group_size=8",
        "--data.minibatch_size=64",
    )  # fmt: skip
    training = states["held_out"] == 0
    pair = states["sampled"][training], states["delta"][training]
    assert squared_correlation(*pair) > 0.999
    assert slope_through_origin(*pair) == pytest.approx(1.0, abs=0.02)
    assert np.allclose(states["sampled"][training], states["lemma1"][training], atol=1e-7)
    assert squared_correlation(states["theorem1"][training], states["delta"][training]) < 0.95
    assert np.isnan(states["sampled"][~training]).all()


def test_a_run_that_was_killed_at_its_end_has_the_file(tmp_path: Path) -> None:
    """Its last checkpoint is written, the file is not: what continues it makes no RL step."""
    run(tmp_path)
    file = tmp_path / "table" / STATES_FILE
    before = file.read_bytes()
    file.unlink()
    run(tmp_path, "--ckpt_path=last")
    assert file.read_bytes() == before


def test_longer_responses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.max_new_tokens=2, and TheoremCheck enumerates"):
        run(tmp_path, "--model.max_new_tokens=2", "--data.group_size=307",
            "--data.minibatch_size=2456")  # fmt: skip


def test_a_run_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="with the callback TheoremCheck"):
        read_states(tmp_path)
    (tmp_path / STATES_FILE).write_text("step,other\n1,2\n")
    with pytest.raises(ValueError, match=r"has the columns \['step', 'other'\]"):
        read_states(tmp_path)
