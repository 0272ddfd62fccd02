"""Verdicts by interval: an estimate is held against a limit by its 95 % interval, not its mean."""

import math
from bisect import bisect_left
from typing import Literal, NamedTuple

from lit_entropy.figures.estimates import Estimate
from lit_entropy.figures.seeds import FEWEST_SEEDS
from lit_entropy.functional.quantiles import t_quantile

Verdict = Literal["reproduced", "contradicted", "undecided", "not testable at this scale"]
#: Seeds beyond which no number is told: nobody trains as many.
MOST_SEEDS = 1000


class Decision(NamedTuple):
    """What an interval says of a claim.

    Attributes:
        verdict: by the interval.
        leans: the verdict that the mean alone would give; of an undecided one, else None.
        seeds: seeds at which the present mean and spread would decide it; None of a decided one,
            and where more than :data:`MOST_SEEDS` are needed.
    """

    verdict: Verdict
    leans: Verdict | None = None
    seeds: int | None = None

    @property
    def remedy(self) -> str:
        """What would decide an undecided claim, in words; else nothing."""
        if self.verdict != "undecided":
            return ""
        if self.seeds is None:
            return f"more than {MOST_SEEDS} seeds would be needed to decide"
        return f"about {self.seeds} seeds would decide"


NOT_TESTABLE = Decision("not testable at this scale")


def within(estimate: Estimate | None, low: float, high: float) -> Decision:
    """That a quantity lies between two limits.

    Reproduced where the whole interval lies between them, contradicted where all of it lies
    outside (an end that touches a limit is outside), undecided where it straddles one. Not
    testable without an estimate or without an interval.
    """
    if estimate is None or estimate.half_width is None or not math.isfinite(estimate.mean):
        return NOT_TESTABLE
    lower, upper = estimate.bounds
    if low < lower and upper < high:
        return Decision("reproduced")
    if upper <= low or lower >= high:
        return Decision("contradicted")
    inside = low < estimate.mean < high
    margin = min(abs(estimate.mean - low), abs(estimate.mean - high))
    return Decision(
        "undecided", "reproduced" if inside else "contradicted", seeds_to_decide(estimate, margin)
    )


def outside(estimate: Estimate | None, low: float, high: float) -> Decision:
    """That a quantity does not lie between two limits: :func:`within` the other way round."""
    return _opposite(within(estimate, low, high))


def above(estimate: Estimate | None, limit: float) -> Decision:
    """That a quantity lies above a limit; see :func:`within`."""
    return within(estimate, limit, math.inf)


def below(estimate: Estimate | None, limit: float) -> Decision:
    """That a quantity lies below a limit; see :func:`within`."""
    return within(estimate, -math.inf, limit)


def every(*decisions: Decision) -> Decision:
    """That all parts hold.

    One contradicted part contradicts the whole; else one that cannot be tested leaves the whole
    so, and one undecided part leaves it undecided.
    """
    verdicts = [each.verdict for each in decisions]
    if "contradicted" in verdicts:
        return Decision("contradicted")
    if "not testable at this scale" in verdicts:
        return NOT_TESTABLE
    still_open = [each for each in decisions if each.verdict == "undecided"]
    if not still_open:
        return Decision("reproduced")
    # one part on the wrong side settles it alone; otherwise all parts have to be settled
    wrong = [each.seeds for each in still_open if each.leans == "contradicted"]
    if wrong:
        known = [seeds for seeds in wrong if seeds is not None]
        return Decision("undecided", "contradicted", min(known, default=None))
    seeds = [each.seeds for each in still_open]
    most = None if None in seeds else max(each for each in seeds if each is not None)
    return Decision("undecided", "reproduced", most)


def either(*decisions: Decision) -> Decision:
    """That one part at least holds: :func:`every` the other way round."""
    return _opposite(every(*(_opposite(each) for each in decisions)))


def _opposite(decision: Decision) -> Decision:
    swap: dict[Verdict, Verdict] = {"reproduced": "contradicted", "contradicted": "reproduced"}
    leans = decision.leans and swap[decision.leans]
    return decision._replace(verdict=swap.get(decision.verdict, decision.verdict), leans=leans)


def seeds_to_decide(estimate: Estimate, margin: float) -> int | None:
    """Fewest seeds at which half the 95 % t interval would be narrower than ``margin``.

    Mean and standard deviation are taken to stay as they are.

    Args:
        estimate: with an interval.
        margin: distance of the mean from the limit, in units of the estimate.

    Returns:
        None where more than :data:`MOST_SEEDS` would be needed.
    """
    if estimate.half_width is None:
        return None
    count = len(estimate.values)
    deviation = estimate.half_width * math.sqrt(count) / t_quantile(0.975, count - 1)

    def decides(seeds: int) -> bool:
        return deviation * t_quantile(0.975, seeds - 1) < margin * math.sqrt(seeds)

    choices = range(FEWEST_SEEDS, MOST_SEEDS + 1)
    place = bisect_left(choices, True, key=decides)
    return choices[place] if place < len(choices) else None
