"""The page "Own RL step": each of its files is run by the command line, and its numbers checked."""

import importlib
import re
from pathlib import Path

import pytest
import torch
from documents import ROOT, blocks
from runs import experience_of, fit, metrics, rollout_of
from torch import Tensor

from lit_entropy.cli.main import EntropyCLI
from lit_entropy.tasks.chain import extract_answer
from lit_entropy.tasks.chain_prompts import apply

PAGE = ROOT / "docs" / "how-to" / "rl-step.md"
STILL = ["--model.optimizer.init_args.lr=0", "--trainer.max_epochs=1"]
GROUP = 4


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page, on the Python path."""
    for block in blocks([PAGE]):
        if block.label.startswith("file "):
            (tmp_path / block.label.removeprefix("file ")).write_text(block.text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def texts(cli: EntropyCLI, mask_BT: Tensor) -> list[str]:
    """The tokens of each row's mask as text."""
    return cli.model.policy.decode(experience_of(cli).tokens_BT, mask_BT)


def prompts(cli: EntropyCLI) -> list[str]:
    experience = experience_of(cli)
    return cli.model.policy.decode(experience.prompt_tokens_BS, experience.prompt_mask_BS)


def test_each_file_is_short() -> None:
    files = {block.label: block.text for block in blocks([PAGE]) if block.label.startswith("file")}
    assert len([label for label in files if label.endswith(".py")]) == 3
    assert max(len(text.splitlines()) for text in files.values()) < 60
    assert not any(re.search(r"\._[a-z]", text) for text in files.values())  # no private name


@pytest.fixture
def dialogues(run: Path) -> EntropyCLI:
    """One RL step of two turns whose updates leave the weights alone."""
    return fit(run / "runs", "--config", str(run / "ask_again.yaml"), *STILL)


def test_the_environment_answers_who_skipped_a_step(dialogues: EntropyCLI) -> None:
    experience = experience_of(dialogues)
    assert experience.environment_BT is not None
    written = texts(dialogues, experience.environment_BT)
    whole = texts(dialogues, experience.sequences.mask_BT)
    asked = 0
    for prompt, text, environment in zip(prompts(dialogues), whole, written, strict=True):
        steps, first = len(prompt.strip()) // 2, text.partition(prompt)[0]
        assert environment == (prompt if first.count("=") < steps else "")
        asked += bool(environment)
    assert 0 < asked < len(whole)
    last = [extract_answer(text.rpartition(" ")[2]) for text in whole]
    values = [str(value(prompt)) for prompt in prompts(dialogues)]
    right = [answer == text for answer, text in zip(last, values, strict=True)]
    assert experience.rewards_B.tolist() == [float(one) for one in right]
    assert 0 < sum(right) < len(right)


def value(prompt: str) -> int:
    """The chain worked out: 7+5*3 is 12 -> 2, 2 * 3 = 6."""
    number, chain = int(prompt[0]), prompt.strip()
    for operator, operand in zip(chain[1::2], chain[2::2], strict=True):
        number = apply(number, operator, int(operand))
    return number


def test_the_loss_leaves_the_environment_out_and_the_policy_reads_it(
    dialogues: EntropyCLI, run: Path
) -> None:
    experience, policy = experience_of(dialogues), dialogues.model.policy
    environment_BT = experience.environment_BT
    assert environment_BT is not None and environment_BT.any()
    assert not (experience.mask_BT & environment_BT).any()
    assert (experience.advantages_BT[environment_BT] == 0).all()
    sampled_B = experience.sequences.mask_BT.sum(1) - environment_BT.sum(1)
    assert experience.mask_BT.sum(1).tolist() == sampled_B.tolist()
    assert metrics(run / "runs")["rollout/length"][-1] == pytest.approx(
        float(sampled_B.float().mean())
    )
    # the model's own forward pass over prompt, answer, problem again, answer
    row = int(environment_BT.any(1).nonzero()[0])
    mask_T = experience.sequences.mask_BT[row]
    prompt = experience.prompt_tokens_BS[row][experience.prompt_mask_BS[row]]
    tokens_L = torch.cat([prompt, experience.tokens_BT[row][mask_T]])
    with torch.no_grad():
        logprobs_LV = policy.model(tokens_L[None]).logits[0].log_softmax(-1)
    own_T = logprobs_LV[len(prompt) - 1 : -1].gather(1, tokens_L[len(prompt) :, None])[:, 0]
    sampled_T = experience.response_mask_BT[row][mask_T]
    old_T = experience.old_logprobs_BT[row][mask_T]
    engine_T = experience.sampler_logprobs_BT[row][mask_T]
    torch.testing.assert_close(old_T[sampled_T], own_T[sampled_T], rtol=0, atol=1e-5)
    torch.testing.assert_close(engine_T[sampled_T], own_T[sampled_T], rtol=0, atol=1e-5)
    # what a mask with holes would have hidden
    alone_L = torch.cat([prompt, experience.tokens_BT[row][experience.response_mask_BT[row]]])
    with torch.no_grad():
        hidden_LV = policy.model(alone_L[None]).logits[0].log_softmax(-1)
    hidden_T = hidden_LV[len(prompt) - 1 : -1].gather(1, alone_L[len(prompt) :, None])[:, 0]
    assert (hidden_T - own_T[sampled_T]).abs().max() > 0.1


def test_draws_of_dialogues_are_joined(run: Path) -> None:
    options = ("--data.group_filter=resample", "--data.max_resamples=2", *STILL)
    cli = fit(run / "runs", "--config", str(run / "ask_again.yaml"), *options)
    experience = experience_of(cli)
    assert experience.environment_BT is not None
    assert len(experience.environment_BT) == len(experience) > 32
    assert experience.environment_BT[32:].any()


def test_a_step_reward_reaches_the_advantages(run: Path) -> None:
    options = ("--model.advantage=right_steps.RightSteps", "--model.advantage.weight=0.2")
    cli = fit(run / "runs", *options)
    experience = experience_of(cli)
    mask_BT = experience.response_mask_BT
    rewards_BT = torch.zeros(mask_BT.shape, dtype=torch.float64)
    counts = {True: 0, False: 0}
    for row, text in enumerate(texts(cli, mask_BT)):  # a token is a character
        for step in re.finditer(r"(?:(?<=;)|^)(\d)([-+*])(\d)=(\d);", text):
            right = apply(int(step[1]), step[2], int(step[3])) == int(step[4])
            rewards_BT[row, step.end() - 1] = 0.2 if right else -0.2
            counts[right] += 1
    assert counts[True] > 10 and counts[False] > 0
    # by hand: GRPO's (r - mean) / std, then the rewards that follow less the others' mean reward
    rewards_PG = experience.rewards_B.double().view(-1, GROUP)
    deviation_P1 = rewards_PG.std(1, keepdim=True)
    outcome_PG = (rewards_PG - rewards_PG.mean(1, keepdim=True)) / (deviation_P1 + 1e-6)
    means_PG = (rewards_BT.sum(1) / mask_BT.sum(1)).view(-1, GROUP)
    others_PG = (means_PG.sum(1, keepdim=True) - means_PG) / (GROUP - 1)
    following_BT = ((rewards_BT - others_PG.view(-1, 1)) * mask_BT).flip(1).cumsum(1).flip(1)
    expected_BT = (outcome_PG.view(-1, 1) + following_BT) * mask_BT
    torch.testing.assert_close(experience.advantages_BT.double(), expected_BT, rtol=1e-4, atol=1e-6)
    logged = metrics(run / "runs")["my/step_reward"][-1]
    assert logged == pytest.approx(float(rewards_BT.sum(1).mean()), rel=1e-5)


def test_how_a_step_is_judged(run: Path) -> None:
    judge = importlib.import_module("right_steps").RightSteps().judge
    steps = ("7+5=2;", "7+5=3;", "2-7=5;", "7+5*3=6;", "#4;")
    assert [judge(step) for step in steps] == [1.0, -1.0, 1.0, 0.0, 0.0]


def test_the_filter_keeps_finished_responses(run: Path) -> None:
    cli = fit(run / "runs", "--config", str(run / "finished_only.yaml"))
    rollout, experience = rollout_of(cli), experience_of(cli)
    ends = set(cli.model.policy.eos_token_ids)
    rows = zip(experience.tokens_BT, experience.response_mask_BT, strict=True)
    ended = [int(tokens_T[mask_T][-1]) in ends for tokens_T, mask_T in rows]
    assert 0 < sum(ended) < len(ended) == 32
    assert experience.mask_BT.any(1).tolist() == ended
    kept_B = torch.tensor(ended)
    assert torch.equal(experience.mask_BT[kept_B], experience.response_mask_BT[kept_B])
    assert metrics(run / "runs")["my/kept"][-1] == pytest.approx(sum(ended) / 32)
    # the denominator of an update counts the tokens that were kept
    for minibatch in cli.datamodule.plan.minibatches(rollout.train_rows, rollout.rl_step, 0):
        (microbatch,) = cli.model.microbatches(rollout, minibatch, 0)
        kept = int(experience.response_mask_BT[minibatch][kept_B[minibatch]].sum())
        assert microbatch.loss_batch.minibatch_tokens == kept
    # rewards of the others still count in the baseline
    rewards_PG = experience.rewards_B.view(-1, GROUP)
    centred_B = (rewards_PG - rewards_PG.mean(1, keepdim=True)).flatten()
    assert torch.equal(experience.advantages_BT[:, 0].sign(), centred_B.sign())
