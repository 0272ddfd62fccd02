"""Predicted changes of entropy beside the realised ones: Lemma 1, Theorems 1 and 2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lit_entropy.figures.as_text import opposed, show
from lit_entropy.figures.estimates import Estimate, estimate
from lit_entropy.figures.runs import Run, by_label
from lit_entropy.functional import agreement


class Match(NamedTuple):
    """One panel: a prediction and the change it is for.

    ``exact`` predictions know the step that was made, so that the diagonal is the claim; the others
    are for a unit step size.
    """

    name: str
    title: str
    predicted: str
    realised: str
    exact: bool


LEMMA1 = "dynamics/own/lemma1"
THEOREM1, THEOREM2 = "dynamics/own/theorem1_state", "dynamics/own/theorem2_state"
FIXED, OWN, ON_POLICY = (f"dynamics/{states}/delta" for states in ("fixed", "own", "on_policy"))
MATCHES = (
    Match("lemma1_fixed", "Lemma 1, fixed states", "dynamics/fixed/lemma1", FIXED, True),
    Match("lemma1_own", "Lemma 1, own states", LEMMA1, OWN, True),
    Match("lemma1_on_policy", "Lemma 1, on-policy", LEMMA1, ON_POLICY, True),
    Match("theorem1_own", "Theorem 1, own states", THEOREM1, OWN, False),
    Match("theorem2_own", "Theorem 2, own states", THEOREM2, OWN, False),
    Match("theorem2_on_policy", "Theorem 2, on-policy", THEOREM2, ON_POLICY, False),
)


def pairs(run: Run, match: Match) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and realised change at the RL steps that measured both, nats.

    Raises:
        ValueError: the run has no RL step with both.
    """
    missing = [key for key in (match.predicted, match.realised) if key not in run.history]
    if not missing:
        predicted_N, realised_N = run.history[match.predicted], run.history[match.realised]
        both_N = np.isfinite(predicted_N) & np.isfinite(realised_N)
        if both_N.any():
            return predicted_N[both_N], realised_N[both_N]
        missing = [match.predicted, match.realised]
    raise ValueError(
        f"run {run.name!r} (label {run.label!r}) has no RL step with {missing}: "
        "train it with the callback EntropyDynamics"
    )


@dataclass(frozen=True)
class Agreement:
    """How well a prediction agrees; an estimate over seeds is None if a run does not define it."""

    points: int  # measured RL steps over all seeds
    slope: Estimate | None  # realised on predicted, through the origin
    r2: Estimate | None  # squared correlation: without sign and size
    sign_agreement: Estimate | None  # share of the RL steps
    seeds: int
    opposed: int  # seeds whose change runs against the prediction

    @property
    def r2_text(self) -> str:
        """R², and how many seeds are opposed."""
        return show(self.r2, 2) + opposed(self.opposed, self.seeds)


@dataclass(frozen=True)
class ExactAgreement(Agreement):
    """That of an exact prediction."""

    relative_error: Estimate | None  # ||predicted - realised|| / ||realised||


#: By label and name of the match.
Agreements = dict[str, dict[str, Agreement]]


def measure_dynamics(runs: Sequence[Run]) -> Agreements:
    """How well each prediction agrees with the realised change of entropy, by label.

    Args:
        runs: any labels; each with the ``dynamics/`` keys of ``EntropyDynamics``.

    Raises:
        ValueError: no runs, or a run lacks a key.
    """
    if not runs:
        raise ValueError("no runs: name at least one that was trained with EntropyDynamics")
    return {
        label: {match.name: _agreement(group, match) for match in MATCHES}
        for label, group in by_label(runs).items()
    }


def _agreement(group: Sequence[Run], match: Match) -> Agreement:
    data = [pairs(run, match) for run in group]

    def over(statistic: Callable[[np.ndarray, np.ndarray], float | None]) -> Estimate | None:
        values = [statistic(*sides) for sides in data]
        defined = [value for value in values if value is not None]
        return estimate(defined) if len(defined) == len(values) else None

    count = sum(len(realised_N) for _, realised_N in data)
    slope, r2 = over(agreement.slope_through_origin), over(agreement.squared_correlation)
    signs = over(agreement.sign_agreement)
    against = sum(agreement.opposed(*sides) for sides in data)
    found = Agreement(count, slope, r2, signs, len(data), against)
    if match.exact:
        return ExactAgreement(**vars(found), relative_error=over(agreement.relative_error))
    return found  # the size at unit step size is no claim
