"""The plan: what is trained, by which command line, and what a digest notices."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lit_entropy.cli.main import main
from lit_entropy.figures.cells import FORECAST
from lit_entropy.figures.ladder import FIGURE_7
from lit_entropy.reproduce import jobs as jobs_module
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.jobs import CONFIGS, PlannedRun, cells_of, figure_order, plan

ROOT = CONFIGS.parent
#: Settings with 1,500 held-out problems, and with 3,000.
LADDER = (*FIGURE_7.cells, FORECAST)
LAWS = ("grpo_law", "grpo_long", "rloo", "reinforce_pp", "prime")


def runs(budget: str = "quick", *figures: str) -> dict[str, PlannedRun]:
    planned = plan(cells_of(ENTRIES, figures), BUDGETS[budget])
    assert len({run.name for run in planned}) == len(planned)
    return {run.name: run for run in planned}


def files(run: PlannedRun) -> list[str]:
    return [
        value
        for before, value in zip(run.settings, run.settings[1:], strict=False)
        if before == "--config"
    ]


@cache
def contents(file: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / file).read_text())


def data_of(run: PlannedRun) -> dict[str, Any]:
    """The plain numbers under ``data`` that its files and flags come to, later ones winning."""
    data: dict[str, Any] = {}
    for file in files(run):
        data |= contents(file).get("data", {})
    flags = list(run.settings[2 * len(files(run)) :])
    for key, value in zip(flags[::2], flags[1::2], strict=True):
        assert key.startswith("--")
        if key.startswith("--data.") and "." not in key.removeprefix("--data."):
            data[key.removeprefix("--data.")] = int(value)
    return data


@pytest.mark.parametrize("budget, seeds, few", [("smoke", 2, 2), ("quick", 3, 1), ("full", 3, 3)])
def test_runs_of_the_whole_suite(budget: str, seeds: int, few: int) -> None:
    planned = runs(budget)
    # 12 settings of claims, 3 controls, 9 costly settings and 27 points of sweeps; 4 methods on
    # each of two bases of strategy discovery and 12 settings of the table
    own = {"smoke": (8 + 12) * 2, "quick": 8 * 3 + 12 * 5, "full": 8 * 6 + 12 * 5}[budget]
    # Cell.seeds: 8 of 10 settings and of 3 points, 24 of 2, 12 of 5, 5 of the ladder's 6, 12 of 14
    # points, and 20 of 2
    more = 5 * (10 + 3) + 21 * 2 + 9 * 5 + 2 * 6 + 9 * 14 + 14 * 2 if budget == "full" else 0
    assert len(planned) == (12 + 3) * seeds + (9 + 27) * few + own + more
    for run in planned.values():
        assert files(run)[:3] == [
            "configs/base.yaml",
            f"configs/suite/{run.cell.suite}.yaml",
            f"configs/experiment/{run.cell.experiment}.yaml",
        ]
        law = ["law"] * (run.cell.name in LAWS) + ["ladder"] * (run.cell in LADDER)
        law += ["countdown"] * (run.cell.name == "grpo_countdown")
        own = {"sweep": ["sweep"]}.get(run.cell.kind, law)
        over = own + ["smoke"] * (budget == "smoke")
        assert files(run)[3:] == [f"configs/suite/{run.cell.suite}_{name}.yaml" for name in over]
        assert all((ROOT / file).is_file() for file in files(run))
        assert run.name == f"{run.cell.name}-seed{run.seed}"
        assert run.settings[-2:] == ("--seed_everything", str(run.seed))
        steps = run.settings[run.settings.index("--trainer.max_epochs") + 1]
        assert int(steps) == BUDGETS[budget].steps_of(run.cell)


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_documented_size_of_a_budget(budget: str) -> None:
    planned = runs(budget).values()
    steps = sum(BUDGETS[budget].steps_of(run.cell) for run in planned)
    row = f"| `{budget}` | {len(planned)} | {steps:,} |"
    assert row in (ROOT / "docs/how-to/figures.md").read_text()


@pytest.mark.parametrize("budget", BUDGETS)
def test_single_update_runs_train_on_the_whole_rollout_at_once(budget: str) -> None:
    single = set()
    for run in (each for each in runs(budget).values() if each.cell.suite != "table"):
        data = data_of(run)
        rollout = data["prompts_per_step"] * data["group_size"]
        assert rollout == BUDGETS[budget].rollout
        assert rollout % data["minibatch_size"] == 0
        assert (data["minibatch_size"] == rollout) == run.cell.single_update, run.name
        if run.cell.single_update:
            single.add(run.cell.name)
    assert single == {"policy_gradient", "kl_cov_single_update"}


def test_claims_come_first_and_of_each_the_first_seeds() -> None:
    planned = [run for run in runs("full").values() if run.cell.suite == "tiny"]
    order = [(run.cell.kind, run.seed - (run.cell.first_seed or 50)) for run in planned]
    expected = [
        (kind, number)
        for kind, seeds in (("claim", 24), ("control", 8), ("sweep", 12))
        for number in range(seeds)
    ]
    assert list(dict.fromkeys(order)) == expected  # each in one block
    assert next(iter(runs())) == "grpo_long-seed92"


def test_only_what_the_figures_need() -> None:
    assert list(runs("quick", "8")) == [f"policy_gradient-seed{seed}" for seed in range(50, 53)]
    assert list(runs("full", "8")) == [f"policy_gradient-seed{seed}" for seed in range(50, 58)]
    both = runs("quick", "8", "6")
    assert {run.cell.name for run in both.values()} == {
        "policy_gradient", "grpo_law", "rloo", "reinforce_pp", "prime",
    }  # fmt: skip
    assert [run.seed for run in runs("quick", "9").values()] == [50] * 7
    nine = runs("full", "9")
    assert [run.seed for run in nine.values()] == [
        seed for seed in range(50, 58) for _ in range(7 if seed < 53 else 3)
    ]
    points = [run.settings.index("configs/suite/tiny_sweep.yaml") for run in nine.values()]
    assert set(points) == {7}  # over suite and experiment
    assert {name: run.settings for name, run in nine.items()} == {
        name: run.settings for name, run in runs("full").items() if name in nine
    }


def test_an_unknown_figure_is_named_with_those_there_are() -> None:
    named = ("5b", "anatomy", "controls", "discovery", "discovery-easier", "dynamics", "front")
    named += ("table-1", "table-2")
    order = ", ".join([*map(str, range(1, 14)), *named])
    with pytest.raises(ValueError, match=f"^figures='14': choose of {order}$"):
        runs("smoke", "8", "14")


def test_figures_are_ordered_as_numbers_then_by_name() -> None:
    assert sorted(["table-1", "10", "9", "5b", "1"], key=figure_order) == [
        "1", "9", "10", "5b", "table-1",
    ]  # fmt: skip


def test_the_command_is_what_is_run(tmp_path: Path) -> None:
    for run in runs().values():
        folder = tmp_path / "with space"
        program, *typed = shlex.split(run.command(folder))
        assert program == "lit-entropy" and typed[0] == "fit"
        assert str(ROOT) not in " ".join(typed)
        arguments = run.arguments(folder, None)
        assert [str(ROOT / item) if item in files(run) else item for item in typed] == arguments
        assert all(Path(item).is_absolute() for item in arguments if item.endswith(".yaml"))
        assert arguments[-4:] == ["--run.folder", str(folder), "--run.name", run.name]
    checkpoint = tmp_path / "last.ckpt"
    assert run.arguments(folder, checkpoint) == [*arguments, "--ckpt_path", str(checkpoint)]


def resolved(run: PlannedRun, folder: Path) -> dict[str, Any]:
    """The configuration as the real command line understands it."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit, match=r"^0$"):
        main([*run.arguments(folder, None), "--print_config"])
    return yaml.safe_load(text.getvalue())


def test_the_command_line_takes_every_kind_of_override(tmp_path: Path) -> None:
    planned = runs("smoke", "9", "12", "13")
    bonus = resolved(planned["entropy_bonus_0.001-seed1"], tmp_path)
    assert bonus["model"]["regularizers"] == [
        {"class_path": "lit_entropy.regularizers.EntropyBonus", "init_args": {"coef": 0.001}}
    ]
    assert bonus["trainer"]["max_epochs"] == BUDGETS["smoke"].steps
    assert bonus["seed_everything"] == 1
    assert bonus["run"]["name"] == "entropy_bonus_0.001-seed1"
    clip = resolved(planned["clip_cov_share_0.03-seed0"], tmp_path)["model"]["loss"]
    assert clip["class_path"].endswith(".ClipCov") and clip["init_args"]["fraction"] == 0.03
    assert clip["init_args"]["bounds_kind"] == "quantile"
    assert list(clip["init_args"]["bounds"]) == [0.7, 1.0]
    short, grpo = (
        resolved(planned[f"{name}-seed0"], tmp_path)["data"]["task"]
        for name in ("grpo_short", "grpo_lengths")
    )
    assert short["init_args"].pop("max_length") == 6 and grpo["init_args"].pop("max_length") == 10
    assert short == grpo  # so that both are validated on the same problems
    assert not list(tmp_path.iterdir())


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the configurations, in the place of the real ones."""
    copy = tmp_path / "configs"
    shutil.copytree(CONFIGS, copy)
    monkeypatch.setattr(jobs_module, "CONFIGS", copy)
    return copy


def digests() -> dict[str, str]:
    planned = runs("smoke", "6", "7", "11", "controls")
    names = ("grpo_law", "ladder_16", "rloo", "chain_kl_cov", "kl_cov_single_update")
    return {name: planned[f"{name}-seed0"].digest for name in names}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_digest_is_of_the_contents_alone(configs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = digests()
    monkeypatch.undo()
    assert digests() == copied  # wherever the files stand
    # five settings of four experiments: seed and overrides stand in the settings, not in the files
    assert len(set(copied.values())) == 5
    assert runs("smoke", "6")["grpo_law-seed1"].digest == copied["grpo_law"]
    assert runs("smoke", "7")["ladder_32-seed0"].digest == copied["ladder_16"]


@pytest.mark.parametrize(
    "file, old, new, changed",
    [
        ("loss/kl_cov_tiny.yaml", "2.0e-2", "3.0e-2", {"chain_kl_cov", "kl_cov_single_update"}),
        ("experiment/chain/rloo.yaml", "advantage/rloo", "advantage/grpo", {"rloo"}),
        ("advantage/rloo.yaml", "class_path:", "also: 1\nclass_path:", {"rloo"}),
        ("suite/tiny_smoke.yaml", "group_size: 4", "group_size: 2", None),
    ],
)
def test_a_changed_value_changes_the_digest_of_what_reads_it(
    configs: Path, file: str, old: str, new: str, changed: set[str] | None
) -> None:
    before = digests()
    edit(configs / file, old, new)
    after = digests()
    found = {name for name in before if before[name] != after[name]}
    assert found == (before.keys() if changed is None else changed)


def test_comments_and_the_order_of_keys_change_nothing(configs: Path) -> None:
    before = digests()
    edit(configs / "loss" / "kl_cov_tiny.yaml", "init_args:", "# why\n\ninit_args: # here\n")
    values = yaml.safe_load((configs / "base.yaml").read_text())
    (configs / "base.yaml").write_text(yaml.safe_dump(values, sort_keys=True))
    assert digests() == before


@pytest.mark.parametrize(
    "line", ["when: 2026-11-28", "file: notes.yaml", "file: base.yaml", "file: quickstart.yaml"]
)
def test_a_digest_takes_any_value(configs: Path, line: str) -> None:
    """A date, a text that ends like a file, the file itself, and another file."""
    before = digests()
    edit(configs / "base.yaml", "\nrun:", f"\n{line}\nrun:")
    assert all(digest != before[name] for name, digest in digests().items())
