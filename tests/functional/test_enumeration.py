"""Exact expectations by enumeration, against sampling, autograd and the Fisher matrix."""

from __future__ import annotations

import pytest
import torch

from lit_entropy.functional.dynamics import (
    entropy,
    lemma1_prediction,
    theorem1_prediction,
    theorem2_prediction,
)
from lit_entropy.functional.enumeration import (
    all_responses,
    centred_rewards,
    natural_gradient_step,
    policy_gradient_step,
    state_actions,
)


def states(N: int = 6, V: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and exact advantages, float64."""
    logits_NV, rewards_NV = torch.randn(N, V).double(), torch.rand(N, V).double()
    return logits_NV, centred_rewards(rewards_NV, logits_NV.log_softmax(-1))


def test_every_response_stands_there_once() -> None:
    tokens_RT, mask_RT = all_responses(3, 2, [1])
    assert tokens_RT.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [2, 0], [2, 1], [2, 2]]
    assert (~mask_RT).nonzero().tolist() == [[3, 1]]
    assert len(all_responses(4, 3)[0]) == 64
    # 3 + 3 * 3 + 3 ** 2 * 4: ended by the first, the second, or by the limit
    assert len(all_responses(4, 3, [0])[0]) == 1 + 3 + 9 * 4


def test_probabilities_of_all_responses_sum_to_one() -> None:
    logprobs_VV = torch.randn(4, 4).double().log_softmax(-1)
    tokens_RT, mask_RT = all_responses(4, 3, [0, 2])
    states_RT = torch.cat([torch.full((len(tokens_RT), 1), 3), tokens_RT[:, :-1]], 1)
    total = (logprobs_VV[states_RT, tokens_RT] * mask_RT).sum(1).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-12)


def test_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lower model\.max_new_tokens"):
        all_responses(30, 4)
    with pytest.raises(ValueError, match="use at least 1"):
        all_responses(3, 0)


def test_advantages_have_no_expectation() -> None:
    logits_NV, advantages_NV = states()
    assert torch.allclose((logits_NV.softmax(-1) * advantages_NV).sum(-1), torch.zeros(6).double())


def test_the_step_is_the_gradient_of_the_expected_reward() -> None:
    logits_NV, rewards_NV = torch.randn(6, 5).double().requires_grad_(), torch.rand(6, 5).double()
    (logits_NV.softmax(-1) * rewards_NV).sum().backward()
    advantages_NV = centred_rewards(rewards_NV, logits_NV.detach().log_softmax(-1))
    step_NV = policy_gradient_step(logits_NV.detach(), advantages_NV, 0.3)
    assert torch.allclose(step_NV, 0.3 * logits_NV.grad)


def test_the_natural_step_is_the_inverse_fisher_matrix_times_the_gradient() -> None:
    logits_NV, advantages_NV = states()
    probabilities_NV = logits_NV.softmax(-1)
    fisher_NVV = torch.diag_embed(probabilities_NV) - torch.einsum(
        "na,nb->nab", probabilities_NV, probabilities_NV
    )
    gradient_NV = policy_gradient_step(logits_NV, advantages_NV)
    expected_NV = torch.einsum("nab,nb->na", torch.linalg.pinv(fisher_NVV), gradient_NV)
    assert torch.allclose(natural_gradient_step(advantages_NV, 0.3), 0.3 * expected_NV, atol=1e-10)


@pytest.mark.parametrize("natural", [False, True])
def test_the_theorems_are_lemma_1_of_their_steps(natural: bool) -> None:
    """And the realised change comes nearer to them in proportion to the step."""
    logits_NV, advantages_NV = states()
    theorem = theorem2_prediction if natural else theorem1_prediction
    errors = []
    for eta in (1e-2, 1e-3):
        if natural:
            step_NV = natural_gradient_step(advantages_NV, eta)
        else:
            step_NV = policy_gradient_step(logits_NV, advantages_NV, eta)
        predicted_N = theorem(logits_NV, advantages_NV, eta)
        assert torch.allclose(predicted_N, lemma1_prediction(logits_NV, step_NV), rtol=1e-9)
        realised_N = entropy(logits_NV + step_NV) - entropy(logits_NV)
        errors.append(float((predicted_N - realised_N).norm() / realised_N.norm()))
    assert errors[0] < 0.02 and errors[1] == pytest.approx(errors[0] / 10, rel=0.1)


def test_states_of_longer_responses_against_autograd() -> None:
    """share pi A is the gradient of the expected reward over the expected length."""
    V, prompt = 4, 3
    table_VV = torch.randn(V, V).double().requires_grad_()
    tokens_RT, mask_RT = all_responses(V, 3, [0])
    states_RT = torch.cat([torch.full((len(tokens_RT), 1), prompt), tokens_RT[:, :-1]], 1)
    logprobs_R = (table_VV.log_softmax(-1)[states_RT, tokens_RT] * mask_RT).sum(1)
    rewards_R = torch.rand(len(tokens_RT)).double()
    (logprobs_R.exp() * rewards_R).sum().backward()
    weights_R = logprobs_R.detach().exp()
    advantages_R = centred_rewards(rewards_R[None], logprobs_R.detach()[None])[0]
    found = state_actions(states_RT, tokens_RT, mask_RT, weights_R, advantages_R, V)
    assert float(found.share_V.sum()) == pytest.approx(1.0)
    assert found.share_V[0] == 0 and bool((found.advantages_VV[0] == 0).all())
    length = float((weights_R * mask_RT.sum(1)).sum())
    logits_VV = table_VV.detach()
    step_VV = found.share_V[:, None] * policy_gradient_step(logits_VV, found.advantages_VV)
    assert torch.allclose(length * step_VV, table_VV.grad, atol=1e-12)
