"""The shipped sweeps: equal budgets, seeds that judge nothing, and settings that a run takes."""

from pathlib import Path

import pytest
from runs import CONFIGS

from lit_entropy.cli.main import main
from lit_entropy.figures.discovery import CELLS, DISCOVERY
from lit_entropy.sweep.check import check_points
from lit_entropy.sweep.file import read_file
from lit_entropy.sweep.grid import Sweep, runs

FILES = sorted((CONFIGS / "sweep").glob("*.yaml"))


def test_every_method_of_strategy_discovery_is_tuned_twice() -> None:
    names = [cell.name for cell in CELLS]
    assert [path.stem for path in FILES] == sorted([*names, *(f"{name}_rate" for name in names)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_equal_budgets_and_seeds_that_judge_nothing(path: Path) -> None:
    found = read_file(path)
    wanted = Sweep(tuple(found.words), found.over, tuple(found.seeds or ()))
    again = path.stem.endswith("_rate")
    assert len(wanted.points) == (3 if again else 6) and found.metric == "val/accuracy"
    assert found.seeds == ([102, 103, 104] if again else [100, 101])
    plan = DISCOVERY.plan
    assert plan and plan.first_seed + plan.seeds <= 100
    steps = found.words[found.words.index("--trainer.max_epochs") + 1]
    assert steps == str(plan.steps)  # tuned at the length that is judged
    assert check_points(main, runs(wanted)[:1]) == []
