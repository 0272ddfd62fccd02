"""Numbers that would fail in the middle of a run are refused at setup, by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from runs import ALONE, fit

from lit_entropy.advantages import GRPO
from lit_entropy.functional.checks import require_rates
from lit_entropy.losses import ClipCov, KLCov, PPOClip
from lit_entropy.module import EntropyModule
from lit_entropy.policy.policy import Policy
from lit_entropy.regularizers import ReferenceKL
from lit_entropy.step.settings import (
    check_lengths,
    check_trainer,
    compiled_note,
    measurement_note,
    selection_note,
)

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


@pytest.mark.parametrize(
    ("precision", "weights", "autocast_stays", "said"),
    [
        ("bf16-true", FULL, False, "trainer.precision=bf16-true"),
        ("32-true", LOW, False, "model.policy.dtype=bfloat16"),
        ("bf16-mixed", LOW, False, "model.policy.dtype=bfloat16"),
        ("bf16-mixed", FULL, True, "trainer.precision=bf16-mixed"),
        ("bf16-mixed", FULL, False, None),
        ("32-true", FULL, True, None),
    ],
)
def test_what_holds_of_changes_of_entropy_in_a_low_precision_is_said(
    precision: str, weights: list[torch.Tensor], autocast_stays: bool, said: str | None
) -> None:
    note = measurement_note("EntropyDelta", precision, weights, autocast_stays)
    if said is None:
        assert note is None
        return
    assert note is not None and "\n" not in note
    assert note.startswith(f"{said} rounds the logits whose differences EntropyDelta takes")
    full = "float32" if "dtype" in said else "32-true"
    assert f"set {full} for exact changes" in note


@pytest.mark.parametrize(("precision", "said"), [("bf16-true", True), ("bf16-mixed", False)])
def test_a_run_says_where_it_measures_rounding(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, precision: str, said: bool
) -> None:
    options = ["--trainer.callbacks=EntropyDelta", f"--trainer.precision={precision}"]
    fit(tmp_path, *ALONE, *options, "--trainer.max_epochs=0")
    assert ("differences EntropyDelta takes" in caplog.text) == said


def test_what_a_compiled_policy_does_to_a_kink_is_said() -> None:
    note = compiled_note([KLCov()], True)
    assert note is not None and "\n" not in note and "kl_estimator abs of KLCov" in note
    note = compiled_note([PPOClip(), ReferenceKL(estimator="abs")], True)
    assert note is not None and "the estimator abs of ReferenceKL" in note
    assert compiled_note([KLCov()], False) is None
    assert compiled_note([KLCov(kl_estimator="k2"), ReferenceKL()], True) is None


def test_a_run_says_what_compiling_does_to_its_penalty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loss = ["--model.loss=KLCov", "--model.loss.fraction=0.02"]
    for backend in ("null", "eager"):
        caplog.clear()
        options = [f"--model.policy.compile={backend}", "--trainer.max_epochs=0"]
        fit(tmp_path / backend, *ALONE, *loss, *options)
        assert ("kl_estimator abs of KLCov" in caplog.text) == (backend == "eager")


@pytest.fixture
def on_a_card() -> Iterator[EntropyModule]:
    """A module whose trainer has a GPU, as far as its setup looks; flags of torch are put back."""
    module = EntropyModule(Policy("chain-xs"), PPOClip(), GRPO())
    module._trainer = SimpleNamespace(  # type: ignore[assignment]
        strategy=SimpleNamespace(root_device=torch.device("cuda")),
        precision_plugin=SimpleNamespace(precision="bf16-mixed"),
        world_size=1,
    )
    cudnn, mode = torch.backends.cuda.cudnn_sdp_enabled(), torch.get_deterministic_debug_mode()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield module
    torch.backends.cuda.enable_cudnn_sdp(cudnn)
    torch.set_deterministic_debug_mode(mode)


def test_attention_on_a_card_is_not_that_of_cudnn(on_a_card: EntropyModule) -> None:
    on_a_card.setup("validate")
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_deterministic_algorithms_on_a_card_may_only_warn(on_a_card: EntropyModule) -> None:
    torch.set_deterministic_debug_mode("error")
    with pytest.raises(ValueError, match=r"^trainer\.deterministic=true: .* set it to warn"):
        on_a_card.setup("validate")
    torch.set_deterministic_debug_mode("warn")
    on_a_card.setup("validate")
