"""Parts that the pages show do what their texts say; that they run, the test of commands holds."""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from data_files import write_jsonl
from documents import ROOT, labelled

from lit_entropy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.tasks import DatasetTask
from lit_entropy.tasks.chain import make_problem
from lit_entropy.types import LossBatch, PolicyOutput
from lit_entropy.verify import NumberChecker

HOW_TO = ROOT / "docs" / "how-to"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the Python path, into which :func:`module` writes the file of a page."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def module(folder: Path, page: str, name: str) -> ModuleType:
    (text,) = labelled(f"file {name}.py", HOW_TO / page)
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    return importlib.reload(importlib.import_module(name))


def test_the_shown_reward_prefers_the_right_response(shown: Path) -> None:
    near = module(shown, "task.md", "my_rewards").near
    problem = make_problem(0, "7+5*3-2 ")  # 12 -> 2, 6, 4
    right, beside, far = "7+5=2;2*3=6;6-2=4;#4", "7+5=2;2*3=6;6-2=4;#3", "7+5=2;6-2=4;#9"
    assert [near(problem, text) for text in (right, "#4", beside, far)] == [1.0, 1.0, 0.2, 0.0]
    assert [near(problem, text) for text in ("4", "", "#4;#3", "#")] == [0.0] * 4


def test_the_shown_reward_of_a_batch_prefers_the_right_response(shown: Path) -> None:
    """On rows whose column ``answer`` is a whole solution."""
    module(shown, "task.md", "my_rewards")
    solution = "He has 48 / 2 = 24 left.\nAltogether he has 48 + 24 = 72 of them.\n#### 72"
    rows = [{"question": f"Question {i}?", "answer": solution} for i in range(2)]
    task = DatasetTask(
        NumberChecker("either"),
        train=write_jsonl(shown / "gsm8k.jsonl", rows),
        validation_fraction=0.5,
        reward=f"{shown / 'my_rewards.py'}:short",
    )
    problem = task.train_problems()[0]
    texts = ["#### 72", "So it is 72.\n#### 72", "#### 71", "x" * len(solution), ""]
    rewards = task.rewards([problem] * len(texts), texts)
    assert rewards == pytest.approx([1 / 1.007, 1 / 1.020, 0, 0, 0])


def test_the_shown_task_is_whole(shown: Path) -> None:
    task = module(shown, "task.md", "digit_sums").DigitSums()
    train, held_out = task.train_problems(), task.validation_problems()
    assert sorted(p.id for p in [*train, *held_out]) == list(range(100)) and len(held_out) == 20
    problem = next(p for p in train if p.prompt == "7+5 ")
    assert problem.answer == "2"
    texts = ("7+5=2;#2", "#3", "2", "")
    assert [task.reward(problem, text) for text in texts] == [1.0, 0.0, 0.0, 0.0]


def test_the_shown_loss_selects_over_the_minibatch(shown: Path) -> None:
    """The two least likely of ten scored tokens, whatever the split; the loss leaves them out."""
    loss = module(shown, "loss.md", "without_tail").WithoutTail(fraction=0.2)
    old_BT = torch.tensor([[-0.1, -3.0, -0.2, -0.3, -0.4], [-0.5, -0.6, -2.0, -0.7, -0.8]])
    old_BT = torch.cat([old_BT, torch.full((2, 1), -9.0)], dim=1)
    mask_BT = torch.ones(2, 6, dtype=torch.bool)
    mask_BT[:, 5] = False
    batch = LossBatch(mask_BT=mask_BT, old_logprobs_BT=old_BT, advantages_BT=torch.ones(2, 6))
    output = PolicyOutput(logprobs_BT=old_BT - 1, entropy_BT=torch.zeros(2, 6))
    assert loss.selects_tokens
    selected_BT = loss.select(output, batch)
    assert selected_BT.nonzero().tolist() == [[0, 1], [1, 2]]
    whole = loss(output, batch)
    expected_BT = (1 - old_BT) * ~selected_BT
    torch.testing.assert_close(whole.token_loss_BT[mask_BT], expected_BT[mask_BT])
    assert whole.metrics["left_out"] == pytest.approx(0.2)
    given = replace(batch, selected_BT=~selected_BT & mask_BT)
    assert loss(output, given).metrics["left_out"] == pytest.approx(0.8)


def test_the_shown_regularizer_starts_below_a_share_of_the_first_entropy(shown: Path) -> None:
    held = module(shown, "loss.md", "held_entropy").HeldEntropy(share=0.5, coef=0.1)
    entropy_BT = torch.tensor([[0.2, 0.6]])
    batch = LossBatch(mask_BT=entropy_BT > 0, old_logprobs_BT=entropy_BT, advantages_BT=entropy_BT)
    output = PolicyOutput(logprobs_BT=-entropy_BT, entropy_BT=entropy_BT)
    losses = []
    for entropy in (0.8, 0.41, 0.39, 0.5):
        held.on_rollout(entropy)
        losses.append(held(output, batch).token_loss_BT.tolist())
    assert losses == [[[0.0, 0.0]]] * 2 + [[pytest.approx([-0.02, -0.06])]] + [[[0.0, 0.0]]]
    assert held.state_dict()["first"] == pytest.approx(0.8)


def test_the_shown_engine_samples_what_the_local_one_does(shown: Path) -> None:
    policy = Policy("chain-s")
    engine = module(shown, "engine.md", "plain_engine").PlainEngine()
    prompts = [policy.tokenizer.encode(text) for text in ("7+5*3-2 ", "1+1 ", "1+1 ")]
    ids = torch.tensor([4, 9, 9]), torch.tensor([0, 0, 1])
    for temperature in (1.0, 0.0):
        options = {"max_new_tokens": 12, "temperature": temperature, "keys": (3, "rollout", 5)}
        own, local = (e.generate(policy, prompts, *ids, **options) for e in (engine, LocalEngine()))
        assert torch.equal(own.tokens_BT, local.tokens_BT)
        assert torch.equal(own.mask_BT, local.mask_BT)
        assert torch.equal(own.truncated_B, local.truncated_B)
        torch.testing.assert_close(own.logprobs_BT, local.logprobs_BT, rtol=0, atol=1e-5)
    assert not own.truncated_B.all()
