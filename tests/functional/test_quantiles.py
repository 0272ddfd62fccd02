"""Quantiles are bit for bit those of scipy.stats."""

from __future__ import annotations

import math

from scipy import stats

from lit_entropy.functional.quantiles import t_quantile


def test_t_quantiles() -> None:
    for freedom in (1, 2, 7.3, 29, 1e6):
        for probability in (0.6, 0.95, 0.975, 0.995):
            assert t_quantile(probability, freedom) == stats.t.ppf(probability, freedom)
    assert round(t_quantile(0.975, 2), 4) == 4.3027 and math.isnan(t_quantile(0.975, 0))
