"""Ranks with other held-out problems make the same calls, and a sharded policy stays sharded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs import CONFIGS, metrics
from test_entropies import Blind
from test_evaluation_sets import TwoSources
from tiny_models import build_tiny_model
from two_ranks import arguments, launch, run

from lit_entropy.evaluation.decode import Responder
from lit_entropy.evaluation.evaluation import Evaluation, SetSampling
from lit_entropy.evaluation.ranks import in_problem_order, in_step, most_batches, rank_batches
from lit_entropy.policy import Policy
from lit_entropy.rollouts import RolloutEngine
from lit_entropy.rollouts.weights import fingerprint
from lit_entropy.step.sampler import Sampler
from lit_entropy.tasks.sums import ShortSums
from lit_entropy.types import Completions, Problem

pytestmark = pytest.mark.timeout(400)

NAME = "quickstart-seed0"


def problems(sources: str) -> list[Problem]:
    return [Problem(number, "1+1 ", "2", 0, source) for number, source in enumerate(sources)]


def test_shares_of_ranks_are_laid_in_the_order_of_the_problems() -> None:
    problems = list(range(11))
    assert in_problem_order([problems[rank::3] for rank in range(3)]) == problems
    # a limit of batches leaves the last ranks with fewer, and None is an item like any other
    assert in_problem_order([[0, None, 4], [1]]) == [0, 1, None, 4]
    assert in_problem_order([[], []]) == []


def test_batches_by_hand() -> None:
    found = rank_batches(problems("abcdefg"), 2, 3, 0)
    assert [[p.source for p in batch] for batch in found] == [["a", "c", "e"], ["b", "d", "f"]]
    found = rank_batches(problems("abcdefg"), 2, 3, 1)
    assert [[p.source for p in batch] for batch in found] == [["g"], []]
    own, other = problems("ab"), problems("cdef")
    assert [p.source for p in in_step(own, [own, other])] == ["a", "b", "a", "a"]
    assert [p.source for p in in_step([], [[], other[:1]])] == ["c"]
    assert in_step(own, []) == own and in_step([], []) == []


@pytest.mark.parametrize(("limit", "expected"), [(1.0, 2), (1, 1), (9, 2), (0.5, 1)])
def test_limits_of_the_trainer(limit: float, expected: int) -> None:
    assert most_batches(7, 2, 3, limit) == expected  # 4 problems on the first rank


class Counting(RolloutEngine):
    """Ends every response at once; notes the temperature and the number of rows of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, int]] = []

    def generate(
        self,
        policy: Policy,
        prompts: list[list[int]],
        *ids: Any,
        temperature: float,
        **options: Any,
    ) -> Completions:
        self.calls.append((temperature, len(prompts)))
        zeros_BT = torch.zeros(len(prompts), 1)
        tokens_BT = torch.full((len(prompts), 1), policy.tokenizer.eos_token_id)
        ended_B = torch.zeros(len(prompts), dtype=torch.bool)
        return Completions(tokens_BT, torch.ones_like(tokens_BT) > 0, zeros_BT, zeros_BT, ended_B)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy(build_tiny_model(tmp_path_factory.mktemp("tiny")))


def encode(asked: Sequence[Problem]) -> list[list[int]]:
    return [[1]] * len(asked)


@given(st.text("abc", min_size=3, max_size=12), st.integers(1, 3), st.integers(1, 4))
def test_every_rank_makes_the_same_calls(
    policy: Policy, sources: str, ranks: int, size: int
) -> None:
    """The temperature and the number of rows of each call, whichever problems a rank holds."""
    evaluation = Evaluation(
        samples=0, sets={"a": SetSampling(4, 0.4), "b": SetSampling(2, 0.2)}, pass_k=()
    )
    every, answered, calls = problems(sources), [], []
    for rank in range(ranks):
        engine = Counting()
        responder = Responder(Sampler(policy, engine), ShortSums(), encode)
        for index in range(-(-len(sources) // size)):
            peers = rank_batches(every, ranks, size, index)
            found = evaluation.run(responder, peers[rank], True, peers)
            answered += [record.id for record in found]
            assert len(evaluation.greedy(responder, peers[rank], peers)) == len(peers[rank])
        calls.append(engine.calls)
    assert all(own == calls[0] for own in calls) and calls[0]
    assert sorted(answered) == list(range(len(sources)))


class Collective(Blind):
    """Compares the weights at every call, as vLLM's engines do, and refuses whole ones."""

    def generate(self, policy: Any, *arguments: Any, **options: Any) -> Completions:
        if torch.distributed.is_initialized():
            assert not policy.held_whole
            fingerprint(policy)
        return super().generate(policy, *arguments, **options)


class Thirteen(TwoSources):
    """Problems of ranks in turn: one rank holds one source, the other one the other."""


SETTINGS = [
    "--model.policy.model=chain-xs",
    "--trainer.callbacks=null",
    "--model.engine=test_evaluation_ranks.Collective",
    "--data.task=test_evaluation_ranks.Thirteen",
    "--data.task.validation_size=13",  # 7 and 6 a rank: 3 batches and 2
    "--data.validation_batch=3",
    "--model.evaluation=lit_entropy.evaluation.Evaluation",
    "--model.evaluation.samples=0",
    "--model.evaluation.pass_k=[2]",
    "--model.evaluation.sets={odd: {samples: 3, temperature: 0.6, greedy: false}}",
    "--trainer.max_epochs=1",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.callbacks+=lit_entropy.callbacks.InitialValidation",
]
FSDP2 = ["--config", str(CONFIGS / "strategy" / "fsdp2.yaml"), "--trainer.devices=2"]


@pytest.mark.slow
def test_a_sharded_policy_is_evaluated_without_being_whole(tmp_path: Path) -> None:
    """Validations before and after an RL step, and predictions, as one process makes them."""
    commands = {"fit": SETTINGS, "predict": SETTINGS[:-3]}
    launch(
        tmp_path,
        [arguments(tmp_path / "two", *own, *FSDP2, command=name) for name, own in commands.items()],
    )
    run(arguments(tmp_path / "one", *SETTINGS))
    expected, found = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    keys = [key for key in expected if key.startswith("val/")]
    assert {"val/odd/avg@3", "val/odd/entropy", "val/even/accuracy"} <= set(keys)
    for key in keys:
        torch.testing.assert_close(
            torch.tensor(found[key]), torch.tensor(expected[key]), rtol=1e-3, atol=1e-5, msg=key,
            equal_nan=True,
        )  # fmt: skip
    lines = [
        (tmp_path / "two" / f"{NAME}-predict" / f"predictions{rank}.jsonl").read_text().splitlines()
        for rank in ("", "-rank1")
    ]
    assert list(map(len, lines)) == [7, 6]


class Limited(Counting):
    """Notes the limit of new tokens and the number of rows of each call."""

    def generate(self, policy: Policy, prompts: list[list[int]], *ids: Any, **options: Any) -> Any:
        found = super().generate(policy, prompts, *ids, **options)
        self.calls[-1] = (options["max_new_tokens"], len(prompts))
        return found


def test_greedy_responses_alone_have_the_limit_of_their_set(policy: Policy) -> None:
    """As in a validation: a prediction cut shorter than its set's limit has other rewards."""
    sets = {"b": SetSampling(0, greedy=True, max_new_tokens=3)}
    evaluation, engine = Evaluation(samples=0, sets=sets, pass_k=()), Limited()
    responder = Responder(Sampler(policy, engine, max_new_tokens=7), ShortSums(), encode)
    for answered in (evaluation.run, evaluation.greedy):
        engine.calls.clear()
        arguments = (True,) if answered == evaluation.run else ()
        records = answered(responder, problems("abbab"), *arguments)
        assert engine.calls == [(7, 2), (3, 3)]
        assert [record.id for record in records] == [0, 1, 2, 3, 4]
