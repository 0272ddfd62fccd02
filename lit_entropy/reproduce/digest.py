"""The digest of what is fixed before the runs: claims, rules, seeds and sizes."""

import hashlib
import json
from collections.abc import Sequence

from lit_entropy.figures import entries
from lit_entropy.figures.as_json import Json, as_json
from lit_entropy.figures.entries import AnyEntry
from lit_entropy.reproduce.budget import Budget


def rules_digest(figures: Sequence[AnyEntry], budget: Budget) -> str:
    """First 12 digits of the SHA-256 of what decides the verdicts before there is a run.

    It changes with the text of a claim or of its rule, with the seeds and RL steps that verdicts
    need, and with the seeds and sizes of the budget's runs; not with captions, pictures or the
    order of the figures.

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
            cell.name: {"seeds": list(budget.seeds(cell)), "steps": budget.steps_of(cell)}
            for entry in figures
            for cell in entry.cells
        },
        "rollout": budget.rollout,
    })  # fmt: skip
