"""PRIME on a model of one logit a token: training, rewards, filters and state."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from experiences import whole_experience
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from lit_entropy.advantages import PRIME, RLOO
from lit_entropy.advantages.base import TokenContext
from lit_entropy.types import Experience, PolicyOutput, Sequences

G = 4


class Unigram(nn.Module):
    """Every token from one softmax, whatever came before."""

    def __init__(self, vocabulary: int = 16) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.logits_V = nn.Parameter(torch.randn(vocabulary, generator=generator))

    def forward(self, sequences: Sequences, temperature: float) -> PolicyOutput:
        logprobs_BT = log_softmax(self.logits_V / temperature, 0)[sequences.tokens_BT]
        logprobs_BT = logprobs_BT * sequences.mask_BT
        return PolicyOutput(logprobs_BT, torch.zeros_like(logprobs_BT))


def sgd(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=20.0)  # type: ignore[arg-type]


def rollout_of(
    experience: Experience,
    minibatch: int = 8,
    microbatch: int = 8,
    trained: Tensor | None = None,
    group_size: int = G,
) -> TokenContext:
    """One process without autocast."""

    def logprobs(model: nn.Module, name: str) -> Tensor:
        with torch.no_grad():
            return model(experience.sequences, 1.0).logprobs_BT

    reference_BT = logprobs(Unigram(), "")
    experience = replace(experience, reference_logprobs_BT=reference_BT)
    groups = len(experience) // group_size
    return TokenContext(
        experience=experience,
        group_size=group_size,
        trained_P=torch.ones(groups, dtype=torch.bool) if trained is None else trained,
        minibatches=torch.arange(len(experience)).split(minibatch),
        temperature=1.0,
        microbatches=lambda rows: rows.split(microbatch),
        total=lambda tensor: tensor,
        logprobs=logprobs,
        forward_context=nullcontext,
    )


def advantages(
    estimator: PRIME, rollout: TokenContext, *, attach: bool = True
) -> tuple[Tensor, Tensor]:
    """Token advantages, and those of the outcome alone."""
    if attach:
        estimator.attach(Unigram())
    outcome_PG = estimator(rollout.experience.rewards_B.view(-1, rollout.group_size))
    with torch.no_grad():  # as the module collects its rollouts
        return estimator.token_advantages(outcome_PG, rollout), outcome_PG.flatten()


def weights(estimator: PRIME) -> Tensor:
    return estimator.state_dict()["model"]["logits_V"].clone()


def test_hand_values_on_two_prompts_of_two() -> None:
    """Frozen logits: pi_phi doubles the odds of token 1, so r is beta log(4/3) or beta log(2/3)."""
    tokens = torch.tensor([[1, 1], [0, 1], [0, 0], [1, 0]])
    mask = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1]]).bool()
    experience = whole_experience(
        mask, tokens_BT=tokens, rewards_B=torch.tensor([1.0, 0.0, 1.0, 1.0])
    )
    rollout = rollout_of(experience, minibatch=4, group_size=2)
    reference = torch.full((4, 2), 0.5).log() * mask
    experience = replace(rollout.experience, reference_logprobs_BT=reference)
    rollout = rollout._replace(
        experience=experience,
        logprobs=lambda model, name: model(experience.sequences, 1.0).logprobs_BT,
    )
    model = Unigram(2)
    model.logits_V.data = torch.tensor([1.0, 2.0]).log()
    estimator = PRIME(beta=0.5, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0))
    estimator.attach(model)
    actual, outcome = advantages(estimator, rollout, attach=False)
    up, down = 0.5 * torch.tensor(4 / 3).log().item(), 0.5 * torch.tensor(2 / 3).log().item()
    # outcome: 1 - 0, 0 - 1, and nothing where both are right; baselines are the other's mean
    other = [down, up, (up + down) / 2, down]
    expected = [
        [1 + 2 * up - 2 * other[0], 1 + up - other[0]],
        [-1 + down - other[1], 0.0],
        [2 * down - 2 * other[2], down - other[2]],
        [up + down - 2 * other[3], down - other[3]],
    ]
    assert outcome.tolist() == [1.0, -1.0, 0.0, 0.0]
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-6)
    # logits of the four responses: 2 up, down (row 1 has one token), 2 down, up + down
    assert estimator.metrics()["prime/accuracy"] == 0.5
    assert estimator.metrics()["prime/pair_accuracy"] == 1.0


def test_training_and_rewards_by_loops(make_experience: Callable[..., Experience]) -> None:
    """Two minibatches of plain SGD written out token by token, then the rewards of the result."""
    rollout = rollout_of(make_experience(P=4, G=G))
    experience, beta = rollout.experience, 0.4
    estimator = PRIME(beta=beta, optimizer=sgd, gradient_clip_val=0.02)
    actual, outcome = advantages(estimator, rollout)

    logits = Unigram().logits_V.detach().double()
    reference = log_softmax(logits, 0)
    tokens = [
        [int(token) for token, inside in zip(*row, strict=True) if inside]
        for row in zip(experience.tokens_BT, experience.response_mask_BT, strict=True)
    ]
    losses, right, norms = [], [], []
    for first in (0, 8):
        gradient = torch.zeros_like(logits)
        probabilities = logits.softmax(0)
        ratio = logits.log_softmax(0) - reference
        for i in range(first, first + 8):
            logit = beta * sum(float(ratio[token]) for token in tokens[i])
            probability = 1 / (1 + torch.tensor(-logit).exp().item())
            y = float(experience.rewards_B[i])
            losses.append(-torch.tensor(probability if y else 1 - probability).log().item())
            right.append((logit > 0) == (y > 0.5))
            for token in tokens[i]:  # d log softmax / d logits = one-hot - softmax
                one_hot = torch.zeros_like(logits)
                one_hot[token] = 1.0
                gradient += beta * (probability - y) * (one_hot - probabilities) / 8
        norms.append(float(gradient.norm()))
        logits = logits - 20.0 * gradient * min(1.0, 0.02 / norms[-1])
    assert max(norms) > 0.02  # the clip acts
    torch.testing.assert_close(weights(estimator).double(), logits, rtol=1e-4, atol=1e-5)
    values = estimator.metrics()
    assert values["prime/loss"] == pytest.approx(sum(losses) / 16, rel=1e-5)
    assert values["prime/accuracy"] == sum(right) / 16

    ratio = beta * (logits.log_softmax(0) - reference)
    means = [sum(float(ratio[token]) for token in row) / len(row) for row in tokens]
    total = sum(float(ratio[token]) for row in tokens for token in row)
    assert values["prime/process_reward"] == pytest.approx(total / sum(map(len, tokens)), rel=1e-4)
    for i, row in enumerate(tokens):
        others = [means[j] for j in range(i // G * G, i // G * G + G) if j != i]
        baseline = sum(others) / (G - 1)
        for t in range(len(row)):
            expected = sum(float(ratio[token]) - baseline for token in row[t:])
            actual_process = float(actual[i, t] - outcome[i])
            assert actual_process == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert not actual[~experience.response_mask_BT].any()


@pytest.mark.parametrize("microbatch", [1, 3])
def test_microbatches_change_nothing(
    make_experience: Callable[..., Experience], microbatch: int
) -> None:
    whole, parts = PRIME(beta=0.5, optimizer=sgd), PRIME(beta=0.5, optimizer=sgd)
    expected, outcome = advantages(whole, rollout_of(make_experience()))
    actual, _ = advantages(parts, rollout_of(make_experience(), microbatch=microbatch))
    assert (expected - outcome[:, None]).abs().max() > 0.01
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
    assert parts.metrics() == pytest.approx(whole.metrics(), rel=1e-5)


def test_padding_changes_nothing(make_experience: Callable[..., Experience]) -> None:
    narrow = make_experience()
    changes = {
        name: torch.nn.functional.pad(value, (0, 5))
        for name, value in narrow.tensors().items()
        if name.endswith("_BT")
    }
    wide = replace(narrow, **changes)
    estimators = PRIME(beta=0.5, optimizer=sgd), PRIME(beta=0.5, optimizer=sgd)
    expected, _ = advantages(estimators[0], rollout_of(narrow))
    actual, _ = advantages(estimators[1], rollout_of(wide))
    assert torch.equal(weights(estimators[0]), weights(estimators[1]))
    assert not actual[:, expected.shape[1] :].any()
    torch.testing.assert_close(actual[:, : expected.shape[1]], expected, rtol=1e-6, atol=1e-7)


def test_what_an_environment_wrote_changes_nothing(
    make_experience: Callable[..., Experience],
) -> None:
    """Its tokens are read: they are no part of the reward model's logit, nor trained on."""
    experience = make_experience()
    written_BT = torch.zeros_like(experience.response_mask_BT)
    written_BT[:, 1] = experience.response_mask_BT[:, 2]
    assert written_BT.any()
    given = {
        "environment_BT": written_BT,
        "response_mask_BT": experience.response_mask_BT & ~written_BT,
        "mask_BT": experience.mask_BT & ~written_BT,
    }
    results = []
    for token in (3, 11):
        tokens_BT = experience.tokens_BT.masked_fill(written_BT, token)
        estimator = PRIME(optimizer=sgd)
        rollout = rollout_of(replace(experience, tokens_BT=tokens_BT, **given))
        results.append((advantages(estimator, rollout)[0], weights(estimator)))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])


def test_scaled_rewards_only_change_the_size_of_the_returns(
    make_experience: Callable[..., Experience],
) -> None:
    """And beta then matters through the training alone."""
    rollout = rollout_of(make_experience())
    plain, outcome = advantages(PRIME(beta=0.5, optimizer=sgd), rollout)
    estimator = PRIME(beta=0.5, optimizer=sgd, scale_to_largest_return=True)
    scaled, _ = advantages(estimator, rollout)
    process, reference = scaled - outcome[:, None], plain - outcome[:, None]
    inside = rollout.experience.response_mask_BT
    ratio = (process / reference)[inside & (reference.abs() > 1e-2)]
    torch.testing.assert_close(ratio, ratio.median().expand_as(ratio), rtol=1e-3, atol=0)
    logprobs = rollout.logprobs(_trained(estimator), "")
    rewards = 0.5 * (logprobs - rollout.experience.reference_logprobs_BT)
    largest = rewards.flip(1).cumsum(1).abs().max()
    assert ratio.median().item() == pytest.approx(1 / largest.item(), rel=1e-3)


def _trained(estimator: PRIME) -> Unigram:
    model = Unigram()
    model.load_state_dict(estimator.state_dict()["model"])
    return model


def test_beta_zero_is_rloo(make_experience: Callable[..., Experience]) -> None:
    rollout = rollout_of(make_experience())
    actual, _ = advantages(PRIME(beta=0.0, optimizer=sgd), rollout)
    rewards_PG = rollout.experience.rewards_B.view(-1, G)
    assert torch.equal(actual, RLOO().token_advantages(RLOO()(rewards_PG), rollout))
    assert actual.abs().max() > 0.3


def test_groups_without_signal_do_not_train_the_model(
    make_experience: Callable[..., Experience],
) -> None:
    """A filtered group gets process rewards (for diagnostics) from a model that never saw it."""
    experience = make_experience(filter_groups=True)
    trained = torch.tensor([True, True, True, False])
    estimator = PRIME(beta=0.5, optimizer=sgd)
    actual, outcome = advantages(estimator, rollout_of(experience, trained=trained))
    changed = experience.tokens_BT.clone()
    changed[-G:] = (changed[-G:] + 1) % 16
    other = PRIME(beta=0.5, optimizer=sgd)
    advantages(other, rollout_of(replace(experience, tokens_BT=changed), trained=trained))
    assert torch.equal(weights(estimator), weights(other))
    assert not outcome[-G:].any() and actual[-G:].abs().max() > 0

    nothing = PRIME(beta=0.5, optimizer=sgd)
    advantages(nothing, rollout_of(experience, trained=torch.zeros(4, dtype=torch.bool)))
    assert torch.equal(weights(nothing), Unigram().logits_V)
    assert dict(nothing.metrics()) == {"prime/process_reward": 0.0}


def test_groups_of_one_outcome_teach_their_outcome(
    make_experience: Callable[..., Experience],
) -> None:
    """All right: the loss falls below log 2 on the same rollout and no pair can be ranked."""
    experience = replace(make_experience(), rewards_B=torch.ones(16))
    estimator = PRIME(beta=0.5, optimizer=sgd, gradient_clip_val=0.01)
    rollout = rollout_of(experience, minibatch=16)
    _, outcome = advantages(estimator, rollout)
    assert not outcome.any()
    assert estimator.metrics()["prime/loss"] == pytest.approx(torch.tensor(2.0).log().item())
    assert estimator.metrics().keys() == {"prime/loss", "prime/accuracy", "prime/process_reward"}
    assert estimator.metrics()["prime/process_reward"] > 0
    advantages(estimator, rollout, attach=False)
    assert estimator.metrics()["prime/loss"] < 0.68


def test_state_continues_bit_for_bit(make_experience: Callable[..., Experience]) -> None:
    def momentum(parameters: object) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=0.05, weight_decay=0.0)  # type: ignore[arg-type]

    rollouts = [rollout_of(make_experience(seed=seed)) for seed in range(4)]
    whole = PRIME(beta=0.5, optimizer=momentum)
    whole.attach(Unigram())
    for rollout in rollouts[:2]:
        advantages(whole, rollout, attach=False)
    resumed = PRIME(beta=0.5, optimizer=momentum)
    resumed.attach(Unigram())
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for rollout in rollouts[2:]:
        expected, _ = advantages(whole, rollout, attach=False)
        actual, _ = advantages(resumed, rollout, attach=False)
        assert torch.equal(actual, expected)
        assert resumed.metrics() == whole.metrics()
    assert not torch.equal(weights(whole), Unigram().logits_V)


def test_bad_arguments(make_experience: Callable[..., Experience]) -> None:
    assert PRIME.min_group_size == 2 and PRIME.needs_reference
    for arguments, message in [
        ({"beta": -1.0}, r"beta=-1\.0"),
        ({"gamma": 1.5}, r"gamma=1\.5"),
        ({"gradient_clip_val": 0.0}, r"gradient_clip_val=0\.0"),
    ]:
        with pytest.raises(ValueError, match=message):
            PRIME(**arguments)
    estimator = PRIME()
    estimator.attach(Unigram())
    with pytest.raises(ValueError, match=r"entries \[\], but PRIME needs model and optimizer"):
        estimator.load_state_dict({})
    with pytest.raises(ValueError, match="RLOO has no state"):
        RLOO().load_state_dict(estimator.state_dict())
    rollout = rollout_of(replace(make_experience(), rewards_B=torch.full((16,), -1.0)))
    with pytest.raises(ValueError, match=r"outcomes in \[0, 1\], but data.task gave the reward -1"):
        advantages(estimator, rollout, attach=False)
    rounded = replace(make_experience(), rewards_B=torch.full((16,), 1.0 + 2**-23))
    advantages(estimator, rollout_of(rounded), attach=False)  # a sum of parts, still an outcome
