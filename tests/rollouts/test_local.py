"""The local engine against a token-by-token loop without cache, and its invariances."""

from __future__ import annotations

import pytest
import torch
from tiny_models import build_tiny_model

from lit_entropy.functional.rng import uniforms
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import Completions

PROMPTS = ["7+5 ", "1-2*3 ", "9*9+4-1 ", "0 "]
KEYS = (0, "rollout", 3)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy(build_tiny_model(tmp_path_factory.mktemp("model")))


def generate(
    policy: Policy, rows: list[int], samples: list[int], temperature: float = 1.0, **engine: object
) -> Completions:
    prompts = [policy.tokenizer.encode(PROMPTS[row], add_special_tokens=False) for row in rows]
    return LocalEngine(**engine).generate(  # type: ignore[arg-type]
        policy, prompts, torch.tensor(rows) + 100, torch.tensor(samples),
        max_new_tokens=40, temperature=temperature, keys=KEYS,
    )  # fmt: skip


def one_by_one(
    policy: Policy, row: int, sample: int, temperature: float
) -> tuple[list[int], list[float], list[float]]:
    """The obvious loop: full forward of a single sequence for every token, float64 softmax."""
    tokens = policy.tokenizer.encode(PROMPTS[row], add_special_tokens=False)
    response: list[int] = []
    logprobs, entropies = [], []
    while len(response) < 40:
        logits = policy.model(torch.tensor([tokens + response])).logits[0, -1].double()
        probs = torch.softmax(logits / (temperature or 1.0), -1)
        u = float(uniforms(*KEYS, row + 100, sample, len(response)))
        token, total = 0, float(probs[0])
        while temperature and total <= u:
            token += 1
            total += float(probs[token])
        token = token if temperature else int(logits.argmax())
        response.append(token)
        logprobs.append(float(probs[token].log()))
        entropies.append(float(-(probs * probs.log()).sum()))
        if token in policy.eos_token_ids:
            break
    return response, logprobs, entropies


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_matches_a_plain_loop_without_cache_or_batch(policy: Policy, temperature: float) -> None:
    rows, samples = [0, 0, 1, 2, 3, 3], [0, 1, 0, 5, 0, 1]
    completions = generate(policy, rows, samples, temperature)
    with torch.no_grad():
        for index, (row, sample) in enumerate(zip(rows, samples, strict=True)):
            tokens, logprobs, entropies = one_by_one(policy, row, sample, temperature)
            mask = completions.mask_BT[index]
            assert completions.tokens_BT[index][mask].tolist() == tokens
            # float32 forward with cache against float32 forward without: rounding only
            torch.testing.assert_close(
                completions.logprobs_BT[index][mask], torch.tensor(logprobs), rtol=1e-4, atol=2e-5
            )
            torch.testing.assert_close(
                completions.entropies_BT[index][mask], torch.tensor(entropies), rtol=1e-4, atol=2e-5
            )
            ended = tokens[-1] in policy.eos_token_ids
            assert bool(completions.truncated_B[index]) is (not ended)


def test_a_sequence_does_not_depend_on_its_batch(policy: Policy) -> None:
    rows, samples = [0, 1, 2, 3] * 8, [g for g in range(8) for _ in range(4)]
    whole = generate(policy, rows, samples)
    assert whole.truncated_B.any() and not whole.truncated_B.all()  # ragged: compaction happened
    order = torch.randperm(len(rows)).tolist()
    variants = [
        (generate(policy, rows, samples, max_rows=5), list(range(len(rows)))),
        (generate(policy, rows, samples, compact_below=0.0), list(range(len(rows)))),
        (generate(policy, [rows[i] for i in order], [samples[i] for i in order]), order),
    ]
    for other, rows_of_whole in variants:
        width = other.tokens_BT.shape[1]
        assert torch.equal(other.tokens_BT, whole.tokens_BT[rows_of_whole, :width])
        assert torch.equal(other.mask_BT, whole.mask_BT[rows_of_whole, :width])
        assert torch.equal(other.truncated_B, whole.truncated_B[rows_of_whole])
        expected = whole.logprobs_BT[rows_of_whole, :width]
        torch.testing.assert_close(other.logprobs_BT, expected, rtol=1e-4, atol=2e-5)


def test_draws_follow_the_full_softmax(policy: Policy) -> None:
    count = 4000
    completions = generate(policy, [1] * count, list(range(count)))
    first = completions.tokens_BT[:, 0]
    prompt = policy.tokenizer.encode(PROMPTS[1], add_special_tokens=False)
    with torch.no_grad():
        probs = torch.softmax(policy.model(torch.tensor([prompt])).logits[0, -1].double(), -1)
    frequency = torch.bincount(first, minlength=len(probs)).double() / count
    deviation = (frequency - probs).abs() / (probs * (1 - probs) / count).sqrt()
    assert float(deviation.max()) < 4.5  # standard errors, over 20 symbols
    rare = probs < 0.02  # a top-k or top-p cut would leave these at zero
    assert float(frequency[rare].sum()) > 0.5 * float(probs[rare].sum()) > 0


def test_padding_is_zero_and_the_end_token_is_scored(policy: Policy) -> None:
    completions = generate(policy, [0, 1, 2, 3] * 4, [g for g in range(4) for _ in range(4)])
    outside = ~completions.mask_BT
    assert (completions.tokens_BT[outside] == policy.pad_token_id).all()
    assert (completions.logprobs_BT[outside] == 0).all()
    assert (completions.entropies_BT[outside] == 0).all()
    lengths = completions.mask_BT.sum(1)
    last = completions.tokens_BT.gather(1, (lengths - 1)[:, None]).squeeze(1)
    ended = torch.isin(last, torch.tensor(policy.eos_token_ids))
    assert torch.equal(ended, ~completions.truncated_B)
    assert (
        not torch.isin(completions.tokens_BT, torch.tensor(policy.eos_token_ids))[:, :-1]
        .logical_and(completions.mask_BT[:, 1:])
        .any()
    )  # nothing is sampled after the end


def test_evaluation_mode_is_left_as_it_was(policy: Policy) -> None:
    policy.train()
    generate(policy, [0], [0])
    assert policy.training and policy.model.training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"max_rows": 0}, "max_rows=0"), ({"compact_below": 1.5}, "compact_below=1.5")],
)
def test_bad_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalEngine(**arguments)  # type: ignore[arg-type]
