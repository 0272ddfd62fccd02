"""The implicit process reward model (2412.01981) and PRIME's returns (2502.01456)."""

import scipy
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lit_entropy.functional.advantage import require_group
from lit_entropy.functional.masked import masked_mean, zero_outside


def process_rewards(
    logprobs_BT: Tensor, reference_logprobs_BT: Tensor, mask_BT: Tensor, beta: float
) -> Tensor:
    """r_t = beta log(pi_phi(y_t) / pi_ref(y_t)) of every response token (2412.01981).

    Args:
        logprobs_BT: log-probs under the implicit process reward model, nats.
        reference_logprobs_BT: log-probs under the reference policy, nats.
        mask_BT: bool, response tokens.
        beta: scale of the log-ratio.

    Returns:
        [B, T] in the logit's unit, 0 outside the mask; differentiable in ``logprobs_BT``.
    """
    return beta * zero_outside(logprobs_BT - reference_logprobs_BT, mask_BT)


def scaled_to_largest_return(rewards_BT: Tensor, rows_B: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Process rewards over the largest |sum_{s >= t} r_s|, as verl's ``prime_norm: batch_norm``.

    Args:
        rewards_BT: process rewards, 0 outside the response.
        rows_B: bool, rows whose returns are compared; all of them where none is marked.
        epsilon: added to the largest return.

    Returns:
        [B, T]; no undiscounted return of a marked row exceeds 1 in size.
    """
    compared_BT = rewards_BT[rows_B] if bool(rows_B.any()) else rewards_BT
    returns_BT = compared_BT.double().flip(1).cumsum(1)
    return (rewards_BT.double() / (returns_BT.abs().max() + epsilon)).to(rewards_BT)


def outcome_cross_entropy(rewards_BT: Tensor, outcomes_B: Tensor) -> Tensor:
    """Cross-entropy of sigmoid(sum_t r_t) against the outcome, a response (2502.01456).

    Args:
        rewards_BT: process rewards, 0 outside the response; their sum is the response's logit.
        outcomes_B: labels in [0, 1].

    Returns:
        [B] nats.
    """
    logits_B = rewards_BT.sum(1)
    return binary_cross_entropy_with_logits(logits_B, outcomes_B.to(logits_B), reduction="none")


def process_returns(
    rewards_BT: Tensor, mask_BT: Tensor, group_size: int, gamma: float = 1.0
) -> Tensor:
    """Leave-one-out return of the process rewards (2502.01456, first term of the advantage).

    For token t of response i: sum_{s >= t} gamma^(s - t) (r_s^i - m_i), where m_i is the mean over
    the other responses j of the prompt of response j's mean token reward.

    Args:
        rewards_BT: process rewards of B = P * G responses, prompt-major.
        mask_BT: bool, response tokens; an empty response has the mean 0.
        group_size: G, at least 2.
        gamma: discount per token.

    Returns:
        float64 [B, T], 0 outside the mask.

    Raises:
        ValueError: on fewer than two samples per prompt.
    """
    means_PG = masked_mean(rewards_BT, mask_BT, 1, dtype=torch.float64).view(-1, group_size)
    require_group(means_PG, "the process return")
    others_PG = (means_PG.sum(1, keepdim=True) - means_PG) / (group_size - 1)
    centred_BT = zero_outside(rewards_BT.double() - others_PG.view(-1, 1), mask_BT)
    returns_BT = torch.zeros_like(centred_BT)
    following_B = torch.zeros_like(centred_BT[:, 0])
    for t in reversed(range(centred_BT.shape[1])):
        following_B = centred_BT[:, t] + gamma * following_B
        returns_BT[:, t] = following_B
    return zero_outside(returns_BT, mask_BT)


def area_under_curve(scores_N: Tensor, labels_N: Tensor) -> float | None:
    """Probability that a right response scores above a wrong one, ties half: the ROC's area.

    Args:
        scores_N: numbers.
        labels_N: bool.

    Returns:
        Fraction; None unless both labels occur.
    """
    right = labels_N.cpu().numpy()
    pairs = int(right.sum()) * int((~right).sum())
    if pairs == 0:
        return None
    ranks = scipy.stats.rankdata(scores_N.double().cpu().numpy())
    count = int(right.sum())
    return float((ranks[right].sum() - count * (count + 1) / 2) / pairs)


def pair_accuracy(scores_PG: Tensor, labels_PG: Tensor) -> float | None:
    """The same probability over pairs of one prompt alone: what a group's advantages rest on.

    Args:
        scores_PG: numbers.
        labels_PG: bool.

    Returns:
        Fraction of the pairs, all prompts together; None if no prompt has a right and a wrong one.
    """
    pairs_PGG = labels_PG[:, :, None] & ~labels_PG[:, None, :]
    if not bool(pairs_PGG.any()):
        return None
    gap_PGG = scores_PG[:, :, None] - scores_PG[:, None, :]
    return float(((gap_PGG.sign().double() + 1) / 2)[pairs_PGG].mean())


def outcome_predictions(logits_PG: Tensor, right_PG: Tensor) -> dict[str, float]:
    """How well logits tell right responses from wrong ones.

    Args:
        logits_PG: logits of P prompts' G responses; above 0 predicts a right one.
        right_PG: bool.

    Returns:
        ``accuracy``, and ``auc`` and ``pair_accuracy`` where they are defined; fractions.
    """
    values = {
        "accuracy": float(((logits_PG > 0) == right_PG).double().mean()),
        "auc": area_under_curve(logits_PG.flatten(), right_PG.flatten()),
        "pair_accuracy": pair_accuracy(logits_PG, right_PG),
    }
    return {key: value for key, value in values.items() if value is not None}
