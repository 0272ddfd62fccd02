"""How much a reproduction may cost: RL steps and seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lit_entropy.figures.cells import Cell
from lit_entropy.figures.discovery import PLAN as DISCOVERY
from lit_entropy.figures.entries import PLANNED, Plan
from lit_entropy.laboratory.rules import PLAN as TABLE


@dataclass(frozen=True)
class Budget:
    """Length and number of the runs."""

    steps: int  # RL steps of a run
    claim_seeds: int  # of the cells that claims and controls rest on
    few_seeds: int  # of each point of a sweep and each costly cell
    overlay: str = ""  # laid over the experiment: ``configs/suite/<suite>_<overlay>.yaml``
    rollout: int = 256  # responses per RL step, prompts times samples, as the overlay sets it
    own: Mapping[str, Plan] = field(default_factory=dict)  # suites with a size of their own
    first_seed: int = 0  # those below have judged by earlier rules, or tuned; 0 judges nothing
    decides: bool = False  # whether a setting has as many seeds as its claims need

    def seeds(self, cell: Cell) -> range:
        """The seeds of a setting."""
        if cell.suite in self.own:
            own = self.own[cell.suite]
            count = max(own.seeds, cell.seeds) if self.decides else own.seeds
            return range(own.first_seed, own.first_seed + count)
        few = cell.costly or cell.kind == "sweep"
        count = self.few_seeds if few else self.claim_seeds
        if self.decides:
            count = max(count, cell.seeds)
        first = cell.first_seed or self.first_seed if self.first_seed else 0
        return range(first, first + count)

    def steps_of(self, cell: Cell) -> int:
        """RL steps of a setting's runs."""
        steps = self.own[cell.suite].steps if cell.suite in self.own else self.steps
        return steps * cell.times_as_long


#: The suites whose claims need another size than the paper's others.
OWN = {"discovery": DISCOVERY._replace(seeds=6), "table": TABLE}
#: Smoke shows that everything runs, in minutes; quick judges what three seeds of cheap settings
#: can, and shows the rest with one; full gives every setting the seeds that decide its claims.
BUDGETS: dict[str, Budget] = {
    "smoke": Budget(steps=7, claim_seeds=2, few_seeds=2, overlay="smoke", rollout=32),
    "quick": Budget(
        PLANNED.steps, PLANNED.seeds, 1, own=OWN | {"discovery": DISCOVERY}, first_seed=50
    ),
    "full": Budget(
        PLANNED.steps, PLANNED.seeds, PLANNED.seeds, own=OWN, first_seed=50, decides=True
    ),
}
