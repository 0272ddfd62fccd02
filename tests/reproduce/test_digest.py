"""The digest of the rules changes with a rule, a seed or a size, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lit_entropy.figures import entries
from lit_entropy.figures.cells import Cell
from lit_entropy.figures.entries import AnyEntry, Plan
from lit_entropy.reproduce import jobs
from lit_entropy.reproduce.book import ENTRIES
from lit_entropy.reproduce.budget import BUDGETS, Budget
from lit_entropy.reproduce.digest import rules_digest

QUICK = BUDGETS["quick"]
FIRST, REST = ENTRIES[1], (ENTRIES[0], *ENTRIES[2:])  # the first has no claims


def changed(**fields: object) -> tuple[AnyEntry, ...]:
    """The book with another Fig. 1."""
    return (replace(FIRST, **fields), *REST)


def test_it_is_twelve_digits_that_stay() -> None:
    digest = rules_digest(ENTRIES, QUICK)
    assert len(digest) == 12 and int(digest, 16) >= 0
    assert digest == rules_digest(ENTRIES, QUICK) == rules_digest(ENTRIES[::-1], QUICK)


CLAIM = FIRST.claims[0]


@pytest.mark.parametrize(
    "figures",
    [
        changed(claims=(replace(CLAIM, rule=CLAIM.rule + " and more"),)),
        changed(claims=(replace(CLAIM, claim="Entropy rises."),)),
        changed(claims=()),
        changed(plan=Plan(seeds=4, steps=100)),
        changed(plan=Plan(seeds=3, steps=101)),
        changed(cells=(*FIRST.cells, replace(FIRST.cells[0], name="another"))),
        REST,
    ],
)
def test_claims_rules_and_plans_change_it(figures: tuple[AnyEntry, ...]) -> None:
    assert rules_digest(figures, QUICK) != rules_digest(ENTRIES, QUICK)


@pytest.mark.parametrize(
    "budget",
    [
        replace(QUICK, steps=101),
        replace(QUICK, claim_seeds=4),
        replace(QUICK, few_seeds=2),
        replace(QUICK, first_seed=41),
        replace(QUICK, decides=True),
        replace(QUICK, rollout=128),
        replace(QUICK, own=QUICK.own | {"discovery": Plan(seeds=3, steps=300)}),
        replace(QUICK, own=QUICK.own | {"table": Plan(seeds=5, steps=31)}),
        replace(QUICK, own={}),
        replace(QUICK, overlay="smoke"),
    ],
)
def test_seeds_and_sizes_of_the_budget_change_it(budget: Budget) -> None:
    assert rules_digest(ENTRIES, budget) != rules_digest(ENTRIES, QUICK)


EXTRA = Cell("extra", "GRPO", "grpo")


@pytest.mark.parametrize(
    "field, value",
    [
        ("experiment", "rloo"),
        ("overrides", {"model.loss.init_args.clip_low": "0.1"}),
        ("overrides", {"model.policy.model": "chain-m"}),
        ("kind", "sweep"),
        ("single_update", True),
        ("overlay", "law"),
        ("times_as_long", 2),
        ("first_seed", 60),
    ],
)
def test_what_a_setting_says_changes_it(field: str, value: object) -> None:
    with_extra, other = (
        changed(cells=(cell,)) for cell in (EXTRA, replace(EXTRA, **{field: value}))
    )
    assert rules_digest(with_extra, QUICK) != rules_digest(other, QUICK)
    assert rules_digest(with_extra, QUICK) == rules_digest(
        changed(cells=(replace(EXTRA, label="Other"),)), QUICK
    )  # a curve's name decides nothing


@pytest.mark.parametrize(
    "file, old, new, same",
    [
        ("experiment/chain/kl_cov.yaml", "5.0e-5", "3.0e-4", False),
        ("loss/kl_cov_tiny.yaml", "fraction: 2.0e-2", "fraction: 3.0e-2", False),  # named by it
        ("loss/kl_cov_tiny.yaml", "fraction: 2.0e-2 #", "fraction: 0.02 # again:", True),
    ],
)
def test_values_of_the_configuration_files_change_it(
    file: str, old: str, new: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, copy = rules_digest(ENTRIES, QUICK), tmp_path / "configs"
    shutil.copytree(jobs.CONFIGS, copy)
    monkeypatch.setattr(jobs, "CONFIGS", copy)
    assert rules_digest(ENTRIES, QUICK) == before  # wherever the files stand
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    assert (rules_digest(ENTRIES, QUICK) == before) is same


def test_the_plan_of_all_claims_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rules_digest(ENTRIES, QUICK)
    monkeypatch.setattr(entries, "PLANNED", entries.Plan(seeds=4, steps=100))
    assert rules_digest(ENTRIES, QUICK) != before


@pytest.mark.parametrize(
    "field, value", [("caption", "Other."), ("title", "Other"), ("name", "Fig. 0")]
)
def test_words_about_a_figure_do_not_change_it(field: str, value: str) -> None:
    assert rules_digest(changed(**{field: value}), QUICK) == rules_digest(ENTRIES, QUICK)


@pytest.mark.parametrize("part", ["measure", "draw", "select"])
def test_code_does_not_change_it(part: str) -> None:
    other: Callable[[object], object] = list
    assert rules_digest(changed(**{part: other}), QUICK) == rules_digest(ENTRIES, QUICK)
