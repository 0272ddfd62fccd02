"""Cover@tau: the share of problems that are solved reliably (Dragoi et al., 2025, 2510.08325)."""

import numpy as np
import scipy
import torch
from torch import Tensor


def cover_name(tau: float) -> str:
    """``cover@<tau>``, the name of the score, from whose digits tau can be read again exactly."""
    return f"cover@{float(tau)!r}".removesuffix(".0")


def required_count(n: int, tau: float) -> int:
    """Fewest right samples c of n with c / n >= tau; at least 1, so that tau = 0 is pass@n.

    Raises:
        ValueError: tau outside 0..1, or n below 1.
    """
    if not 0.0 <= tau <= 1.0:
        raise ValueError(f"tau={tau} must lie in [0, 1]: it is a success rate")
    if n < 1:
        raise ValueError(f"n={n}: a success rate needs one sample or more")
    # c / n is rounded as the literal is: 0.07 * 100 > 7, but 7 / 100 == 0.07
    return max(1, next(count for count in range(n + 1) if count / n >= tau))


def cover(correct_N: Tensor, samples_N: Tensor, tau: float) -> Tensor:
    """Whether each problem's observed success rate c / n reaches ``tau``; the mean is Cover@tau.

    The definition is on the true success rate p: the share of problems with p >= tau. The observed
    one is p plus noise of up to 1 / (2 sqrt(n)), so this plug-in estimate smears the threshold: it
    is the chance P(Bin(n, p) >= tau n) in place of the step. It is biased upward where most
    problems lie below tau and downward where most lie above; no unbiased estimate exists (its
    expectation is a polynomial in p, never a step). Compare it at equal n only, and
    see :func:`cover_bounds` for what n samples can tell.

    Args:
        correct_N: right samples c of each problem.
        samples_N: samples n of each problem, at least 1.
        tau: success rate from which a problem counts as covered.

    Returns:
        float64 [N] of 0 and 1.
    """
    pairs = zip(correct_N.tolist(), samples_N.tolist(), strict=True)
    values = [float(count >= required_count(n, tau)) for count, n in pairs]
    return torch.tensor(values, dtype=torch.float64)


def cover_bounds(
    correct_N: Tensor, samples_N: Tensor, tau: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Shares of problems that are surely, and possibly, covered at ``tau``.

    Clopper-Pearson intervals of each problem's success rate: surely covered are the problems whose
    lower end reaches tau, possibly covered those whose upper end does. They are exact for a problem
    and cautious for the benchmark; the plug-in share lies between them.

    Args:
        correct_N: right samples of each problem.
        samples_N: samples of each problem, at least 1.
        tau: success rate, in (0, 1].
        confidence: of each problem's interval.
    """
    correct, samples = correct_N.double().numpy(), samples_N.double().numpy()
    tail = (1.0 - confidence) / 2.0
    # a beta distribution needs positive parameters: 0 and n right have ends 0 and 1
    low = scipy.stats.beta.ppf(tail, np.maximum(correct, 1e-9), samples - correct + 1)
    high = scipy.stats.beta.ppf(1.0 - tail, correct + 1, np.maximum(samples - correct, 1e-9))
    low, high = np.where(correct == 0, 0.0, low), np.where(correct == samples, 1.0, high)
    return float((low >= tau).mean()), float((high >= tau).mean())
