"""Quantiles of distributions."""

import scipy  # its parts are loaded where they are used


def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t distribution; NaN without degrees of freedom.

    Args:
        probability: below the quantile, in (0, 1).
        freedom: degrees of freedom.
    """
    # what scipy.stats.t.ppf evaluates; scipy.stats alone takes a second to load
    return float(scipy.special.stdtrit(freedom, probability))
