"""Numbers that would fail in the middle of a run are refused at setup, by name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from runs import ALONE, fit

from lit_entropy.functional.checks import require_rates
from lit_entropy.losses import ClipCov, KLCov, PPOClip
from lit_entropy.step.settings import check_lengths, check_trainer, selection_note

COSINE = "--model.lr_scheduler=torch.optim.lr_scheduler.CosineAnnealingLR"
TWO = ["--model.evaluation.samples=2", "--model.evaluation.pass_k=[]"]
ADAM = "--model.optimizer=torch.optim.AdamW"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0 must be at"),
        (["--trainer.check_val_every_n_epoch=0"], "trainer.check_val_every_n_epoch=0 must be at"),
        (["--trainer.gradient_clip_val=.nan"], "trainer.gradient_clip_val=nan must be a finite"),
        (["--trainer.gradient_clip_val=-1"], "trainer.gradient_clip_val=-1 must be a finite"),
        ([COSINE, "--model.lr_scheduler.T_max=0"], r"model\.lr_scheduler\.T_max=0: Cosine"),
        ([ADAM, "--model.optimizer.lr=.inf"], r"model\.optimizer\.lr=inf"),
        (
            [ADAM, "--model.optimizer.lr=1e300"],
            r"model\.optimizer\.lr=1e\+300 is too large: use 1,",
        ),
        ([ADAM, "--model.optimizer.weight_decay=1e300"], r"weight_decay=1e\+300 is too large"),
        (
            ["--model.temperature=1e300"],
            r"model\.temperature=1e\+300 is too large: use 1,000,000 at",
        ),
    ],
)
def test_a_run_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, *ALONE, *arguments)
    assert not list(tmp_path.rglob("metrics.csv"))


@pytest.mark.parametrize("value", ["0", "0.009", "1e-30", ".inf", ".nan", "-1"])
def test_temperatures(tmp_path: Path, value: str) -> None:
    for key in ("model.temperature", "model.evaluation.temperature"):
        with pytest.raises(ValueError, match=r"temperature=.* must be a finite number >= 0.01"):
            fit(tmp_path, *ALONE, f"--{key}={value}", *TWO)


def test_what_is_right_passes() -> None:
    check_trainer(1, None)
    check_trainer(None, 0.0)
    check_trainer(10, 1.0)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=1e-3)
    require_rates("model.optimizer", optimizer.param_groups)
    check_lengths(torch.optim.lr_scheduler.StepLR(optimizer, 1))
    check_lengths(torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0))
    with pytest.raises(ValueError, match="step_size=0: StepLR"):
        check_lengths(torch.optim.lr_scheduler.StepLR(optimizer, 0))
    with pytest.raises(ValueError, match="gradient_clip_val=inf"):
        check_trainer(1, math.inf)


FULL, LOW = [torch.ones(1)], [torch.ones(1), torch.ones(1, dtype=torch.bfloat16)]


@pytest.mark.parametrize(
    ("precision", "weights", "setting", "full"),
    [
        ("bf16-mixed", FULL, "trainer.precision=bf16-mixed", "32-true"),
        ("bf16-true", LOW, "trainer.precision=bf16-true", "32-true"),
        ("32-true", LOW, "model.policy.dtype=bfloat16", "float32"),
    ],
)
@pytest.mark.parametrize("loss", [KLCov(), ClipCov()])
def test_what_holds_of_selections_in_a_low_precision_is_said(
    loss: ClipCov | KLCov, precision: str, weights: list[torch.Tensor], setting: str, full: str
) -> None:
    note = selection_note(loss, precision, weights)
    assert note is not None and "\n" not in note
    assert note.startswith(f"{setting} rounds log-probs")
    assert f"which tokens {type(loss).__name__} selects depends on" in note
    assert note.endswith(f"as it hardly does with {full} (docs/pitfalls.md)")
    assert selection_note(loss, "32-true", FULL) is None
    assert selection_note(PPOClip(), precision, weights) is None
