"""The numbers of a validation: what ``validation.json`` holds, as records."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lit_entropy.evaluation.records import Record
from lit_entropy.evaluation.sampling import SetSampling
from lit_entropy.functional.quantiles import t_quantile


@dataclass(frozen=True)
class Score:
    """A score of a set of problems.

    Attributes:
        mean: over the problems that have the score; None without any.
        se: its standard error over problems; None for one problem.
        problems: number of problems with the score.
    """

    mean: float | None
    se: float | None
    problems: int

    @classmethod
    def of(cls, column: Sequence[float | None]) -> "Score":
        """The score of problems; None stands for a problem without it."""
        known = np.array([value for value in column if value is not None], dtype=np.float64)
        error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else None
        return cls(float(known.mean()) if len(known) else None, error, len(known))

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % t interval over problems; None where nothing spreads."""
        return self.se * t_quantile(0.975, self.problems - 1) if self.se else None


@dataclass(frozen=True)
class CurvePoint:
    """pass@k or maj@k at one k."""

    k: int
    score: Score


@dataclass(frozen=True)
class CoverPoint:
    """Plug-in Cover@tau at one tau, with the shares that are surely and possibly covered."""

    tau: float
    score: Score
    surely: float
    possibly: float


@dataclass(frozen=True)
class CheckerCounts:
    """Responses that were right, wrong and unchecked, and those without a readable answer."""

    responses: int
    right: int
    wrong: int
    unchecked: int
    malformed: int


@dataclass(frozen=True)
class SetReport:
    """One policy on one set.

    Attributes:
        problems: their number.
        samples: of the most often sampled problem.
        scores: by name.
        rates: lengths in tokens, entropies in nats, and shares, by name.
        bounds: scores with every unchecked response taken as wrong, and as right.
        checker: what the checker said.
        pass_curve: pass@k at k = 1, 2, 4, ...; empty where nothing was sampled.
        majority_curve: maj@k at the same k; empty where the task does not name answers.
        cover_curve: Cover@tau.
    """

    problems: int
    samples: int
    scores: dict[str, Score]
    rates: dict[str, float]
    bounds: dict[str, list[float]]
    checker: CheckerCounts
    pass_curve: list[CurvePoint]
    majority_curve: list[CurvePoint]
    cover_curve: list[CoverPoint]

    @property
    def headline(self) -> str:
        """The score that stands for the set: avg@n where it is sampled, else greedy accuracy."""
        return f"avg@{self.samples}" if self.samples else "accuracy"


@dataclass(frozen=True)
class PolicyReport:
    """One policy.

    Attributes:
        name: how tables call it.
        checkpoint: the file that it was loaded from; None for the untouched model.
        rl_step: finished RL steps.
        metrics: as logged, without ``val/``.
        sets: by name.
        problems: one record each.
    """

    name: str
    checkpoint: str | None
    rl_step: int
    metrics: dict[str, float]
    sets: dict[str, SetReport]
    problems: list[Record]


@dataclass(frozen=True)
class ScoreDifference:
    """A score of a policy minus that of the policy it is compared with, paired by problem.

    Attributes:
        policy: name of the one.
        against: name of the other.
        set: name of the set.
        score: name of the score.
        difference: mean over problems.
        se: its standard error; None for one problem, as ``low`` and ``high``.
        low: lower end of the 95 % t interval.
        high: its upper end.
        problems: number of problems that both have the score of.
    """

    policy: str
    against: str
    set: str
    score: str
    difference: float | None
    se: float | None
    low: float | None
    high: float | None
    problems: int


@dataclass(frozen=True)
class Checking:
    """How long the responses of a policy took to check: seconds, added over ranks."""

    policy: str
    responses: int
    seconds: float


@dataclass(frozen=True)
class Prompts:
    """Which problems: their number, and a hash of all of them."""

    count: int
    hash: str


@dataclass(frozen=True)
class Report:
    """A validation of one or more policies on the same problems.

    Attributes:
        lit_entropy: version of the package that made it.
        prompts: which problems.
        sampling: by source.
        policies: the first is the one compared against.
        differences: of every other policy from the first.
        checking: of each policy.
        notes: what was set differently in reports that were joined; None for a single report.
    """

    lit_entropy: str
    prompts: Prompts
    sampling: dict[str, SetSampling]
    policies: list[PolicyReport]
    differences: list[ScoreDifference] = field(default_factory=list)
    checking: list[Checking] = field(default_factory=list)
    notes: list[str] | None = None
