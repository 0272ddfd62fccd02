"""How often decoding would make the host wait for a GPU, counted on the CPU."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from host_syncs import HostSyncs
from tiny_models import build_tiny_model

from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.rollouts.llama import is_plain_llama
from lit_entropy.rollouts.responses import to_responses
from lit_entropy.types import Completions


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy(build_tiny_model(tmp_path_factory.mktemp("model")))


def decode(policy: Policy, limit: int, every: int | None) -> tuple[Completions, Counter[str]]:
    prompt = policy.tokenizer.encode("7+5 ", add_special_tokens=False)
    rows = torch.arange(16)
    with HostSyncs() as syncs:
        completions = LocalEngine(check_every=every).generate(
            policy, [prompt] * 16, rows, rows, max_new_tokens=limit, temperature=1.0,
            keys=(0, "rollout", 1),
        )  # fmt: skip
    return completions, syncs.counts


def test_the_counter_sees_each_kind() -> None:
    values, mask = torch.arange(4), torch.tensor([True, False, True, False])
    with HostSyncs() as syncs:
        values[mask]
        values[mask] = torch.zeros(2, dtype=torch.int64)
        mask.nonzero()
        int(values.sum())
        bool(mask.any())
        values.tolist()
        values.cpu()
        torch.tensor(1, device="cpu")
        # none of these waits: no shape depends on a value
        values.masked_fill(mask, 0)
        values.where(mask, 1)
        values[torch.tensor([0, 1])] = torch.zeros(2, dtype=torch.int64)
    assert +syncs.counts == {
        "boolean index": 2,
        "aten::nonzero": 1,
        "aten::_local_scalar_dense": 2,
        "tolist": 1,
        "cpu": 1,
        "copy to the device": 1,
    }


def test_what_a_token_waits_for(policy: Policy) -> None:
    """Eight tokens more: one look at the ended rows, and nothing else.

    The forward pass of transformers, which other models are decoded by, reads a value a token.
    """
    policy_ends, policy.eos_token_ids = policy.eos_token_ids, [policy.vocab_size]  # never drawn
    try:
        counts = [decode(policy, limit, 8)[1] for limit in (9, 17, 25)]
    finally:
        policy.eos_token_ids = policy_ends
    differences = [+(more - fewer) for fewer, more in pairwise(counts)]
    assert is_plain_llama(policy.model)
    assert differences == [{"aten::_local_scalar_dense": 1}] * 2


def test_texts_and_rows_of_a_rollout_wait_a_few_times_and_not_for_each_row(policy: Policy) -> None:
    completions, _ = decode(policy, 8, None)
    with HostSyncs() as syncs:
        policy.decode(completions.tokens_BT, completions.mask_BT)
    assert syncs.counts == {"tolist": 2}
    with HostSyncs() as syncs:
        rows = to_responses(completions)
    assert syncs.counts == {"tolist": 4}
    for row, response in enumerate(rows):
        mask_T = completions.mask_BT[row]
        assert response.tokens == completions.tokens_BT[row][mask_T].tolist()
        assert response.logprobs == completions.logprobs_BT[row][mask_T].tolist()


@pytest.mark.parametrize("every", [3, 8, 100])
def test_looking_less_often_samples_the_same(policy: Policy, every: int) -> None:
    expected, found = decode(policy, 40, 1)[0], decode(policy, 40, every)[0]
    assert not expected.truncated_B.all()  # rows end at different tokens
    assert torch.equal(found.tokens_BT, expected.tokens_BT)
    assert torch.equal(found.mask_BT, expected.mask_BT)
    assert torch.equal(found.truncated_B, expected.truncated_B)
    torch.testing.assert_close(found.logprobs_BT, expected.logprobs_BT, rtol=1e-4, atol=2e-5)
    outside_BT = ~found.mask_BT
    assert (found.logprobs_BT[outside_BT] == 0).all()
    assert found.entropies_BT is not None and (found.entropies_BT[outside_BT] == 0).all()
    assert bool(found.mask_BT[:, -1].any())  # no column of padding alone


def test_a_bad_number_is_refused() -> None:
    with pytest.raises(ValueError, match="check_every=0 must be at least 1, or null"):
        LocalEngine(check_every=0)
