"""What the parts of an RL step share."""

from dataclasses import dataclass, field

from lit_entropy.distributed.ranks import Ranks
from lit_entropy.step.plan import StepPlan
from lit_entropy.step.sampler import Sampler
from lit_entropy.tracking.stopwatch import Stopwatch


@dataclass(frozen=True)
class StepContext:
    """Sizes, sampler, ranks and clock of a run's RL steps.

    Attributes:
        plan: the sizes of an RL step.
        sampler: the policy with its engine.
        ranks: this process among all.
        stopwatch: adds up the time of each part.
    """

    plan: StepPlan
    sampler: Sampler
    ranks: Ranks = field(default_factory=Ranks)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
