"""The cases of the GPU check: on a card where there is one, and all of its code on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks.machine import Machine
from gpu import parity, policies
from gpu.check import NAMES, Outcome, Report, main, noted, run, table
from gpu.fits import MODES
from gpu.measured import Measured
from gpu.sizes import SIZES

from lit_entropy.policy.policy import Policy
from lit_entropy.types import PolicyOutput

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
    assert all(cases["fit"]["values"][f"{mode}_grad_norm"] > 0 for mode in MODES)
    text = (tmp_path / "gpu_check.md").read_text()
    assert all(f"| {name} | ok |" in text for name in names)


def test_a_training_step_allows_for_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose log-probs are off by a rounding, by 5e-7 nats, passes."""
    tiny = SIZES["tiny"]
    given = parity._selected(policies.sampled(tiny), tiny)
    draw, built = torch.Generator().manual_seed(0), []

    def rounded(policy: Policy, inputs: object, output: PolicyOutput) -> PolicyOutput:
        noise_BT = 5e-7 * torch.randn(output.logprobs_BT.shape, generator=draw)
        return output._replace(logprobs_BT=output.logprobs_BT + noise_BT)

    def policy_on(*arguments: object) -> Policy:
        policy = policies.policy_on(*arguments)  # type: ignore[arg-type]
        built.append(policy)
        if len(built) == 2:  # the first one is the CPU's
            policy.register_forward_hook(rounded)
        return policy

    monkeypatch.setattr(parity, "policy_on", policy_on)
    monkeypatch.setattr(parity, "_selected", lambda *_: given)
    measured = parity.training_step(torch.device("cpu"), tiny)
    assert len(built) == 2 and float(measured.values["loss_gap"]) > 0
    assert measured.failures == []


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


def test_a_version_that_is_too_old_is_noted() -> None:
    assert noted("torch", "2.13.0+cu130") == "2.13.0+cu130"
    assert noted("torch", "2.14.0.dev20261001+cu130") == "2.14.0.dev20261001+cu130"
    assert noted("torch", "2.8.0+cu128") == "2.8.0+cu128, not >=2.13 of setup.cfg"
    assert noted("transformers", "4.57.1") == "4.57.1, not >=5.5 of setup.cfg"


def test_the_named_card_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.device] = []

    def measured(device: torch.device, side: int, copied: int) -> Machine:
        seen.append(device)
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        return Machine("", 0, {}, 0.0)

    cudnn = torch.backends.cuda.cudnn_sdp_enabled()
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    monkeypatch.setattr("gpu.check.measure_machine", measured)
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        run(torch.device("cuda:1"), SIZES["tiny"], [])
    finally:
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
    assert seen == [torch.device("cuda:1")] * 2  # before anything is timed
