"""Strategy discovery: its world, its draws of success, its rewards, its bad settings."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_entropy.tasks import StrategyDiscovery
from lit_entropy.tasks.discovery import VALIDATION_ID, WORKING, context_of, context_prompt
from lit_entropy.tasks.discovery_world import LETTERS, Odds, World, prior, succeeds
from lit_entropy.types import Problem


@given(
    st.integers(1, 100), st.integers(3, 12), st.integers(0, 5), st.booleans()
)  # fmt: skip
def test_no_strategy_is_favoured_and_none_is_its_own_decoy(
    contexts: int, strategies: int, seed: int, shared: bool
) -> None:
    true, decoy = World(contexts, strategies, seed, shared).assignment()
    assert len(true) == len(decoy) == contexts
    assert all(a != b for a, b in zip(true, decoy, strict=True))
    if shared:
        assert all(true[s] == true[s % 10] and decoy[s] == decoy[s % 10] for s in range(contexts))
        return
    for chosen in (true, decoy):
        counts = Counter(chosen)
        assert max(counts.values()) - min(counts[k] for k in range(strategies)) <= 1


def test_other_worlds_differ() -> None:
    assert World(seed=0).assignment() == World(seed=0).assignment()
    assert World(seed=0).assignment() != World(seed=1).assignment()


def test_the_prior_of_a_base() -> None:
    """Rows by hand: .6 for the decoy, .02 for the true one, .38 over ten others."""
    world = World()
    table_SK, (true, decoy) = prior(world, 0.02, 0.6), world.assignment()
    for context in range(40):
        row = table_SK[context]
        assert row[true[context]] == 0.02 and row[decoy[context]] == 0.6
        assert row.sum().item() == pytest.approx(1, abs=1e-12)
        assert sorted(row.tolist())[1:-1] == pytest.approx([0.038] * 10)
    with pytest.raises(ValueError, match=r"decoy is 0.6: with true=0.5 they add up"):
        prior(world, 0.5, 0.6)


def test_success_is_drawn_once_a_problem_with_the_odds() -> None:
    """20,000 problems of one context: shares within four standard errors; the true one always."""
    world, count = World(), 20_000
    odds_SK = Odds(1.0, 0.5, 0.1).table(world)
    rows = succeeds(odds_SK, [7] * count, torch.arange(count), 0)
    shares = torch.tensor(rows).double().mean(0)
    error_K = (odds_SK[7] * (1 - odds_SK[7]) / count).sqrt()
    assert ((shares - odds_SK[7]).abs() <= 4 * error_K).all()
    again = succeeds(odds_SK, [7] * 3, torch.tensor([5, 9, 5]), 0)
    assert again == [rows[5], rows[9], rows[5]]


def test_problems_are_functions_of_seed_and_index() -> None:
    task = StrategyDiscovery(validation_size=80, train_size=500)
    problems = task.train_problems()
    assert len(problems) == 500 and list(problems[3:6]) == [problems[k] for k in (3, 4, 5)]
    assert problems[-1] == problems[499]
    with pytest.raises(IndexError, match="problem 500 of 500"):
        problems[500]
    contexts = [context_of(str(problem.prompt)) for problem in problems[:]]
    assert set(contexts) == set(range(40))
    assert StrategyDiscovery(seed=1).train_problems()[0] != problems[0]
    held_out = task.validation_problems()
    assert [problem.id for problem in held_out] == [VALIDATION_ID + k for k in range(80)]
    assert [context_of(str(problem.prompt)) for problem in held_out] == [*range(40), *range(40)]
    # two problems of one context: the same prompt, draws of success of their own
    answers = {(p.prompt, p.answer) for p in held_out}
    assert len(answers) > 60 and len({prompt for prompt, _ in answers}) == 40


def test_rewards_of_fixed_working() -> None:
    task, problem = StrategyDiscovery(), Problem(0, "17 ", "ce")
    assert task.reward(problem, "c" + WORKING) == 1.0 and task.reward(problem, "e" + WORKING) == 1.0
    for response in (
        "a" + WORKING,
        "c",
        WORKING,
        "c" + WORKING + "1",
        "cc" + WORKING,
        "",
        "C" + WORKING,
    ):
        assert task.reward(problem, response) == 0.0
    assert task.answer_of("a" + WORKING) == "a" and task.answer_of("a1;2") is None
    assert StrategyDiscovery(strategies=3).answer_of("d" + WORKING) is None


def test_the_true_strategy_always_succeeds() -> None:
    task = StrategyDiscovery()
    true, _ = task.world.assignment()
    for problem in task.train_problems()[:200]:
        right = LETTERS[true[context_of(str(problem.prompt))]]
        assert task.reward(problem, right + WORKING) == 1.0


def test_arithmetic_must_come_out_right_too() -> None:
    task = StrategyDiscovery(working="arithmetic", validation_size=400)
    problem = Problem(0, "17:7+5*3 ", "ce=6", 2)
    assert task.reward(problem, "c7+5=2;2*3=6;#6") == 1.0
    assert task.reward(problem, "c#6") == 1.0
    assert task.reward(problem, "c7+5=2;2*3=6;#5") == 0.0  # skill
    assert task.reward(problem, "a7+5=2;2*3=6;#6") == 0.0  # exploration
    held_out, trained = task.validation_problems(), task.train_problems()[:300]
    assert {problem.difficulty for problem in held_out} == {1, 2, 3}
    chains = [{str(p.prompt).split(":")[1] for p in side} for side in (held_out, trained)]
    assert not chains[0] & chains[1]


def test_unseen_contexts_are_never_trained_on() -> None:
    task = StrategyDiscovery(shared=True, held_out_contexts=10, validation_size=80)
    trained = {context_of(str(problem.prompt)) for problem in task.train_problems()[:2000]}
    assert trained == set(range(30))
    sources = {context_of(str(p.prompt)): p.source for p in task.validation_problems()}
    assert [sources[k] for k in range(40)] == ["seen"] * 30 + ["unseen"] * 10


def test_prompts() -> None:
    assert context_prompt(7) == "07 " and context_prompt(17, "7+5 ") == "17:7+5 "
    with pytest.raises(ValueError, match="prompt 'abc ' names no context"):
        context_of("abc ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contexts": 0}, "contexts is 0: choose 1 to 100"),
        ({"strategies": 13}, "strategies is 13: choose 3 to 12"),
        ({"decoy_reward": 1.5}, "decoy is 1.5: give a probability from 0 to 1"),
        ({"working": "free"}, "working is 'free': choose fixed or arithmetic"),
        ({"held_out_contexts": 10}, "held_out_contexts is 10: without shared=true"),
        ({"held_out_contexts": 40, "shared": True}, "held_out_contexts is 40: choose 0 to 39"),
        ({"train_size": 0}, "train_size is 0: choose 1 to 999999999"),
        ({"validation_size": 39}, "validation_size is 39: give at least one problem for each"),
    ],
)
def test_bad_settings(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StrategyDiscovery(**settings)
