"""Unbiased pass@k from n samples per problem (Chen et al., 2021, 2107.03374), and its error."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pass_at_k(correct_counts: Tensor | Sequence[int], n: int, k: int) -> Tensor:
    """Probability that k of n samples, drawn without replacement, hold a correct one.

    1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n - c + 1}^{n} (1 - k / i); the product never
    overflows.

    Args:
        correct_counts: number of correct samples c of each problem, int [N].
        n: samples per problem.
        k: samples that may be tried.

    Returns:
        float64 [N]; the mean over problems is the benchmark's pass@k.

    Raises:
        ValueError: if k is outside 1..n, or a count outside 0..n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k={k} is outside 1..n with n={n}: sample more responses or lower k")
    counts_N = torch.as_tensor(correct_counts).long()
    if bool(((counts_N < 0) | (counts_N > n)).any()):
        raise ValueError(
            f"correct_counts in {int(counts_N.min())}..{int(counts_N.max())} must lie in 0..n "
            f"with n={n}: count the samples of one problem only"
        )
    index_n = torch.arange(1, n + 1, dtype=torch.float64, device=counts_N.device)
    used_Nn = index_n > (n - counts_N)[..., None]
    # The factor of i = k is 0; those below it are negative and only appear together with it.
    factors_Nn = torch.where(used_Nn, (1.0 - k / index_n).clamp(min=0.0), 1.0)
    return 1.0 - factors_Nn.prod(-1)


def standard_error(values_N: Tensor) -> Tensor:
    """Standard error of a mean over problems: unbiased std / sqrt(N).

    Args:
        values_N: one value per problem.

    Returns:
        float64 scalar; NaN for fewer than two problems, where it is not defined.
    """
    count = values_N.numel()
    if count < 2:
        return torch.full((), float("nan"), dtype=torch.float64, device=values_N.device)
    return values_N.double().std() / count**0.5
