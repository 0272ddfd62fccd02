"""Ten RL steps of KL-Cov, number by number, against the committed ones.

In float64, where machines differ by so little that they sample the same tokens; the log-probs of a
rollout are kept in float32, so that numbers agree to about 1e-5 (measured without AVX).
After a change that is meant to alter training, ``python tests/test_reference_trajectory.py`` writes
the file anew.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
from runs import fit, metrics

REFERENCE = Path(__file__).parent / "reference" / "kl_cov_10_steps.csv"
ARGUMENTS = (
    "--trainer.precision=64-true",
    "--trainer.max_epochs=10",
    "--trainer.check_val_every_n_epoch=5",
    "--model.loss=configs/loss/kl_cov_tiny.yaml",
    "--checkpoint.every_n_epochs=10",
)


@pytest.mark.timeout(120)
def test_ten_rl_steps_are_the_committed_ones(tmp_path: Path) -> None:
    fit(tmp_path, *ARGUMENTS)
    found = metrics(tmp_path)
    with REFERENCE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = {key for key in found if not key.startswith("time/")}
    assert kept == rows[0].keys()
    assert len(rows) == 11 and len(kept) > 50
    for key in rows[0]:
        expected = [float(row[key]) if row[key] else np.nan for row in rows]
        np.testing.assert_allclose(found[key], expected, rtol=1e-4, atol=1e-6, err_msg=key)


def write() -> None:
    """Run once and keep every column but the times."""
    with tempfile.TemporaryDirectory() as folder:
        fit(Path(folder), *ARGUMENTS)
        with (Path(folder) / "quickstart-seed0" / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
    kept = [key for key in rows[0] if not key.startswith("time/")]
    REFERENCE.parent.mkdir(exist_ok=True)
    with REFERENCE.open("w", newline="") as file:
        writer = csv.DictWriter(file, kept, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    write()
