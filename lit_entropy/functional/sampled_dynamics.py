"""Predictions of the entropy change from sampled actions (section 3 of 2505.22617).

Every function returns a prediction of H_{k+1} - H_k at step size eta = 1, i.e. *minus* a
covariance. Covariances have the divisor N: they are expectations.
"""

import torch
from torch import Tensor

from lit_entropy.functional.masked import masked_mean


def state_centred_theorem2(logprobs_N: Tensor, entropy_N: Tensor, advantages_N: Tensor) -> Tensor:
    """-(log pi(a) + H) A: each state's one-sample estimate of Theorem 2, eta = 1.

    The centre is the state's own expectation E_pi[log pi] = -H (2602.03392), so that the mean over
    actions a ~ pi is -Cov_pi(log pi, A) exactly, whatever the baseline of A.

    Args:
        logprobs_N: log pi of the sampled action of each state.
        entropy_N: exact entropy of each state, nats.
        advantages_N: advantage of that action.

    Returns:
        Predicted entropy change of each state [N].
    """
    return -(logprobs_N + entropy_N) * advantages_N


def state_centred_theorem1(logprobs_N: Tensor, entropy_N: Tensor, advantages_N: Tensor) -> Tensor:
    """-(log pi(a) + H) pi(a) A: each state's one-sample estimate of Theorem 1, eta = 1.

    Arguments and result as for :func:`state_centred_theorem2`.
    """
    return state_centred_theorem2(logprobs_N, entropy_N, logprobs_N.exp() * advantages_N)


def batch_centred_theorem2(logprobs_N: Tensor, advantages_N: Tensor) -> Tensor:
    """-(log pi - mean log pi) (A - mean A) (eq. 10): its mean is :func:`sampled_theorem2`, [N]."""
    return -(logprobs_N - logprobs_N.mean()) * (advantages_N - advantages_N.mean())


def batch_centred_theorem1(logprobs_N: Tensor, advantages_N: Tensor) -> Tensor:
    """-(log pi - mean log pi) (pi A - mean pi A): its mean is :func:`sampled_theorem1`, [N]."""
    return batch_centred_theorem2(logprobs_N, logprobs_N.exp() * advantages_N)


def discriminator_prediction(logits_NV: Tensor, actions_N: Tensor, advantages_N: Tensor) -> Tensor:
    """Lemma 1 for one policy-gradient step on one sampled action a (2602.03392), eta = 1.

    The gradient of A log pi(a) in the logits is A (e_a - pi); its first-order entropy change is
    -A [pi_a (log pi_a + H) - sum_b pi_b^2 (log pi_b + H)].

    Args:
        logits_NV: logits of each state; -inf is an impossible action.
        actions_N: int64, the sampled action.
        advantages_N: advantage of that action.

    Returns:
        Predicted entropy change of each state, nats [N].
    """
    logprobs_NV = torch.log_softmax(logits_NV, dim=-1)
    probabilities_NV = logprobs_NV.exp()
    finite_NV = logprobs_NV.masked_fill(probabilities_NV == 0, 0.0)
    entropy_N1 = -(probabilities_NV * finite_NV).sum(-1, keepdim=True)
    score_NV = probabilities_NV * (finite_NV + entropy_N1)
    score_N = score_NV.gather(-1, actions_N[:, None]).squeeze(-1)
    return -advantages_N * (score_N - (probabilities_NV * score_NV).sum(-1))


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
