"""StrategyShares: hand values, a real run, and what it refuses."""

import math
from pathlib import Path

import pytest
import torch
from runs import ALONE, CONFIGS, fit, metrics

from lit_entropy.callbacks import StrategyShares
from lit_entropy.callbacks.strategy_shares import strategy_shares
from lit_entropy.cli.main import main
from lit_entropy.figures.cells import Cell
from lit_entropy.figures.discovery import CELLS

DISCOVERY = [
    f"--config={CONFIGS / 'experiment' / 'discovery' / 'grpo.yaml'}",
    "--run.name=quickstart-seed0",
    "--data.task.init_args.validation_size=40",
]


def test_hand_values() -> None:
    """Two contexts, three strategies: .2 .5 .3 (true 0, decoy 1) and 1 0 0 (true 0, decoy 2)."""
    values = strategy_shares(
        torch.tensor([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]], dtype=torch.float64),
        torch.tensor([0, 0]),
        torch.tensor([1, 2]),
        torch.tensor([[1.0, 0.5, 0.1], [1.0, 0.1, 0.5]], dtype=torch.float64),
    )
    entropy = -(0.2 * math.log(0.2) + 0.5 * math.log(0.5) + 0.3 * math.log(0.3))
    assert values == pytest.approx(
        {
            "strategies/true": 0.6,
            "strategies/decoy": 0.25,
            "strategies/found": 0.5,
            "strategies/effective": (math.exp(entropy) + 1) / 2,
            "strategies/reward": (0.2 + 0.25 + 0.03 + 1) / 2,
        }
    )


def test_effective_counts_among_strategies_alone() -> None:
    """What the policy gives to other tokens leaves an even split over three an even split."""
    even = torch.full((1, 3), 0.2, dtype=torch.float64)
    first, second = torch.tensor([0]), torch.tensor([1])
    values = strategy_shares(even, first, second, torch.ones(1, 3, dtype=torch.float64))
    assert values["strategies/effective"] == pytest.approx(3)
    assert values["strategies/reward"] == pytest.approx(0.6)


def test_a_run_measures_its_base_and_every_second_step(tmp_path: Path) -> None:
    """The first row is the shipped base: about .02 on the true strategy, .6 on the decoy."""
    fit(
        tmp_path,
        *DISCOVERY,
        *ALONE[1:],
        "--trainer.callbacks=[lit_entropy.callbacks.StrategyShares]",
        "--trainer.callbacks.every=2",
        "--trainer.max_epochs=3",
    )
    rows = metrics(tmp_path)
    assert rows["strategies/true"][0] == pytest.approx(0.0268, abs=5e-4)
    assert rows["strategies/decoy"][0] == pytest.approx(0.602, abs=2e-3)
    assert rows["strategies/found"][0] == 0
    # by hand from the prior: true 1, decoy .5, others .1
    assert rows["strategies/reward"][0] == pytest.approx(0.0268 + 0.301 + 0.0371, abs=2e-3)
    assert math.isnan(rows["strategies/true"][1]) and not math.isnan(rows["strategies/true"][2])


def test_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.task is ChainArithmetic: leave the callback out"):
        fit(tmp_path, *ALONE[1:], "--trainer.callbacks=[lit_entropy.callbacks.StrategyShares]")


def test_every_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"StrategyShares\.every=0 must be at least 1"):
        StrategyShares(every=0)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_method_of_the_report_logs_them(tmp_path: Path, cell: Cell) -> None:
    overlays = ("suite/discovery", f"experiment/{cell.experiment}", "suite/discovery_smoke")
    main(
        [
            *("fit", "--config", "base"),
            *(word for name in overlays for word in ("--config", name)),
            *("--run.folder", str(tmp_path), "--run.name", "run", "--run.wandb", "off"),
            *("--trainer.max_epochs", "1"),
        ]
    )
    rows = metrics(tmp_path, "run")
    assert rows["strategies/true"][1] == pytest.approx(0.0268, abs=5e-4)
    # greedy: the decoy in every context, on one problem of each
    assert 0.25 < rows["val/accuracy"][0] < 0.75
