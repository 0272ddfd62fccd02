"""The anatomy as tables of the report."""

import math
from collections.abc import Sequence

from lit_entropy.figures.as_text import NOTHING, opposed, percent, show
from lit_entropy.figures.entries import Table
from lit_entropy.figures.estimates import Estimate
from lit_entropy.laboratory.measure import Law, Measured

HEAD = ["given up", "R²", "slope", "same sign", "R² of step means", "slope of step means",
        "R² lost"]  # fmt: skip
LAW_HEAD = ["law of the table", "a", "b", "R²", "Cov(log π, A) above 0, share of the RL steps",
            "change of entropy has Theorem 1's sign"]  # fmt: skip


def rows_table(measured: Sequence[Measured]) -> Table:
    """One line per row: means over seeds with half-widths of the 95 % t interval.

    Seeds that run against the prediction are counted beside R², which does not know the sign.
    """
    lines = [
        [
            each.row.label,
            digits(each.r2) + opposed(each.opposed, len(each.r2.values)),
            digits(each.slope),
            show(each.sign, 2),
            digits(each.step_r2) + opposed(each.step_opposed, len(each.r2.values)),
            digits(each.step_slope),
            "" if each.lost is None else digits(each.lost),
        ]
        for each in measured
    ]
    return Table(HEAD, lines)


def law_table(law: Law) -> Table:
    """The law of the table and the covariance's sign."""
    numbers = [show(law.a, 4), show(law.b, 3), digits(law.r2), percent(law.positive, 1),
               percent(law.foretold, 1)]  # fmt: skip
    return Table(LAW_HEAD, [["R = -a exp(H) + b", *numbers]])


def digits(value: Estimate) -> str:
    """An estimate with two digits of its interval, up to five places."""
    if value.half_width is None:
        return NOTHING if math.isnan(value.mean) else f"{value.mean:.5g}"
    places = next((p for p in (0, 1, 2, 3, 4) if value.half_width >= 10 ** (1 - p)), 5)
    return show(value, places)
