"""Whether a resumed run has the problems that it began with: its prompts are drawn by number."""

import hashlib
import json
from collections.abc import Sequence

from lit_entropy.errors import CheckpointError
from lit_entropy.types import Problem, State


def problems_state(problems: Sequence[Problem]) -> State:
    """What a checkpoint notes of the training problems: their number, and a hash of all in order.

    Nothing of a lazy sequence, which follows from the task's settings alone.
    """
    if not isinstance(problems, list):
        return {}
    found = hashlib.sha256()
    for problem in problems:
        found.update(json.dumps([*problem], sort_keys=True).encode() + b"\n")
    return {"count": len(problems), "hash": found.hexdigest()[:32]}


def require_same_problems(noted: State, found: State) -> None:
    """Refuse to continue on other training problems than those of a checkpoint.

    Args:
        noted: :func:`problems_state` of the run that wrote it; empty where nothing is compared.
        found: that of the run that continues it.

    Raises:
        CheckpointError: names both numbers and the remedy.
    """
    if not noted or not found or noted == found:
        return
    before, now = noted["count"], found["count"]
    what = f"{before} then, {now} now" if now != before else "some differ, or have another place"
    raise CheckpointError(
        f"data.task: the training problems are not those that the run began with ({what}), and "
        "every prompt is drawn by its number: give back the rows, or start another run"
    )
