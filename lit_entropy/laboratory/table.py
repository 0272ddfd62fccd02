"""The anatomy as a table: for readers, and for programs."""

import csv
import io
from collections.abc import Sequence

from lit_entropy.figures.as_text import markdown, percent, show
from lit_entropy.figures.estimates import Estimate
from lit_entropy.laboratory.conditions import Setting
from lit_entropy.laboratory.measure import Law, Measured

HEAD = ("given up", "R²", "slope", "same sign", "R² of step means", "slope of step means",
        "R² lost")  # fmt: skip
NUMBERS = ("r2", "slope", "sign", "step_r2", "step_slope", "step_sign", "lost")


def as_markdown(measured: Sequence[Measured]) -> str:
    """One line a row: means over seeds with half-widths of the 95 % t interval."""
    lines = [
        [
            each.row.label,
            digits(each.r2),
            digits(each.slope),
            show(each.sign, 2),
            digits(each.step_r2),
            digits(each.step_slope),
            "" if each.lost is None else digits(each.lost),
        ]
        for each in measured
    ]
    return markdown(HEAD, lines)


def digits(value: Estimate) -> str:
    """An estimate with two digits of its interval, up to five places."""
    if value.half_width is None:
        return f"{value.mean:.5g}"
    places = next((p for p in (0, 1, 2, 3, 4) if value.half_width >= 10 ** (1 - p)), 5)
    return show(value, places)


def as_csv(measured: Sequence[Measured]) -> str:
    """One line a row and seed, and one a row with mean and half-width."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "condition", "prediction", "held_out", "number", "seed", "value"])
    for each in measured:
        place = [each.row.label, each.row.condition, each.row.prediction, each.row.held_out]
        for name in NUMBERS:
            value: Estimate | None = getattr(each, name)
            if value is not None:
                for seed, number in enumerate(value.values):
                    writer.writerow([*place, name, seed, number])
                writer.writerow([*place, name, "mean", value.mean])
                writer.writerow([*place, name, "half_width", value.half_width])
    return text.getvalue()


def verdicts(measured: Sequence[Measured], holds: Setting) -> dict[str, str]:
    """By row what the rules say: the prediction holds, or giving the assumption up costs R²."""
    found = {}
    for each in measured:
        kept = (
            each.r2.mean >= holds.least_r2
            and abs(each.slope.mean - 1) <= holds.slope_within
            and each.sign.mean >= holds.sign_agreement
        )
        low = 0.0 if each.lost is None else each.lost.bounds[0]
        found[each.row.label] = "holds" if kept else "costs R²" if low > 0 else "no loss of R² told"
    return found


def law_lines(law: Law, least_r2: float, least_share: float) -> list[str]:
    """What the law and the covariance's sign came to, with the verdicts of the rules.

    Args:
        law: of the table.
        least_r2: R² from which on the law holds.
        least_share: share of the RL steps from which on the covariance counts as positive.
    """
    holds = _verdict(law.r2.mean >= least_r2)
    positive = _verdict(law.positive.mean >= least_share)
    return [
        f"Law of the table, R = -a exp(H) + b: a {show(law.a, 4)}, b {show(law.b, 3)}, "
        f"R² {digits(law.r2)}: {holds}.",
        f"Cov(log π, A) above 0 at {percent(law.positive, 1)} of the RL steps: {positive}. The "
        f"change has the sign that Theorem 1 foretells at {percent(law.foretold, 1)}.",
    ]


def _verdict(holds: bool) -> str:
    return "holds" if holds else "does not hold"
