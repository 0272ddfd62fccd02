"""The shipped sweeps: equal budgets, seeds that judge nothing, and settings that a run takes."""

from pathlib import Path

import pytest
import yaml
from runs import CONFIGS

from lit_entropy.cli.main import main
from lit_entropy.figures.cells import METHOD_CELLS
from lit_entropy.figures.discovery import CELLS, DISCOVERY
from lit_entropy.figures.entries import PLANNED
from lit_entropy.functional.quota import quota_count
from lit_entropy.sweep.check import check_points
from lit_entropy.sweep.file import read_file
from lit_entropy.sweep.grid import Sweep, runs

FILES = sorted((CONFIGS / "sweep").glob("discovery_*.yaml"))
KNOBS = sorted((CONFIGS / "sweep").glob("knob_*.yaml"))
CHAIN = sorted((CONFIGS / "sweep").glob("chain_*.yaml"))
COUNTDOWN = CONFIGS / "sweep" / "countdown_grpo.yaml"
DISTRIBUTIONS = {
    "distribution_chain": {"data.task.init_args.max_length": [10, 6, 4, 3]},
    "distribution_chain_harder": {"data.task.init_args.min_length": [6, 8]},
}
ALL = [
    *FILES,
    *KNOBS,
    *CHAIN,
    COUNTDOWN,
    *(CONFIGS / f"sweep/{name}.yaml" for name in DISTRIBUTIONS),
]
#: Second grids by their settings and seeds: none is of a method whose accuracy is compared.
AGAIN = {"prime_slower": (6, 3), "prime_rate": (3, 2), "reinforce_pp_slower": (2, 2)}
OTHERS = {"prime", "rloo", "reinforce_pp", *AGAIN}
#: Tokens of a minibatch, and how many of them choose anything.
TOKENS = {"discovery": (352, 32), "chain": (350, 160)}


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


@pytest.mark.parametrize("path", CHAIN, ids=lambda path: path.stem)
def test_methods_of_chain_arithmetic_have_equal_budgets_too(path: Path) -> None:
    found = read_file(path)
    wanted = Sweep(tuple(found.words), found.over, tuple(found.seeds or ()))
    points, seeds = AGAIN.get(path.stem.removeprefix("chain_"), (6, 2))
    assert len(wanted.points) == points and found.seeds == [100, 101, 102][:seeds]
    steps = found.words[found.words.index("--trainer.max_epochs") + 1]
    assert steps == str(PLANNED.steps)  # tuned at the length that is judged
    assert check_points(main, runs(wanted)[:1]) == []


def test_what_a_plan_does_not_know_is_no_refusal() -> None:
    words = ("--config", "base", "--config", "experiment/table")
    wanted = Sweep(words, {"model.optimizer.lr": [1.0]}, (0,))
    (remark,) = check_points(main, runs(wanted))
    read = "lr_1.0: its settings are read, not all of them tried: "
    assert remark.startswith((f"{read}trainer.precision=64-true", f"{read}model_type="))
    refused = Sweep((*words, "--trainer.gradient_clip_val", "-1"), wanted.over, (0,))
    with pytest.raises(ValueError, match=r"lr_1\.0: trainer\.gradient_clip_val=-1"):
        check_points(main, runs(refused))


def test_every_method_is_tuned_on_chain_arithmetic() -> None:
    methods = {name.removeprefix("chain_") for name in (cell.name for cell in METHOD_CELLS)}
    assert {path.stem.removeprefix("chain_") for path in CHAIN} == methods | OTHERS
    rates = [read_file(path).over.get("model.optimizer.lr", []) for path in CHAIN]
    assert sorted(map(len, rates)) == [0, 0, 2, 3, 3, 3, 3, 6, 6, 6]  # all, or about GRPO's best


def test_every_file_is_of_a_kind() -> None:
    assert {*ALL} == {*(CONFIGS / "sweep").glob("*.yaml")} and len(KNOBS) == 6


def test_the_rate_of_countdown_lies_inside_its_grid() -> None:
    found = read_file(COUNTDOWN)
    wanted = Sweep(tuple(found.words), found.over, tuple(found.seeds or ()))
    assert found.metric == "val/avg@4" and found.seeds == [100, 101]
    experiment = yaml.safe_load((CONFIGS / "experiment" / "grpo_countdown.yaml").read_text())
    rate = experiment["model"]["optimizer"]["init_args"]["lr"]
    assert rate in found.over["model.optimizer.lr"][1:-1]
    assert check_points(main, runs(wanted)[:1]) == []


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_other_training_data_is_chosen_on_seeds_that_judge_nothing(name: str) -> None:
    found = read_file(CONFIGS / "sweep" / f"{name}.yaml")
    wanted = Sweep(tuple(found.words), found.over, tuple(found.seeds or ()))
    assert found.seeds == [100, 101, 102]
    assert found.over == DISTRIBUTIONS[name]
    assert found.words[found.words.index("--trainer.max_epochs") + 1] == str(PLANNED.steps)
    assert check_points(main, runs(wanted)[:1]) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_file_says_the_command_that_runs_it(path: Path) -> None:
    named = f"lit-entropy sweep --file {path.relative_to(CONFIGS.parent)}"
    assert named in path.read_text()


@pytest.mark.parametrize("path", KNOBS, ids=lambda path: path.stem)
def test_knobs_are_swept_in_the_units_of_the_scale(path: Path) -> None:
    found = read_file(path)
    assert found.seeds == [20, 21, 22]  # nothing was judged or tuned on them
    ((key, values),) = found.over.items()
    assert len(values) >= 6 and values == sorted(values)
    tokens, choosing = TOKENS[path.stem.rpartition("_")[2]]
    if key.endswith("fraction"):
        counts = [quota_count(value, tokens) for value in values]
        assert counts[0] == 1 and counts[-1] in range(choosing // 2, 4 * choosing)
        assert len(set(counts)) == len(counts)
    else:
        assert values[-1] >= 100 * values[0]
    wanted = Sweep(tuple(found.words), found.over, tuple(found.seeds))
    assert check_points(main, runs(wanted)[:1]) == []
