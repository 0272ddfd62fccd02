"""The cases of the GPU check: on a card where there is one, and all of its code on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from gpu.check import NAMES, Outcome, Report, main, run, table
from gpu.measured import Measured
from gpu.sizes import SIZES

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
#: What starts processes of its own.
APART = "two_ranks"


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", NAMES)
def test_a_case_passes_on_the_card(name: str) -> None:
    outcome = run(torch.device("cuda"), SIZES["full"], [name]).cases[name]
    assert outcome.failures == []


@pytest.mark.slow
def test_every_case_runs_on_the_cpu(tmp_path: Path) -> None:
    names = [name for name in NAMES if name != APART]
    options = ["--device=cpu", "--size=tiny", f"--output={tmp_path}", "--cases", *names]
    assert main(options) == 0
    report = json.loads((tmp_path / "gpu_check.json").read_text())
    cases = report["cases"]
    assert list(cases) == names
    assert cases["logprobs"]["values"]["logprobs_gap"] == 0.0  # the CPU against itself
    assert cases["selections"]["values"]["kl_cov_selected"] >= 1
    assert cases["selections"]["values"]["clip_cov_selected"] >= 1
    assert cases["update"]["values"]["chain-xs_share_of_peak"] > 0
    assert cases["decode"]["values"]["engine_tokens_per_second"] > 0
    assert cases["compiled"]["values"]["gradient_gap"] < 1e-5
    text = (tmp_path / "gpu_check.md").read_text()
    assert all(f"| {name} | ok |" in text for name in names)


@pytest.mark.slow
def test_two_ranks_run_on_the_cpu() -> None:
    outcome = run(torch.device("cpu"), SIZES["tiny"], [APART]).cases[APART]
    assert outcome.failures == [] and outcome.values["backend"] == "gloo"


def test_without_a_card_the_script_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--device=cuda"]) == 2
    assert "finds no GPU here" in capsys.readouterr().err


def test_a_limit_that_is_exceeded_fails_and_a_nan_too() -> None:
    measured = Measured({"gap": 2.0, "other": float("nan"), "fine": 1.0})
    measured.limits = {"gap": 1.0, "other": 1.0, "fine": 1.0}
    assert measured.failures == ["gap=2.0 exceeds 1.0", "other=nan exceeds 1.0"]


def test_a_failure_stands_in_the_table() -> None:
    report = run(torch.device("cpu"), SIZES["tiny"], [])
    bad = Outcome({"gap": 2.0}, ["gap=2.0 exceeds 1.0"], 0.1)
    report = Report(report.machine, report.versions, {"logprobs": bad})
    assert report.failed
    assert "| logprobs | FAILED | gap 2 | 0.1 |" in table(report)
    assert "logprobs: gap=2.0 exceeds 1.0" in table(report)
