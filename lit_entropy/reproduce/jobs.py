"""From the figures and a budget to the command lines of their runs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lit_entropy.figures.cells import Cell
from lit_entropy.figures.entries import AnyEntry
from lit_entropy.jobs.job import Job
from lit_entropy.reproduce.budget import Budget
from lit_entropy.shipped import configs_folder

CONFIGS = configs_folder()


@dataclass(frozen=True)
class PlannedRun(Job):
    """One run: a cell and a seed."""

    cell: Cell
    seed: int
    # everything that decides its numbers, as arguments of ``lit-entropy fit`` with configuration
    # files relative to the folder that holds ``configs``
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Folder of the run."""
        return f"{self.cell.name}-seed{self.seed}"

    @property
    def root(self) -> Path:
        """The folder that holds ``configs``."""
        return CONFIGS.parent


def cells_of(entries: Sequence[AnyEntry], figures: Sequence[str] = ()) -> list[Cell]:
    """The settings that some figures need, those that most of all entries need first.

    Args:
        entries: all figures.
        figures: keys of the chosen ones; all if empty.

    Raises:
        ValueError: a key that no entry has.
    """
    keys = [entry.key for entry in entries]
    for figure in figures:
        if figure not in keys:
            raise ValueError(
                f"figures={figure!r}: choose of {', '.join(sorted(keys, key=figure_order))}"
            )
    needed = [cell for entry in entries for cell in entry.cells]
    counts = Counter(cell.name for cell in needed)
    cells = sorted({cell.name: cell for cell in needed}.values(), key=lambda c: -counts[c.name])
    wanted = {c.name for e in entries if not figures or e.key in figures for c in e.cells}
    return [cell for cell in cells if cell.name in wanted]


def plan(cells: Sequence[Cell], budget: Budget) -> list[PlannedRun]:
    """The runs of some settings: first seeds first, so that every figure shows early."""
    runs = [
        (number, PlannedRun(cell, seed, _settings(cell, seed, budget)))
        for cell in cells
        for number, seed in enumerate(budget.seeds(cell))
    ]
    sweeps_last = {"claim": 0, "control": 1, "sweep": 2}
    ordered = sorted(runs, key=lambda each: (sweeps_last[each[1].cell.kind], each[0]))
    return [run for _, run in ordered]


def figure_order(figure: str) -> tuple[bool, int, str]:
    """Numbered figures in their order, then the others by name."""
    return (not figure.isdigit(), int(figure) if figure.isdigit() else 0, figure)


def _settings(cell: Cell, seed: int, budget: Budget) -> tuple[str, ...]:
    overlays = ["base", f"suite/{cell.suite}", f"experiment/{cell.experiment}"]
    own = "sweep" if cell.kind == "sweep" else cell.overlay
    overlays += [f"suite/{cell.suite}_{name}" for name in (own, budget.overlay) if name]
    files = [item for name in overlays for item in ("--config", f"configs/{name}.yaml")]
    values = {**cell.overrides, "trainer.max_epochs": str(budget.steps_of(cell))}
    if cell.single_update:
        values["data.minibatch_size"] = str(budget.rollout)
    values["seed_everything"] = str(seed)
    return (*files, *(item for key, value in values.items() for item in (f"--{key}", value)))
