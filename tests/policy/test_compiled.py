"""A compiled forward pass: the numbers of the plain one, and what cannot be compiled."""

from __future__ import annotations

import copy

import pytest
import torch
from test_policy_scoring import gradients, ragged
from tiny_models import build_tiny_model

from lit_entropy.policy.compiled import compiled_pass, plain_pass
from lit_entropy.policy.policy import Policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize(
    "backend",
    ["eager", pytest.param("inductor", marks=pytest.mark.slow)],  # a minute to compile
)
def test_gradients_are_those_of_the_plain_pass(folder: str, backend: str) -> None:
    plain, compiled = Policy(folder), Policy(folder, compile=backend)
    for T in (12, 5):  # one graph for any length
        batch = ragged(T=T)
        expected = gradients(plain, batch)
        for policy in (compiled, copy.deepcopy(compiled)):
            found = gradients(policy, batch)
            for key, value in expected.items():
                size = max(1e-3, float(value.abs().max()))
                torch.testing.assert_close(found[key], value, rtol=0, atol=1e-5 * size, msg=key)
    assert compiled.state_dict().keys() == plain.state_dict().keys()


def test_an_unknown_backend_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match=r"^compile='inductr': torch.compile knows .*inductor"):
        Policy(folder, compile="inductr")


def test_without_a_compiler_the_pass_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(UserWarning, match="no C.. compiler is found"):
        assert compiled_pass("inductor") is plain_pass
