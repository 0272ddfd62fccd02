"""Numbers and options that pages state are those of the code, its configurations and archive/."""

import inspect
import re
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import yaml
from documents import PAGES, ROOT, blocks

from lit_entropy.figures.discovery import DISCOVERY
from lit_entropy.figures.entries import PLANNED
from lit_entropy.figures.estimates import paired, plateau
from lit_entropy.figures.history import load_run
from lit_entropy.laboratory.rules import PLAN
from lit_entropy.planning.command import plan
from lit_entropy.planning.shape import KNOWN_TYPES
from lit_entropy.reproduce.archived import read_archive
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.jobs import cells_of
from lit_entropy.reproduce.jobs import plan as runs_of
from lit_entropy.reproduce.rungs import RUNGS

EXPERIMENTS = ROOT / "configs" / "experiment"
HOW_TO, SCIENCE = ROOT / "docs" / "how-to", ROOT / "docs" / "science"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_papers_training_is_told_in_updates() -> None:
    """Of the page about chain arithmetic, as the paper's own configuration has it."""
    paper = ROOT / "configs" / "experiment" / "paper" / "section2.yaml"
    config = yaml.safe_load(paper.read_text())
    data, rl_steps = config["data"], config["trainer"]["max_epochs"]
    responses = data["prompts_per_step"] * data["group_size"]
    updates = rl_steps * responses // data["minibatch_size"]
    page = (ROOT / "docs" / "science" / "chain.md").read_text()
    assert f"{updates:,} updates ({rl_steps} RL steps, if" in page
    assert updates == 2400 and "2,400 RL steps" not in "".join(p.read_text() for p in PAGES)


def test_learning_rates_of_the_experiments() -> None:
    """Those of run.md's table: one for all, and the exceptions that it names."""
    page = (HOW_TO / "run.md").read_text()
    table, common, others = re.search(
        r"\| experiment \|(.*)\n\nThese share one learning rate, (\S+) \((.*?)\)", page, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    exceptions = dict(re.findall(r"`([\w*]+)` ([\de.-]+)", others))
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert len(names) >= 15
    for name in names:
        model = read(EXPERIMENTS / f"{name}.yaml")["model"]
        own = model.get("optimizer", {}).get("init_args", {}).get("lr", float(common))
        said = [rate for key, rate in exceptions.items() if fnmatchcase(name, key)]
        assert own == pytest.approx(float(said[0] if said else common)), name
    base = read(ROOT / "configs" / "base.yaml")["model"]["optimizer"]["init_args"]["lr"]
    assert base == pytest.approx(float(common))


def test_what_a_verdict_needs() -> None:
    words = {3: "three", 4: "four", 5: "five"}
    seeds, steps = {}, {}
    plans = {"all": PLANNED, "discovery": DISCOVERY.plan, "table": PLAN, "smollm": RUNGS[-1].plan}
    for name, each in plans.items():
        assert each is not None
        seeds[name], steps[name] = words[each.seeds], each.steps
    said = " ".join((HOW_TO / "figures.md").read_text().split())
    assert (
        f"Fewer seeds or RL steps than {seeds['all']} and {steps['all']} are not judged, of "
        f"strategy discovery than {seeds['discovery']} and {steps['discovery']}, of the exact "
        f"table than {seeds['table']} and {steps['table']}, of SmolLM2-135M than "
        f"{seeds['smollm']} and {steps['smollm']}."
    ) in said


def test_how_many_runs_a_figure_needs() -> None:
    """Those of each row of figures.md, `quick` and `full`."""
    page = (HOW_TO / "figures.md").read_text().split("| runs of `quick`, `full` |")[1]
    rows = re.findall(r"^\| (`.*?) \| ([\d,; ]+) ", page, re.MULTILINE)
    said = [
        (keys.split(","), tuple(map(int, pair)))
        for names, counts in rows
        for keys, pair in zip(
            re.findall(r"`(.*?)`", names), re.findall(r"(\d+), (\d+)", counts), strict=True
        )
    ]
    for keys, pair in said:
        cells = cells_of(ENTRIES, keys)
        assert pair == tuple(len(runs_of(cells, BUDGETS[name])) for name in ("quick", "full")), keys
    assert {key for keys, _ in said for key in keys} == {entry.key for entry in ENTRIES}


def test_archived_runs_that_a_page_lists_by_seed(tmp_path: Path) -> None:
    """Strategy discovery's table of the archive: accuracy of the last fifth, to three digits."""
    page = (SCIENCE / "discovery.md").read_text()
    head, rows = re.search(r"\| archive \|(.*)\n\|[-|]+\n((?:\|.*\n)+)", page).groups()  # type: ignore[union-attr]
    seeds = re.findall(r"seed (\d+)", head)
    for row in rows.splitlines():
        method, *values = (cell.strip() for cell in row.strip("|").split("|"))
        setting = f"discovery_{method.lower().replace('-', '_')}"
        runs = read_archive(ROOT / "archive" / f"{setting}.tar.xz")
        for seed, value in zip(seeds, values, strict=True):
            folder = tmp_path / f"{setting}-seed{seed}"
            folder.mkdir()
            for name, content in runs[folder.name].items():
                (folder / name).write_bytes(content)
            accuracy = plateau(load_run(folder), "val/accuracy")
            assert float(value) == pytest.approx(accuracy, abs=5.1e-4), folder.name
    assert len(rows.splitlines()) == 4 and seeds == [str(seed) for seed in range(30, 36)]


def test_archived_seeds_that_decide_for_kl_cov(tmp_path: Path) -> None:
    """KL-Cov over GRPO in points, paired by seed: fourteen seeds alone, and with the six."""
    found: dict[str, dict[int, float]] = {"grpo": {}, "kl_cov": {}}
    for method, accuracies in found.items():
        runs = read_archive(ROOT / "archive" / f"discovery_{method}.tar.xz")
        for seed in range(30, 50):
            folder = tmp_path / f"discovery_{method}-seed{seed}"
            folder.mkdir()
            for name, content in runs[folder.name].items():
                (folder / name).write_bytes(content)
            accuracies[seed] = 100 * plateau(load_run(folder), "val/accuracy")
    cells = []
    for first in (36, 30):
        kl_cov, grpo = (
            {seed: value for seed, value in accuracies.items() if seed >= first}
            for accuracies in (found["kl_cov"], found["grpo"])
        )
        gain = paired(kl_cov, grpo)
        assert gain is not None and gain.half_width is not None and len(gain.seeds) == 50 - first
        cells.append(f"{gain.mean:+.1f} ± {gain.half_width:.1f}")
    row = f"| accuracy | {cells[0]} points | {cells[1]} | reproduced |"
    assert row in (SCIENCE / "discovery.md").read_text()
    assert f"above GRPO by {cells[1].removeprefix('+')}" in (ROOT / "README.md").read_text()


def test_archived_seeds_of_the_language_model(tmp_path: Path) -> None:
    """The four seeds, and what the page says of their accuracies at first and at the end."""
    runs = read_archive(ROOT / "archive" / "smollm_rung.tar.xz")
    assert sorted(runs) == [f"smollm_rung-seed{seed}" for seed in (1, 2, 3, 4)]
    assert "the four of SmolLM2-135M" in (HOW_TO / "figures.md").read_text()
    page = (SCIENCE / "measured.md").read_text().split("## SmolLM2-135M on sums")[1]
    for name, column in (("greedy accuracy", "val/accuracy"), ("avg@1", "val/avg@1")):
        values = []
        for run, files in runs.items():
            (tmp_path / run).mkdir(exist_ok=True)
            for file, content in files.items():
                (tmp_path / run / file).write_bytes(content)
            found = load_run(tmp_path / run).history[column]
            values.append([value for value in found if value == value])
        first, last = ([each[place] for each in values] for place in (0, -1))
        half = 3.182446 * stdev(last) / 4**0.5  # Student's t of 3 degrees of freedom, 97.5 %
        assert f"| {name}, held out | {mean(first):.3f} | {mean(last):.3f} ± {half:.3f} |" in page


def test_every_flag_of_a_plan_is_explained() -> None:
    page = (HOW_TO / "plan.md").read_text()
    rows = "".join(row.split("|")[1] for row in page.splitlines() if row.startswith("| `--"))
    flags = {f"--{name}" for name in inspect.signature(plan).parameters if name != "experiment"}
    assert set(re.findall(r"`(--\w+)`", rows)) == flags
    assert set(KNOWN_TYPES) == set(re.findall(r"`(\w+)`", page.split("of the types")[1][:40]))


def test_every_part_that_may_be_added_is_shown_whole() -> None:
    """A row of CONTRIBUTING's table has a subclass on a page, which a command there names."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Adding a part")[1].split("\n## ")[0]
    rows = [row.split("|") for row in text.splitlines() if row.startswith("| ") and "`" in row]
    assert len(rows) >= 7
    shown = blocks()
    for row in rows:
        base, option = row[2].strip(" `").rpartition(".")[2], row[-2].strip(" `")
        files = [b for b in shown if re.search(rf"^class \w+\({base}\)", b.text, re.MULTILINE)]
        pages = {b.page for b in files if b.label.startswith("file ")}
        key = option.rstrip("+").rpartition(".")[2]
        run = [b for b in shown if b.page in pages and b.label == "run"]
        named = [b for b in shown if b.page in pages and f"{key}:" in b.text]
        assert any(f"--{option} " in b.text for b in run) or (run and named), (base, option)
