"""The digest of what is fixed before the runs: claims, rules, seeds and sizes."""

import hashlib
import json
from collections.abc import Sequence

from lit_entropy.figures import entries
from lit_entropy.figures.as_json import Json, as_json
from lit_entropy.figures.cells import Cell
from lit_entropy.figures.entries import AnyEntry
from lit_entropy.reproduce.budget import Budget
from lit_entropy.reproduce.jobs import plan


def rules_digest(figures: Sequence[AnyEntry], budget: Budget) -> str:
    """First 12 digits of the SHA-256 of what decides the verdicts before there is a run.

    It changes with the text of a claim or of its rule, with the seeds and RL steps that verdicts
    need, and with the seeds of the budget's runs and every value of their settings, those of their
    configuration files included; not with captions, pictures, comments or the order of the figures.

    Args:
        figures: every entry of the report, in any order.
        budget: of the runs.
    """
    text = json.dumps(fixed(figures, budget), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fixed(figures: Sequence[AnyEntry], budget: Budget) -> Json:
    """What :func:`rules_digest` digests: by figure its claims and rules, the plan, the runs."""
    return as_json({
        "figures": {
            entry.key: {
                "claims": [[claim.claim, claim.rule] for claim in entry.claims],
                "plan": entries.PLANNED if entry.plan is None else entry.plan,
            }
            for entry in figures
        },
        "runs": {
            name: _run(cell, budget)
            for name, cell in {c.name: c for entry in figures for c in entry.cells}.items()
        },
    })  # fmt: skip


def _run(cell: Cell, budget: Budget) -> dict[str, object]:
    """The seeds of a setting, its arguments and what their files say."""
    first = plan([cell], budget)[0]
    arguments = [word for word in first.settings if not word.endswith(".yaml")]
    return {"seeds": list(budget.seeds(cell)), "arguments": arguments, "files": first.digest}
