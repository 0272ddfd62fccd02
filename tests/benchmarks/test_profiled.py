"""The profile of an RL step: kinds of operations, their shares, bars of several labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import profiled
from benchmarks.fitted import CONFIGS
from benchmarks.profiled import KINDS, REST, kind_of, seconds_by_kind, table, write

from lit_entropy.policy.policy import Policy


@pytest.mark.parametrize(
    "operation, kind",
    [
        ("aten::mm", "matrix products"),
        ("aten::addmm", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("aten::copy_", "copies"),
        ("aten::index_select", "copies"),
        ("aten::t", "views and memory"),
        ("aten::tanh", "elementwise and sums"),
        ("aten::mul", "elementwise and sums"),
        ("aten::_fused_adamw_", "optimizer"),
        ("Optimizer.step#AdamW.step", REST),
        ("autograd::engine::evaluate_function: MmBackward0", "autograd"),
        ("autograd::engine::evaluate_function: CompiledFunctionBackward", "compiled"),
        ("Torch-Compiled Region: 0/0", "compiled"),
        ("[pl][profile]run_training_epoch", REST),
    ],
)
def test_kinds(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


def test_what_no_operation_takes_is_pythons() -> None:
    found = seconds_by_kind({"aten::mm": 0.25, "aten::bmm": 0.5, "aten::mul": 0.125, "x": 9.0}, 2.0)
    assert list(found) == [*KINDS, REST]
    assert found["matrix products"] == 0.75 and found["elementwise and sums"] == 0.125
    assert found[REST] == 1.125 and sum(found.values()) == 2.0
    assert seconds_by_kind({"aten::mm": 3.0}, 2.0)[REST] == 0.0


def test_labels_add_up_in_one_folder(tmp_path: Path) -> None:
    first = seconds_by_kind({"aten::mm": 1.0}, 4.0)
    second = seconds_by_kind({"aten::mm": 1.0}, 2.0)
    write(tmp_path, "before", first)
    size = (tmp_path / "profile.png").stat().st_size
    assert size > 1000
    assert write(tmp_path, "after", second) == {"before": first, "after": second}
    assert json.loads((tmp_path / "profile.json").read_text()) == {"before": first, "after": second}
    lines = (tmp_path / "profile.md").read_text().splitlines()
    assert lines == table({"before": first, "after": second}).splitlines()
    assert lines[2].startswith("| before | 4.000 | 0 % | 25 % |") and lines[2].endswith("| 75 % |")
    assert lines[3].startswith("| after | 2.000 | 0 % | 50 % |") and lines[3].endswith("| 50 % |")


def test_the_command_profiles_a_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Products, attention and the optimizer take some of the time, and less than all of it."""
    words = ["--output", str(tmp_path), "--label", "small", "--model", "chain-xs", "--steps", "1"]
    fit = [f"--config={CONFIGS / '../tests/small.yaml'}", "--data.prompts_per_step=2"]
    fit += ["--data.group_size=2", "--data.minibatch_size=4", "--model.max_new_tokens=4"]
    assert profiled.main([*words, "--threads", "1", "--", *fit]) == 0
    assert capsys.readouterr().out.count("| small |") == 1
    (found,) = json.loads((tmp_path / "profile.json").read_text()).values()
    for kind in ("matrix products", "attention", "optimizer", "elementwise and sums", REST):
        assert 0 < found[kind] < sum(found.values()), kind
    assert found["compiled"] == 0
    with pytest.raises(SystemExit):
        profiled.parse([*words[:-1], "0"])
    assert "--steps=0 must be at least 1" in capsys.readouterr().err


def test_a_compiled_profile_is_one_that_fit_takes() -> None:
    """Backends are known by name: ``true`` is none."""
    options = profiled.parse(["--output", "out", "--label", "compiled", "--compile"])
    values = dict(word.split("=", 1) for word in profiled.words_of(options) if "=" in word)
    assert Policy("chain-xs", compile=values["--model.policy.compile"]).compiled
