"""The archived runs of the repository: of today's settings, small, and read by the report."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lit_entropy.figures.history import ASSETS, load_run
from lit_entropy.jobs.runner import DONE
from lit_entropy.reproduce.archived import SUFFIX, is_archived, unpacked
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS
from lit_entropy.reproduce.jobs import cells_of, plan
from lit_entropy.reproduce.markdown import claims_as_markdown
from lit_entropy.reproduce.rungs import RUNGS, claim_by_rung
from lit_entropy.yaml_text import read_yaml

ARCHIVE = Path(__file__).parents[2] / "archive"
#: First digits of the SHA-256 of the shipped weights that the archived runs began with: the digest
#: of a run has the files that it names, and a shipped base is named without a file.
BASES = {
    "chain-s": "bf0cee1407d6",
    "countdown-128": "5804dda2071f",
    "discovery-s": "74d4c7fe1917",
    "discovery-easy-s": "f3fc1e14ff23",
    "ladder-16": "18594413b17e",
    "ladder-32": "e1aa4054fb23",
    "ladder-48": "383f3cb19660",
    "ladder-64": "29273dd3ea74",
    "ladder-96": "f504ca5d7d09",
    "ladder-128": "130c74b5df02",
}


def test_archived_runs_have_the_settings_that_are_planned_today() -> None:
    """A run whose configuration has changed since would be trained again, and not say so."""
    planned = {run.name: run for run in plan(cells_of(ENTRIES), BUDGETS["full"])}
    with unpacked(ARCHIVE) as folder:
        count = sum((path / DONE).exists() for path in folder.iterdir())
        for path in sorted(folder.iterdir()):
            assert read_yaml(path / "config.yaml")["run"]["folder"] == "runs"
            if (path / DONE).exists():
                assert path.name in planned, f"{path.name}: no figure plans it"
                assert is_archived(planned[path.name], folder), f"{path.name}: of other settings"
    page = (ARCHIVE.parent / "docs" / "how-to" / "figures.md").read_text()
    assert f"has {count} of the {len(planned)} runs of `full`" in page


def test_archived_runs_began_with_the_bases_that_are_shipped() -> None:
    """A base that is built again asks for its runs again."""
    with unpacked(ARCHIVE) as folder:
        models = {str(load_run(path).facts["model"]) for path in folder.iterdir()}
    shipped = {name for name in models if (ASSETS / name).is_dir()}
    assert shipped and shipped <= set(BASES)
    for name in shipped:
        weights = (ASSETS / name / "model.safetensors").read_bytes()
        assert hashlib.sha256(weights).hexdigest().startswith(BASES[name]), name


def test_archived_runs_of_the_language_model_are_those_of_its_rung() -> None:
    rung = RUNGS[-1]
    assert rung.plan is not None
    with unpacked(ARCHIVE) as folder:
        runs = [load_run(path) for path in folder.glob("smollm_rung-seed*")]
    assert all(rung.holds(run) and run.label == "GRPO" for run in runs)
    assert all(run.history["step"][-1] == rung.plan.steps for run in runs)
    assert {run.seed for run in runs} <= set(range(1, 1 + rung.plan.seeds))


def test_the_archive_is_small() -> None:
    assert sum(path.stat().st_size for path in ARCHIVE.glob(f"*{SUFFIX}")) < 6_000_000


def test_the_page_of_claims_is_what_the_archive_says() -> None:
    """``lit-entropy reproduce --budget full --archive archive --jobs 0`` writes it."""
    labels = {run.name: run.cell.label for run in plan(cells_of(ENTRIES), BUDGETS["full"])}
    with unpacked(ARCHIVE) as folder:
        others = sorted({path.name for path in folder.iterdir()} - set(labels))
        names = [name for name in labels if (folder / name).exists()] + others
        runs = [load_run(folder / name, labels.get(name)) for name in names]
    found = claims_as_markdown(claim_by_rung(ENTRIES, runs))
    page = (ARCHIVE.parent / "docs" / "science" / "claims.md").read_text()
    assert page.endswith(found)
