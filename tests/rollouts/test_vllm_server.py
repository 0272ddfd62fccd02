"""The client of a vLLM server against a small real server with a real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_vllm import State, serve
from runs import fit, metrics

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import VLLMServerEngine
from lit_entropy.rollouts.vllm_http import ServerError
from lit_entropy.rollouts.weights import StaleWeightsError, engine_gap, fingerprint
from lit_entropy.types import Completions

PROMPTS = [[5, 6, 7], [5, 6], [9, 4, 8, 3], [5, 6, 7]]
SHORT = [
    "--model.max_new_tokens=6",
    "--data.prompts_per_step=4",
    "--data.minibatch_size=8",
    "--model.evaluation.samples=2",
    "--model.evaluation.pass_k=[2]",
    "--model.optimizer.lr=0.01",
]


@pytest.fixture
def state() -> State:
    return State("chain-xs")


@pytest.fixture
def url(state: State) -> Iterator[str]:
    with serve(state) as url:
        yield url


@pytest.fixture
def policy() -> Policy:
    return Policy("chain-xs")


def generate(engine: VLLMServerEngine, policy: Policy, temperature: float = 1.0) -> Completions:
    ids, samples = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 0, 1])
    return engine.generate(
        policy, PROMPTS, ids, samples, max_new_tokens=12, temperature=temperature, keys=(0, "test")
    )


def move(policy: Policy, by: float = 1e-2) -> None:
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(by * torch.randn_like(parameter))


def made(url: str, folder: Path | None = None, **arguments: object) -> VLLMServerEngine:
    options = {"gap_tolerance": 1e-4, "max_connections": 4} | arguments
    engine = VLLMServerEngine(url, weights_folder=folder and str(folder), **options)  # type: ignore[arg-type]
    engine.setup(None)
    return engine


def test_rollouts_follow_the_weights(
    url: str, state: State, policy: Policy, tmp_path: Path
) -> None:
    engine = made(url, tmp_path)
    for version in (1, 2, 3):
        completions = generate(engine, policy)
        assert engine_gap(policy, PROMPTS, completions, 1.0) < 1e-5
        assert engine.version == version
        assert state.label == f"{fingerprint(policy) % 2**64:016x}"
        again = generate(engine, policy)  # nothing has changed: nothing is sent
        assert engine.version == version and torch.equal(again.tokens_BT, completions.tokens_BT)
        move(policy)
        assert engine_gap(policy, PROMPTS, completions, 1.0) > 1e-4  # stale by now
    assert not list(tmp_path.iterdir())  # no weights are left behind


def test_the_server_is_told_the_whole_path(
    url: str, state: State, policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    generate(made(url, Path("weights")), policy)
    sent = [body["kwargs"] for path, body in state.requests if path == "/collective_rpc"]
    label = f"{fingerprint(policy) % 2**64:016x}"
    assert sent == [{"weights_path": f"{tmp_path}/weights/weights-{label}"}]


def test_requests_ask_for_the_whole_softmax_and_own_seeds(
    url: str, state: State, policy: Policy
) -> None:
    engine = made(url)
    generate(engine, policy)
    generate(engine, policy, 0.0)
    bodies = [body for path, body in state.requests if path == "/v1/completions"]
    sampled, greedy = bodies[:4], bodies[4:]
    assert len({body["seed"] for body in sampled}) == 4
    assert not any("seed" in body for body in greedy)
    for body in bodies:
        assert (body["top_p"], body["top_k"], body["min_p"]) == (1.0, 0, 0.0)
        assert body["repetition_penalty"] == 1.0 and body["model"] == "tiny"
        assert body["stop_token_ids"] == policy.eos_token_ids


def test_fixed_weights_serve_an_evaluation_only(url: str, policy: Policy) -> None:
    engine = made(url)
    generate(engine, policy)
    move(policy, 1e-7)
    with pytest.raises(StaleWeightsError, match=r"set model\.engine\.weights_folder"):
        generate(engine, policy)


def test_a_server_with_other_weights_is_refused(url: str, policy: Policy) -> None:
    move(policy)
    with pytest.raises(StaleWeightsError, match="other weights"):
        generate(made(url), policy)


def test_another_client_is_noticed(url: str, state: State, policy: Policy, tmp_path: Path) -> None:
    engine = made(url, tmp_path)
    generate(engine, policy)
    state.label = "someone else's"
    with pytest.raises(StaleWeightsError, match="this run's alone"):
        generate(engine, policy)


def test_an_end_that_is_not_the_policys_is_refused(url: str, state: State, policy: Policy) -> None:
    state.end_at = 5
    with pytest.raises(ServerError, match="ended a response at token 5"):
        generate(made(url), policy)


def test_weights_are_not_left_behind_by_a_server_that_refuses_them(
    url: str, state: State, policy: Policy, tmp_path: Path
) -> None:
    engine = made(url, tmp_path)
    state.refuses = "/collective_rpc"
    with pytest.raises(ServerError, match="collective_rpc answered 500"):
        generate(engine, policy)
    assert not list(tmp_path.iterdir())
    state.refuses = ""
    assert engine_gap(policy, PROMPTS, generate(engine, policy), 1.0) < 1e-5


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (b"<html>", ServerError, "answered no JSON: b'<html>'"),
        (b'{"choices": []}', ServerError, "return_token_ids"),
        (b'{"choices": [{"text": "4", "logprobs": null}]}', ServerError, "return_token_ids"),
        (b'{"choices": ...', ConnectionError, "did not answer: IncompleteRead"),
    ],
)
def test_answers_that_are_none(
    url: str, state: State, policy: Policy, answer: bytes, error: type[Exception], message: str
) -> None:
    engine = made(url)
    state.says = {"/v1/completions": answer}
    with pytest.raises(error, match=message):
        generate(engine, policy)


def test_bad_servers_are_named_at_setup(url: str, state: State, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^model\.engine\.url=http://127\.0\.0\.1:9.*vllm serve"):
        made("http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"^model\.engine\.model='large': .* serves \['tiny'\]"):
        made(url, model="large")
    with pytest.raises(ValueError, match="is no folder"):
        made(url, tmp_path / "missing")
    for answer in (b"<html>", b"{}", b"[1]", b'{"data": [...'):
        state.says = {"/v1/models": answer}
        with pytest.raises(ValueError, match=r"^model\.engine\.url=http.*start it with: VLLM"):
            made(url)
    state.says = {}
    state.dev_mode = False
    with pytest.raises(ValueError, match="VLLM_SERVER_DEV_MODE=1"):
        made(url, tmp_path)
    assert made(url).model == "tiny"  # enough for an evaluation


@pytest.mark.parametrize(
    "wrong",
    [{"url": "localhost:8000"}, {"timeout": 0.0}, {"gap_tolerance": -1.0}, {"max_connections": 0}],
)
def test_bad_arguments(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"^model\.engine\.{next(iter(wrong))}="):
        VLLMServerEngine(**wrong)  # type: ignore[arg-type]


def test_training_through_a_server(url: str, tmp_path: Path) -> None:
    """Old log-probs and entropies are the policy's; the sampler has its weights at every step."""
    (tmp_path / "weights").mkdir()
    cli = fit(
        tmp_path / "runs",
        "--model.policy.model=chain-xs",
        "--model.engine=lit_entropy.rollouts.VLLMServerEngine",
        f"--model.engine.url={url}",
        f"--model.engine.weights_folder={tmp_path / 'weights'}",
        "--model.engine.gap_tolerance=1e-4",
        "--model.loss=lit_entropy.losses.TruncatedImportance",
        "--model.loss.inner=lit_entropy.losses.KLCov",
        "--model.loss.inner.fraction=0.1",
        *SHORT,
    )
    assert cli.model.engine.version == 3  # row 0, and after each of two RL steps
    columns = metrics(tmp_path / "runs")
    gaps = [value for value in columns["policy/sampler_gap"] if value == value]
    assert len(gaps) == 2 and all(0 <= gap < 1e-5 for gap in gaps)
    entropies = [value for value in columns["val/entropy"] if value == value]
    assert len(entropies) == 2 and all(0.05 < value < 3.05 for value in entropies)  # log 21 = 3.04
    means = [value for value in columns["policy/importance_mean"] if value == value]
    assert means == pytest.approx([1.0, 1.0], abs=1e-5)


def test_a_fit_with_fixed_weights_ends_at_its_second_rollout(url: str, tmp_path: Path) -> None:
    with pytest.raises(StaleWeightsError, match="weights_folder"):
        fit(
            tmp_path,
            "--model.policy.model=chain-xs",
            "--model.engine=lit_entropy.rollouts.VLLMServerEngine",
            f"--model.engine.url={url}",
            *SHORT,
        )
