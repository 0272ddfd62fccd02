"""Exact expectations where every response can be written down (section 3 of 2505.22617).

Here R numbers the responses to a prompt, all V ** T of them less those that end early.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: Most responses that are enumerated: more is a mistake in the sizes.
MOST = 100_000


class StateActions(NamedTuple):
    """What an expected policy gradient says of each state, the last token.

    Attributes:
        share_V: expected visits of the state, as a share of all; sums to 1.
        advantages_VV: A(s, a), the mean advantage of action a in state s, centred on the state's
            own expectation; 0 in states that are never visited.
    """

    share_V: Tensor
    advantages_VV: Tensor


def all_responses(
    vocabulary: int, length: int, end_ids: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Every response of at most ``length`` tokens, once.

    Args:
        vocabulary: V.
        length: T; a response of T tokens needs no end.
        end_ids: tokens that end a response.

    Returns:
        Tokens int64 [R, T], 0 after the end, and their mask.

    Raises:
        ValueError: a size below 1, or more than 100,000 responses.
    """
    if vocabulary < 1 or length < 1:
        raise ValueError(f"vocabulary={vocabulary}, length={length}: use at least 1")
    if vocabulary**length > MOST:
        raise ValueError(
            f"{vocabulary} tokens have {vocabulary}**{length} responses of {length}, and {MOST:,} "
            "are enumerated at most: lower model.max_new_tokens, or take fewer words"
        )
    tokens_RT = torch.cartesian_prod(*[torch.arange(vocabulary)] * length).view(-1, length)
    ends_RT = torch.isin(tokens_RT, torch.tensor(list(end_ids), dtype=torch.int64)).long()
    mask_RT = ends_RT.cumsum(1) - ends_RT == 0
    # of the rows that differ after the end alone the first one stands for all
    rows = ((tokens_RT * ~mask_RT) == 0).all(1)
    return tokens_RT[rows], mask_RT[rows]


def centred_rewards(rewards_PR: Tensor, logprobs_PR: Tensor) -> Tensor:
    """Exact advantages A(y) = r(y) - E_pi[r] of every response.

    Args:
        rewards_PR: rewards of all responses to each prompt.
        logprobs_PR: log pi(y|x), whose probabilities sum to 1 over R.

    Returns:
        Advantages [P, R].
    """
    return rewards_PR - (logprobs_PR.exp() * rewards_PR).sum(-1, keepdim=True)


def policy_gradient_step(logits_NV: Tensor, advantages_NV: Tensor, eta: float = 1.0) -> Tensor:
    """Change of a softmax table's logits by a step of policy gradient (Proposition 1).

    Args:
        logits_NV: logits z of each state.
        advantages_NV: A with expectation 0 in each state.
        eta: step size.

    Returns:
        eta pi A, [N, V].
    """
    return eta * logits_NV.softmax(-1) * advantages_NV


def natural_gradient_step(advantages_NV: Tensor, eta: float = 1.0) -> Tensor:
    """Change of a softmax table's logits by a step of natural policy gradient.

    The inverse of the Fisher matrix diag(pi) - pi pi^T times the gradient pi A is A, up to a
    constant of each state that changes no probability; the one whose mean is 0 is given.

    Args:
        advantages_NV: advantage of every action in each state.
        eta: step size.

    Returns:
        eta (A - mean A), [N, V].
    """
    return eta * (advantages_NV - advantages_NV.mean(-1, keepdim=True))


def state_actions(
    states_BT: Tensor, tokens_BT: Tensor, mask_BT: Tensor, weights_B: Tensor, advantages_B: Tensor,
    vocabulary: int,
) -> StateActions:  # fmt: skip
    """States and advantages of a policy that sees the last token alone, over weighted responses.

    Args:
        states_BT: int64, the token before each one.
        tokens_BT: int64 response tokens.
        mask_BT: bool, response tokens.
        weights_B: probability of each row, pi(y|x) times that of the prompt.
        advantages_B: advantage of each response, shared by its tokens.
        vocabulary: V.

    Returns:
        float64 shares and advantages of each state.
    """
    place_N = (states_BT * vocabulary + tokens_BT)[mask_BT]
    weight_N = weights_B.double()[:, None].expand(mask_BT.shape)[mask_BT]
    value_N = (weights_B * advantages_B).double()[:, None].expand(mask_BT.shape)[mask_BT]
    zeros = torch.zeros(vocabulary**2, dtype=torch.float64)
    visits_VV = zeros.index_add(0, place_N, weight_N).view(vocabulary, vocabulary)
    sums_VV = zeros.index_add(0, place_N, value_N).view(vocabulary, vocabulary)
    visits_V1 = visits_VV.sum(-1, keepdim=True)
    mean_V1 = sums_VV.sum(-1, keepdim=True) / visits_V1.where(visits_V1 > 0, torch.tensor(1.0))
    mean_VV = sums_VV / visits_VV.where(visits_VV > 0, torch.tensor(1.0))
    advantages_VV = (mean_VV - mean_V1).where(visits_VV > 0, torch.tensor(0.0).double())
    return StateActions(visits_V1.squeeze(-1) / visits_VV.sum(), advantages_VV)
