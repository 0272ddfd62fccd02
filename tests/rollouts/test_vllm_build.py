"""What is checked before vLLM is imported, and that building leaves the process as it was."""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import inspect
import os
import random
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
import yaml
from other_models import LONGROPE, save_model
from runs import CONFIGS

from lit_entropy.policy import Policy
from lit_entropy.rollouts import VLLMEngine, VLLMServerEngine, vllm
from lit_entropy.rollouts.vllm_build import (
    EngineOptions,
    longest_sequence,
    require_vllm,
    unchanged_process,
)

installed = importlib.util.find_spec("vllm") is not None


@pytest.mark.skipif(installed, reason="vllm is installed")
def test_missing_package_is_named_when_the_engine_is_made() -> None:
    with pytest.raises(ValueError, match=r"pip install 'lit_entropy\[vllm\]'"):
        VLLMEngine()


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("0.32.0", True), ("0.32.7+cpu", True), ("0.33.0", False), ("0.3.2", False), ("1.0", False)],
)
def test_untested_versions_are_refused(
    monkeypatch: pytest.MonkeyPatch, version: str, accepted: bool
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"vllm": ["vllm"]})
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    if accepted:
        assert require_vllm() == version
    else:
        with pytest.raises(ValueError, match=rf"vllm {version} is installed, and 0\.32 is"):
            require_vllm()


@pytest.mark.parametrize(("given", "expected"), [(None, 16), (12, 12)])
def test_an_engine_ends_where_longrope_changes(
    tmp_path: Path, given: int | None, expected: int
) -> None:
    policy = Policy(save_model(tmp_path, "phi3", **LONGROPE))  # positions up to 64
    options = EngineOptions("policy", 0.4, None, given, 8, None, True)
    assert longest_sequence(policy, options) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"dtype": "float16"},
        {"memory_fraction": 0.0},
        {"kv_cache_gb": 0.0},
        {"max_sequences": 0},
        {"max_model_len": 0},
        {"gap_tolerance": 0.0},
    ],
)
def test_bad_arguments(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"^model\.engine\.{next(iter(wrong))}="):
        VLLMEngine(**wrong)  # type: ignore[arg-type]


def test_a_block_that_changes_everything_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("REMOVED", "before")
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.delenv("VLLM_KEPT", raising=False)
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING", raising=False)
    torch.set_default_dtype(torch.float64)
    before = dict(os.environ)
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].copy()
    set_num_threads = torch.set_num_threads
    with (
        pytest.raises(RuntimeError, match="of the engine"),
        unchanged_process({"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "RANK": "7"}),
    ):
        assert torch.get_default_dtype() == torch.float32
        assert os.environ["RANK"] == "7"
        torch.manual_seed(5), random.seed(5), numpy.random.seed(5)
        torch.set_num_threads = lambda count: None
        os.environ |= {"LD_PRELOAD": "library", "VLLM_KEPT": "1"}
        del os.environ["REMOVED"]
        raise RuntimeError("of the engine")
    assert dict(os.environ) == before | {"VLLM_KEPT": "1"}
    del os.environ["VLLM_KEPT"]
    assert torch.set_num_threads is set_num_threads
    assert torch.get_default_dtype() == torch.float64
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert (numpy.random.get_state()[1] == states[2]).all()


@pytest.mark.parametrize(
    ("name", "engine"), [("vllm", VLLMEngine), ("vllm_server", VLLMServerEngine)]
)
def test_component_files_state_the_defaults(name: str, engine: type) -> None:
    component = yaml.safe_load((CONFIGS / "engine" / f"{name}.yaml").read_text())
    assert component["class_path"] == f"lit_entropy.rollouts.{engine.__name__}"
    parameters = inspect.signature(engine).parameters.values()
    assert component["init_args"] == {item.name: item.default for item in parameters}


class SleepingLLM:
    """Notes when it is woken, and has vLLM's names for what an engine asks."""

    def __init__(self, events: list[str]) -> None:
        events.append("built")
        self.events = events
        self.model_config = SimpleNamespace(enable_sleep_mode=True)

    def wake_up(self, tags: list[str]) -> None:
        self.events.append(f"woken: {tags[0]}")

    def sleep(self, level: int) -> None:
        self.events.append("asleep")

    def collective_rpc(self, method: str, kwargs: object) -> None:
        self.events.append(method)

    def reset_prefix_cache(self) -> bool:
        return True


def test_the_updates_cached_memory_is_given_back_before_the_engine_takes_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    monkeypatch.setattr(vllm, "require_vllm", lambda: None)
    monkeypatch.setattr(vllm, "quiet_vllm", lambda: None)
    monkeypatch.setattr(vllm, "check_device", lambda device: None)
    monkeypatch.setattr(vllm, "build", lambda policy, options: SleepingLLM(events))
    monkeypatch.setattr(gc, "collect", lambda: events.append("collected"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: events.append("given back"))
    engine, policy = VLLMEngine(), Policy("chain-xs")
    engine.prepare(policy)
    engine._rest()
    engine.prepare(policy)
    engine.prepare(policy)  # awake, with these weights
    back = ["collected", "given back"]
    assert events == [
        *back, "built", "reload_weights", "asleep",
        *back, "woken: weights", "reload_weights", *back, "woken: kv_cache",
    ]  # fmt: skip
