"""Entropy of categorical states and exact predictions of its change (section 3 of 2505.22617).

Every prediction is of H_{k+1} - H_k, hence *minus* a covariance, with expectations over all V
actions. Estimates from the sampled actions alone stand in ``sampled_dynamics``.
"""

import torch
from torch import Tensor


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


def second_order_prediction(logits_NV: Tensor, delta_logits_NV: Tensor) -> Tensor:
    """Second-order Taylor term of the entropy in dz, to be added to Lemma 1's prediction.

    (1/2) dz^T (d^2 H / dz^2) dz = -(1/2) E_{a ~ pi}[(1 + H + log pi) (dz - E_pi dz)^2]: along
    z + t dz the first derivative is -Cov_t(log pi_t, dz), whose own derivative at t = 0 is the
    third joint cumulant of (log pi, dz, dz) plus the variance of dz, negated.

    Args:
        logits_NV: logits z_k.
        delta_logits_NV: z_{k+1} - z_k, any number where pi is 0.

    Returns:
        The term of each state, nats [N].
    """
    probabilities_NV, logprobs_NV = _log_policy(logits_NV)
    delta_NV = delta_logits_NV.masked_fill(probabilities_NV == 0, 0.0)
    centred_NV = delta_NV - (probabilities_NV * delta_NV).sum(-1, keepdim=True)
    entropy_N1 = -(probabilities_NV * logprobs_NV).sum(-1, keepdim=True)
    weight_NV = probabilities_NV * (1 + entropy_N1 + logprobs_NV)
    return -0.5 * (weight_NV * centred_NV.square()).sum(-1)


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
