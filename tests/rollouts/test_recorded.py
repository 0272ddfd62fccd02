"""Recorded decoding steps are the model's own, wherever they are repeated."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from continued import continued, double, exact_norms
from host_syncs import HostSyncs
from other_models import save_model
from replayed import Replays
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from lit_entropy.policy.lora import LoraOptions
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine, cached, local, recorded
from lit_entropy.rollouts.cached import ModelContinuation, check_cache, prefill
from lit_entropy.rollouts.cuda_graphs import CudaGraphs
from lit_entropy.rollouts.recorded import RecordedContinuation, Step, can_be_recorded
from lit_entropy.rollouts.spare import SpareLayer
from lit_entropy.types import Completions

GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4}


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("llama", {}),
        ("llama", GROUPED),
        ("qwen2", GROUPED),
        ("qwen3", GROUPED),
        ("gpt2", {"n_embd": 16, "n_head": 2, "n_layer": 2}),
    ],
)
@pytest.mark.parametrize("room", [1, 64])
def test_it_is_the_models_own_pass(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_type: str,
    config: dict[str, Any],
    room: int,
) -> None:
    """Rows are dropped and repeated before tokens 4 and 9; a room of 5 + 1 + 1 columns grows."""
    exact_norms(monkeypatch, LlamaRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)
    monkeypatch.setattr(recorded, "ROOM", room)
    policy, replays = double(tmp_path, model_type, **config), Replays()
    found = continued(policy, RecordedContinuation, replays)
    monkeypatch.setattr(cached, "can_be_recorded", lambda policy: False)
    monkeypatch.setattr("lit_entropy.rollouts.llama.is_plain_llama", lambda model: False)
    expected = continued(policy, ModelContinuation, replays)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    # twelve tokens: three spans of rows of a wide room, each with one step as it stands
    taken = replays.recordings + replays.repetitions
    assert (replays.recordings, taken) == (3, 9) if room == 64 else replays.recordings >= 3


def test_a_repeated_step_waits_for_nothing(tmp_path: Path) -> None:
    """No operation of a repetition is the host's: neither a read nor a new shape."""
    policy = Policy(save_model(tmp_path, "llama")).eval()
    with torch.no_grad():
        _, rows = prefill(policy, [[3, 4, 5], [6]], 20, Replays())
        places = set()
        with HostSyncs() as syncs:
            for step in range(12):
                places.add(rows.next_logits(torch.tensor([7, 8]) + step % 2).data_ptr())
    assert syncs.total == 0
    assert len(places) == 2  # of the step as it stands, and of the recorded one


def test_its_memory_is_freed_with_it(tmp_path: Path) -> None:
    """Keys and values of a GPU must not wait for Python to look for circles."""
    policy = Policy(save_model(tmp_path, "llama")).eval()
    with torch.no_grad():
        _, rows = prefill(policy, [[3, 4, 5], [6]], 20, Replays())
        for _ in range(3):
            rows.next_logits(torch.tensor([7, 8]))
    assert isinstance(rows, RecordedContinuation)
    keys = weakref.ref(rows.step.cache.layers[0].keys)
    gc.disable()
    try:
        del rows
        assert keys() is None
    finally:
        gc.enable()


def generate(policy: Policy, engine: LocalEngine) -> Completions:
    rows = torch.arange(64)
    prompts = [[3 + row // 8 + place for place in range(2 + row // 16)] for row in range(64)]
    return engine.generate(
        policy, prompts, rows // 8, rows % 8, max_new_tokens=60, temperature=1.0, keys=(1,)
    )


def test_the_same_tokens_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, replays = Policy("chain-s"), Replays()
    expected = generate(policy, LocalEngine())
    monkeypatch.setattr(LocalEngine, "_record", lambda *_: replays)
    found = generate(policy, LocalEngine(check_every=4))
    assert replays.recordings > 2 and replays.repetitions > 20
    assert not expected.truncated_B.all()  # rows end at different tokens, and are dropped
    assert torch.equal(found.tokens_BT, expected.tokens_BT)
    assert torch.equal(found.truncated_B, expected.truncated_B)
    torch.testing.assert_close(found.logprobs_BT, expected.logprobs_BT, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("with_adapters", [False, True])
def test_under_autocast(tmp_path: Path, with_adapters: bool) -> None:
    """The dtype of the products is settled when a step is recorded."""
    if with_adapters:
        pytest.importorskip("peft")
    lora = LoraOptions() if with_adapters else None
    policy = Policy(save_model(tmp_path, "qwen2", **GROUPED), lora=lora).eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = continued(policy, RecordedContinuation, Replays())
        expected = continued(policy, ModelContinuation)
        check_cache(policy, Replays())  # as the first rollout on a GPU does
        with pytest.raises(ValueError, match="gives other log-probs"):
            check_cache(policy, frozen)
    # bfloat16 has eight bits, and attention over more columns adds up in another order
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def frozen(step: Step) -> Step:
    """A recording that is never taken again."""
    logits = step()
    return lambda: logits


def test_a_recorder_that_is_wrong_is_refused(tmp_path: Path) -> None:
    policy = Policy(save_model(tmp_path, "llama")).eval()
    check_cache(policy, Replays())
    with pytest.raises(ValueError, match=r"by recorded steps.*graphs=false"):
        check_cache(policy, frozen)


def test_a_step_that_reads_a_value_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(save_model(tmp_path, "llama")).eval()
    forward = policy.model.forward

    def reading(**inputs: Any) -> Any:
        assert int(inputs["input_ids"].sum()) >= 0
        return forward(**inputs)

    monkeypatch.setattr(policy.model, "forward", reading)
    check_cache(policy)
    with pytest.raises(ValueError, match=r"not permitted when stream is.*graphs=false"):
        check_cache(policy, Replays())


def test_which_models(tmp_path: Path) -> None:
    for model_type, recordable in (("llama", True), ("mistral", True), ("bloom", False)):
        policy = Policy(save_model(tmp_path / model_type, model_type))
        assert can_be_recorded(policy) is recordable
    policy = Policy(save_model(tmp_path / "llama", "llama"))
    policy.model.config._attn_implementation = "eager"
    assert not can_be_recorded(policy)


def test_windows_and_other_caches_are_taken_as_they_come(tmp_path: Path) -> None:
    policy = Policy(save_model(tmp_path, "mistral", sliding_window=4)).eval()
    with torch.no_grad():
        rows = prefill(policy, [[3, 4]], 3, Replays())[1]
    assert type(rows) is ModelContinuation
    assert not any(type(layer) is SpareLayer for layer in rows.cache.layers)


class OnGPU:
    """A policy's device, as the engine asks for it."""

    device = torch.device("cuda")


def test_the_engine_records_compiled_policies_on_a_gpu_and_checks_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(save_model(tmp_path, "llama"))
    checked: list[Any] = []
    monkeypatch.setattr(local, "CudaGraphs", Replays)
    monkeypatch.setattr(local, "can_be_recorded", lambda policy: True)
    monkeypatch.setattr(local, "check_cache", lambda policy, record: checked.append(record))
    engine, compiled = LocalEngine(), True
    for model, wanted in ((policy.model, False), (OnGPU(), True)):
        for compiled in (False, True):
            asked: Any = type("Asked", (), {"model": model, "compiled": compiled})
            assert (engine._record(asked) is not None) is (wanted and compiled)
            assert LocalEngine(graphs=False)._record(asked) is None
    assert len(checked) == 1 and engine._record(asked) is checked[0]
    assert len(checked) == 1


class FakeStream:
    """Takes what a stream of torch takes."""

    def wait_stream(self, other: FakeStream) -> None:
        assert isinstance(other, FakeStream)


class FakeGraph:
    """Counts its launches."""

    launches = 0

    def replay(self) -> None:
        self.launches += 1


def test_calls_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no GPU is: a step as it stands, one recorded, the graph for each but the first."""
    made, real = list[FakeGraph](), inspect.signature(torch.cuda.graph.__init__)

    @contextmanager
    def graph(*arguments: Any, **options: Any) -> Iterator[None]:
        bound = real.bind(None, *arguments, **options).arguments
        assert bound["capture_error_mode"] == "thread_local" and bound["stream"] is graphs.stream
        made.append(bound["cuda_graph"])
        yield

    @contextmanager
    def stream(used: FakeStream) -> Iterator[None]:
        assert used is graphs.stream
        yield

    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(Tensor, "record_stream", lambda self, stream: None)
    graphs, taken = CudaGraphs(), list[int]()

    def step() -> Tensor:
        taken.append(len(taken))
        return torch.tensor([len(taken)])

    repeat = graphs(step)
    assert [int(repeat()) for _ in range(4)] == [1, 2, 2, 2]
    assert taken == [0, 1] and [graph.launches for graph in made] == [3]
