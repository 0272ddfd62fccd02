"""The anatomy as a table: for readers, and for programs."""

import csv
import io
from collections.abc import Sequence

from lit_entropy.figures.as_text import markdown, percent, show
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.verdicts import Decision, above, every, within
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
    """By row what the rules say of the 95 % intervals.

    The prediction holds; or else giving the assumption up costs R²; or whether it holds is
    undecided, with the seeds that would decide; or it does not hold and no loss of R² is told.
    """
    found = {}
    for each in measured:
        kept = every(
            above(each.r2, holds.least_r2),
            within(each.slope, 1 - holds.slope_within, 1 + holds.slope_within),
            above(each.sign, holds.sign_agreement),
        )
        low = 0.0 if each.lost is None else each.lost.bounds[0]
        if kept.verdict == "reproduced":
            found[each.row.label] = "holds"
        elif low > 0:
            found[each.row.label] = "costs R²"
        elif kept.verdict == "contradicted":
            found[each.row.label] = "does not hold, no loss of R² told"
        else:
            found[each.row.label] = _in_words(kept)
    return found


def law_lines(law: Law, least_r2: float, least_share: float) -> list[str]:
    """What the law and the covariance's sign came to, with the verdicts of the rules.

    Args:
        law: of the table.
        least_r2: R² above which the law holds, where a is above 0 too.
        least_share: share of the RL steps above which the covariance counts as positive.
    """
    holds = _in_words(every(above(law.r2, least_r2), above(law.a, 0)))
    positive = _in_words(above(law.positive, least_share))
    return [
        f"Law of the table, R = -a exp(H) + b: a {show(law.a, 4)}, b {show(law.b, 3)}, "
        f"R² {digits(law.r2)}: {holds}.",
        f"Cov(log π, A) above 0 at {percent(law.positive, 1)} of the RL steps: {positive}. The "
        f"change has the sign that Theorem 1 foretells at {percent(law.foretold, 1)}.",
    ]


def _in_words(decision: Decision) -> str:
    words = {"reproduced": "holds", "contradicted": "does not hold"}
    said = words.get(decision.verdict, decision.verdict)
    return f"{said} ({decision.remedy})" if decision.remedy else said
