"""How much a reproduction may cost: RL steps and seeds."""

from dataclasses import dataclass

from lit_entropy.figures.cells import Kind
from lit_entropy.figures.entries import PLANNED


@dataclass(frozen=True)
class Budget:
    """Length and number of the runs."""

    steps: int  # RL steps of a run
    claim_seeds: int  # of the cells that claims and controls rest on
    sweep_seeds: int  # of each point of a sweep
    overlays: tuple[str, ...] = ()  # files in ``configs/suite`` that are laid over the experiment
    rollout: int = 256  # responses per RL step, prompts times samples, as the overlays set it

    def seeds(self, kind: Kind) -> range:
        """The seeds of a setting of this kind."""
        return range(self.sweep_seeds if kind == "sweep" else self.claim_seeds)


#: Smoke shows that everything runs, in minutes; quick gives every claim three seeds; full is for a
#: night on two cores.
BUDGETS: dict[str, Budget] = {
    "smoke": Budget(steps=7, claim_seeds=2, sweep_seeds=2, overlays=("smoke",), rollout=32),
    "quick": Budget(steps=PLANNED.steps, claim_seeds=PLANNED.seeds, sweep_seeds=1),
    "full": Budget(steps=300, claim_seeds=5, sweep_seeds=3),
}
