"""Which tokens make up the covariance that drives the entropy (eq. 10, Theorem 2 of 2505.22617).

Everything here splits sums over the N response tokens of a rollout: the parts add up to the whole.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_entropy.functional.covariance import tail_means
from lit_entropy.functional.masked import masked_sum
from lit_entropy.functional.quota import quota_count

#: Advantage sign and probability, in the order of :func:`quadrant_index`; ``zero`` is advantage 0.
QUADRANTS = ("positive_high", "positive_low", "negative_high", "negative_low", "zero")


class TokenTotals(NamedTuple):
    """Sums and means over all occurrences of each of the U distinct tokens.

    Attributes:
        ids_U: int64 token ids, ascending.
        counts_U: int64 occurrences.
        changes_U: float64, - sum of c_i / N: the token's part of Theorem 2's entropy change.
        probabilities_U: float64 mean pi.
        advantages_U: float64 mean advantage.
    """

    ids_U: Tensor
    counts_U: Tensor
    changes_U: Tensor
    probabilities_U: Tensor
    advantages_U: Tensor


def quadrant_index(
    logprobs_BT: Tensor, advantages_BT: Tensor, mask_BT: Tensor, high_probability: float = 0.5
) -> Tensor:
    """Index of each token's quadrant in ``QUADRANTS``.

    High means pi >= ``high_probability``. The default 0.5 is the one bound that says something of
    the distribution itself: no other token can be likelier. It is the same at every RL step, where
    a median would move along with the collapse and always call half of the tokens unlikely.

    Args:
        logprobs_BT: log pi of the sampled tokens.
        advantages_BT: raw advantages.
        mask_BT: bool, response tokens.
        high_probability: bound in (0, 1).

    Returns:
        int64 [B, T], -1 outside the mask.

    Raises:
        ValueError: the bound is not in (0, 1).
    """
    if not 0 < high_probability < 1:
        raise ValueError(f"high_probability must be in (0, 1), got {high_probability}")
    # rounded as the log-probs are, so that a token at the bound itself is high
    bound = torch.tensor(math.log(high_probability)).to(logprobs_BT)
    index_BT = 2 * (advantages_BT < 0).long() + (logprobs_BT < bound).long()
    index_BT = index_BT.masked_fill(advantages_BT == 0, QUADRANTS.index("zero"))
    return index_BT.masked_fill(~mask_BT, -1)


def quadrant_sums(covariance_BT: Tensor, index_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of c_i and number of tokens of each quadrant.

    Args:
        covariance_BT: token covariances (eq. 10).
        index_BT: from :func:`quadrant_index`; -1 is left out.

    Returns:
        float64 [5] and int64 [5], in the order of ``QUADRANTS``. Over N tokens, the sums / N add
        up to the mean covariance and the numbers / N to 1.
    """
    members = [index_BT == number for number in range(len(QUADRANTS))]
    sums = [masked_sum(covariance_BT, mask_BT, dtype=torch.float64) for mask_BT in members]
    return torch.stack(sums), torch.stack([mask_BT.sum() for mask_BT in members])


def token_totals(
    tokens_BT: Tensor,
    covariance_BT: Tensor,
    logprobs_BT: Tensor,
    advantages_BT: Tensor,
    mask_BT: Tensor,
) -> TokenTotals:
    """What each vocabulary entry adds to Theorem 2's entropy change, unit step size.

    Args:
        tokens_BT: int64 token ids.
        covariance_BT: token covariances (eq. 10).
        logprobs_BT: log pi of the sampled tokens.
        advantages_BT: raw advantages.
        mask_BT: bool, the N response tokens.

    Returns:
        Totals of the distinct tokens; ``changes_U`` adds up to minus the mean covariance.
    """
    ids_U, inverse_N, counts_U = tokens_BT[mask_BT].unique(return_inverse=True, return_counts=True)

    def sums(values_BT: Tensor) -> Tensor:
        zeros_U = torch.zeros(ids_U.shape, dtype=torch.float64, device=ids_U.device)
        return zeros_U.index_add(0, inverse_N, values_BT[mask_BT].double())

    return TokenTotals(
        ids_U,
        counts_U,
        -sums(covariance_BT) / max(inverse_N.numel(), 1),
        sums(logprobs_BT.double().exp()) / counts_U,
        sums(advantages_BT) / counts_U,
    )


def position_means(values_BT: Tensor, mask_BT: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token means by position in the response, over bins of equally many positions.

    Args:
        values_BT: numbers, arbitrary outside the mask.
        mask_BT: bool, response tokens.
        bins: most bins; with fewer positions than that, each position is one bin.

    Returns:
        First position of each bin (int64 [X], counted from 1), mean over its tokens (float64 [X],
        NaN in a bin without tokens), and tokens as a share of all rows times the bin's positions
        (float64 [X]): the share of responses that are that long.

    Raises:
        ValueError: ``bins`` is below 1.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    rows, positions = mask_BT.shape
    width = max(1, math.ceil(positions / bins))
    bin_T = torch.arange(positions, device=mask_BT.device) // width
    starts_X = torch.arange(0, positions, width, device=mask_BT.device) + 1

    def by_bin(values_T: Tensor) -> Tensor:
        zeros_X = torch.zeros(starts_X.shape, dtype=torch.float64, device=mask_BT.device)
        return zeros_X.index_add(0, bin_T, values_T.double())

    totals_X = by_bin(masked_sum(values_BT, mask_BT, 0, dtype=torch.float64))
    tokens_X = by_bin(mask_BT.sum(0))
    places_X = by_bin(torch.full((positions,), max(rows, 1), device=mask_BT.device))
    return starts_X, totals_X / tokens_X, tokens_X / places_X


def largest_means(covariance_BT: Tensor, mask_BT: Tensor, fractions: Sequence[float]) -> Tensor:
    """Mean of the max(1, floor(f N)) largest covariances, for each fraction f (Table 1).

    Args:
        covariance_BT: token covariances (eq. 10).
        mask_BT: bool, the N > 0 response tokens.
        fractions: shares in (0, 1].

    Returns:
        float64, one mean per fraction.
    """
    # 1.5 / N raises a quota of less than one token to one and changes no other
    least = min(1.5 / int(mask_BT.sum()), 1.0)
    return tail_means(covariance_BT, mask_BT, [max(value, least) for value in fractions])


def least_of_largest(covariance_BT: Tensor, mask_BT: Tensor, fractions: Sequence[float]) -> Tensor:
    """Smallest of the max(1, floor(f N)) largest covariances, for each fraction f.

    Args:
        covariance_BT: token covariances (eq. 10).
        mask_BT: bool, the N > 0 response tokens.
        fractions: shares in (0, 1].

    Returns:
        One covariance a fraction: the bound above which a band of that share of tokens lies.
    """
    sorted_N = covariance_BT[mask_BT].sort(descending=True).values
    counts = [max(quota_count(fraction, sorted_N.numel()), 1) for fraction in fractions]
    return sorted_N[torch.tensor(counts, device=sorted_N.device) - 1]
