"""The claims of the anatomy: those of the paper where they are proved, and what they rest on."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lit_entropy.figures.as_text import opposed, percent, show
from lit_entropy.figures.dynamics import FIGURE_8, stays_positive
from lit_entropy.figures.entries import Claim, Judgement
from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.law import FIGURE_3, fits
from lit_entropy.figures.matching import SECTION_3, foretells, holds_to_first_order
from lit_entropy.figures.verdicts import NOT_TESTABLE, Decision, above, every, within
from lit_entropy.laboratory import rules
from lit_entropy.laboratory.measure import Dissected, Measured
from lit_entropy.laboratory.rows import Row, Setting
from lit_entropy.laboratory.table import digits

NO_LAW = Judgement(NOT_TESTABLE, "the law has no run")


def holds(found: Measured, setting: Setting) -> Decision:
    """That a prediction holds: R², slope and, where asked for, signs from state to state."""
    sign = [above(found.sign, setting.sign_agreement)] if setting.sign_agreement else []
    slope = within(found.slope, 1 - setting.slope_within, 1 + setting.slope_within)
    return every(above(found.r2, setting.least_r2), slope, *sign)


def _judge_all(m: Dissected, rows: Sequence[Row], setting: Setting) -> Judgement:
    """That a prediction holds in all of some rows."""
    found = [m.row(row) for row in rows]
    measured = [each for each in found if each is not None]
    if len(measured) < len(found):
        return Judgement(NOT_TESTABLE, "not all of its settings have runs")
    text = "; ".join(
        f"{each.row.label}: R² {digits(each.r2)}{opposed(each.opposed, len(each.r2.values))}, "
        f"slope {digits(each.slope)}, "
        f"same sign {percent(each.sign, 1)}"
        for each in measured
    )
    return Judgement(every(*(holds(each, setting) for each in measured)), text)


def _judge_cost(m: Dissected, row: Row) -> Judgement:
    found = m.row(row)
    if found is None or found.lost is None:
        return Judgement(NOT_TESTABLE, "it or the reference has no run")
    against = opposed(found.opposed, len(found.r2.values))
    return Judgement(above(found.lost, 0), f"R² lost {digits(found.lost)}{against}")


def _judge_means(
    m: Dissected, rows: Sequence[Row], judge: Callable[[Estimate | None, Estimate | None], Decision]
) -> Judgement:
    """A claim of Section 3, which speaks of means over states."""
    found = [m.row(row) for row in rows]
    decisions = [
        judge(None, None) if each is None else judge(each.step_r2, each.step_slope)
        for each in found
    ]
    text = "; ".join(
        f"{each.row.label}: R² of step means {digits(each.step_r2)}"
        f"{opposed(each.step_opposed, len(each.r2.values))}, slope {show(each.step_slope)}"
        for each in found
        if each is not None
    )
    return Judgement(every(*decisions), text)


def _judge_law(m: Dissected) -> Judgement:
    if m.law is None:
        return NO_LAW
    r2, a = m.law.r2, m.law.a
    return Judgement(fits(r2, a), f"R² {show(r2, 4)}, a {show(a, 4)}")


def _judge_positive(m: Dissected) -> Judgement:
    if m.law is None:
        return NO_LAW
    share: Estimate = m.law.positive
    return Judgement(stays_positive(share), f"positive at {percent(share, 1)} of the RL steps")


def _on_the_table(claim: Claim[Any], judge: Callable[[Dissected], Judgement]) -> Claim[Dissected]:
    """A claim of another figure, by its own rule."""
    return Claim(claim.claim, claim.paper, claim.rule, judge)


def _first_order(name: str, rows: Sequence[Row]) -> Claim[Dissected]:
    return Claim(
        f"{name} is the change of entropy to first order where its assumptions hold.", "proved",
        f"{rules.HOLDS.rule}, at the step that is ten times smaller",
        partial(_judge_all, rows=rows, setting=rules.HOLDS),
    )  # fmt: skip


LEMMA1, THEOREM2 = SECTION_3.claims
COSTS = tuple(
    Claim(f"Given up, it costs the match of prediction and change: {row.label}.",
          "assumed by the proof",
          f"R² lost from state to state against {row.reference or rules.ROWS[0].label}, paired by "
          "seed: 95 % interval above 0", partial(_judge_cost, row=row))
    for row in rules.ROWS
    if row.costs
)  # fmt: skip
CLAIMS = (
    _first_order("Theorem 1", [rules.THEOREM1_SMALL]),
    _first_order("Theorem 2", [rules.THEOREM2_SMALL]),
    _first_order("Lemma 1", rules.LEMMA1_SMALL),
    Claim("Lemma 1 asks for a small step alone: not for exact advantages, a table, SGD or the "
          "states of the rollout.", "proved for any change of the logits",
          f"{rules.HOLDS_ELSEWHERE.rule}, in each of {len(rules.LEMMA1_ELSEWHERE)} settings",
          partial(_judge_all, rows=rules.LEMMA1_ELSEWHERE, setting=rules.HOLDS_ELSEWHERE)),
    *COSTS,
    _on_the_table(FIGURE_3.claims[0], _judge_law),
    _on_the_table(FIGURE_8.claims[0], _judge_positive),
    _on_the_table(LEMMA1, partial(_judge_means, rows=(rules.LEMMA1, rules.LEMMA1_NATURAL),
                                  judge=holds_to_first_order)),
    _on_the_table(THEOREM2, partial(_judge_means, rows=(rules.THEOREM2,), judge=foretells)),
)  # fmt: skip


#: Claims of Section 3 and the rows that say what each of their assumptions is worth.
_RESTS_ON = (
    (LEMMA1, (rules.LEMMA1_LARGE,)),
    (THEOREM2, tuple(row for row in rules.ROWS if row.costs)),
)


def rests_on(claim: Claim[Any], m: Dissected) -> str:
    """The assumptions of a claim, those first that cost most where they are given up on the table.

    Empty for a claim whose assumptions the anatomy does not give up, and without an interval.
    """
    rows = [row for other, rows in _RESTS_ON if other == claim for row in rows]
    found = [each for row in rows if (each := m.row(row)) is not None]
    told = [(each.lost, each.row) for each in found if each.lost and each.lost.bounds[0] > 0]
    told.sort(key=lambda pair: -pair[0].mean)
    return "; ".join(f"{row.label} {digits(lost)}" for lost, row in told)
