"""First-order predictions of the entropy change (section 3 of 2505.22617).

Every function returns a prediction of H_{k+1} - H_k, i.e. *minus* a covariance; the sampled ones
are for a step size eta = 1. Covariances have the divisor N: they are expectations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lit_entropy.functional.masked import masked_mean


def _log_policy(logits_NV: Tensor) -> tuple[Tensor, Tensor]:
    """(pi, log pi) with log pi 0 where pi is 0, so that products with pi stay finite."""
    logprobs_NV = torch.log_softmax(logits_NV, dim=-1)
    probabilities_NV = logprobs_NV.exp()
    return probabilities_NV, logprobs_NV.masked_fill(probabilities_NV == 0, 0.0)


def entropy(logits_NV: Tensor) -> Tensor:
    """Entropy of each categorical distribution, nats [N]; logits of -inf are impossible actions."""
    probabilities_NV, logprobs_NV = _log_policy(logits_NV)
    return -(probabilities_NV * logprobs_NV).sum(-1)


def log_policy_covariance(logits_NV: Tensor, values_NV: Tensor) -> Tensor:
    """Cov_{a ~ pi}(log pi(a), x(a)) of each state.

    Args:
        logits_NV: logits z of each state.
        values_NV: x, any number where pi is 0.

    Returns:
        Covariance [N].
    """
    probabilities_NV, logprobs_NV = _log_policy(logits_NV)
    values_NV = values_NV.masked_fill(probabilities_NV == 0, 0.0)
    mean_N1 = (probabilities_NV * values_NV).sum(-1, keepdim=True)
    centred_NV = logprobs_NV - (probabilities_NV * logprobs_NV).sum(-1, keepdim=True)
    return (probabilities_NV * centred_NV * (values_NV - mean_N1)).sum(-1)


def lemma1_prediction(logits_NV: Tensor, delta_logits_NV: Tensor) -> Tensor:
    """-Cov_{a ~ pi}(log pi, dz) (Lemma 1), the entropy change of a small change of the logits.

    Args:
        logits_NV: logits z_k.
        delta_logits_NV: z_{k+1} - z_k.

    Returns:
        Predicted entropy change of each state, nats [N].
    """
    return -log_policy_covariance(logits_NV, delta_logits_NV)


def theorem1_prediction(logits_NV: Tensor, advantages_NV: Tensor, eta: float = 1.0) -> Tensor:
    """-eta Cov_{a ~ pi}(log pi, pi A) (Theorem 1), a vanilla policy-gradient step.

    Args:
        logits_NV: logits of a tabular softmax policy.
        advantages_NV: advantage of every action.
        eta: step size.

    Returns:
        Predicted entropy change of each state, nats [N].
    """
    return -eta * log_policy_covariance(logits_NV, logits_NV.softmax(-1) * advantages_NV)


def theorem2_prediction(logits_NV: Tensor, advantages_NV: Tensor, eta: float = 1.0) -> Tensor:
    """-eta Cov_{a ~ pi}(log pi, A) (Theorem 2), a natural policy-gradient step.

    Args:
        logits_NV: logits of a tabular softmax policy.
        advantages_NV: advantage of every action.
        eta: step size.

    Returns:
        Predicted entropy change of each state, nats [N].
    """
    return -eta * log_policy_covariance(logits_NV, advantages_NV)


def _covariance(x: Tensor, y: Tensor) -> Tensor:
    """Covariance over the last dimension, divisor N."""
    return ((x - x.mean(-1, keepdim=True)) * (y - y.mean(-1, keepdim=True))).mean(-1)


def sampled_theorem1(logprobs_BT: Tensor, advantages_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """-Cov(log pi, pi A) over the scored tokens of a batch, eta = 1.

    Args:
        logprobs_BT: log pi of the sampled tokens.
        advantages_BT: raw advantages.
        mask_BT: bool, scored tokens.

    Returns:
        float64 scalar, detached; NaN on an empty mask.
    """
    logprobs_N = logprobs_BT.detach()[mask_BT].double()
    advantages_N = advantages_BT.detach()[mask_BT].double()
    return -_covariance(logprobs_N, logprobs_N.exp() * advantages_N)


def sampled_theorem2(logprobs_BT: Tensor, advantages_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """-Cov(log pi, A) over the scored tokens of a batch, eta = 1 (minus the mean of eq. 10).

    Args:
        logprobs_BT: log pi of the sampled tokens.
        advantages_BT: raw advantages.
        mask_BT: bool, scored tokens.

    Returns:
        float64 scalar, detached; NaN on an empty mask.
    """
    logprobs_N = logprobs_BT.detach()[mask_BT].double()
    return -_covariance(logprobs_N, advantages_BT.detach()[mask_BT].double())


def _bandit_view(
    logprobs_BT: Tensor, advantages_B: Tensor, mask_BT: Tensor, group_size: int
) -> tuple[Tensor, Tensor]:
    """(log pi(y|x), A) as float64 [P, G]; log pi is NaN for a response without scored tokens."""
    rows = mask_BT.shape[0]
    if group_size < 1 or rows % group_size:
        raise ValueError(
            f"group_size={group_size} does not divide the {rows} rows: pass whole groups, "
            f"prompt-major"
        )
    logprobs_B = masked_mean(logprobs_BT.detach(), mask_BT, 1, dtype=torch.float64)
    logprobs_B = logprobs_B.masked_fill(~mask_BT.any(1), float("nan"))
    advantages_B = advantages_B.detach().double()
    return logprobs_B.view(-1, group_size), advantages_B.view(-1, group_size)


def bandit_theorem1(
    logprobs_BT: Tensor, advantages_B: Tensor, mask_BT: Tensor, group_size: int
) -> Tensor:
    """-Cov(log pi(y|x), pi(y|x) A(y)) over the samples of each prompt (eq. 8, 9), eta = 1.

    The prompt is the state, the whole response the action, and log pi(y|x) the mean of its token
    log-probs (eq. 9).

    Args:
        logprobs_BT: log pi of the response tokens.
        advantages_B: advantage of each response.
        mask_BT: bool, response tokens.
        group_size: samples G of a prompt; rows are prompt-major.

    Returns:
        float64 [P], detached; NaN for a prompt with an empty response (average with ``nanmean``).

    Raises:
        ValueError: if ``group_size`` does not divide the rows.
    """
    logprobs_PG, advantages_PG = _bandit_view(logprobs_BT, advantages_B, mask_BT, group_size)
    return -_covariance(logprobs_PG, logprobs_PG.exp() * advantages_PG)


def bandit_theorem2(
    logprobs_BT: Tensor, advantages_B: Tensor, mask_BT: Tensor, group_size: int
) -> Tensor:
    """-Cov(log pi(y|x), A(y)) over the samples of each prompt (eq. 8, 9), eta = 1.

    Args:
        logprobs_BT: log pi of the response tokens.
        advantages_B: advantage of each response.
        mask_BT: bool, response tokens.
        group_size: samples G of a prompt; rows are prompt-major.

    Returns:
        float64 [P], detached; NaN for a prompt with an empty response (average with ``nanmean``).

    Raises:
        ValueError: if ``group_size`` does not divide the rows.
    """
    logprobs_PG, advantages_PG = _bandit_view(logprobs_BT, advantages_B, mask_BT, group_size)
    return -_covariance(logprobs_PG, advantages_PG)
