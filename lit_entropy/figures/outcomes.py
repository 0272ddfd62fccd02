"""What a run came to: levels of the last fifth, gains over another method, matched compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lit_entropy.figures.estimates import Estimate, by_seed, over_seeds, paired, plateau
from lit_entropy.figures.runs import Run
from lit_entropy.figures.style import curve

ENTROPY, LENGTH, ACCURACY = "entropy/token_mean", "rollout/length", "val/accuracy"


def entropy_plateau(run: Run) -> float:
    """Mean token entropy of the last fifth, nats."""
    return plateau(run, ENTROPY)


def length_plateau(run: Run) -> float:
    """Mean response length of the last fifth, tokens."""
    return plateau(run, LENGTH)


def accuracy_plateau(run: Run) -> float:
    """Mean held-out accuracy of the validations in the last fifth."""
    return plateau(run, ACCURACY)


def gain(
    group: Sequence[Run], base: Sequence[Run], value: Callable[[Run], float]
) -> Estimate | None:
    """``value`` of ``group`` minus that of ``base``, paired by seed."""
    return paired(by_seed(group, value), by_seed(base, value))


def generated_tokens(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Held-out accuracy against the tokens that were generated for it.

    Returns:
        At each validation, the response tokens of all rollouts so far (length x groups x samples a
        group), and the accuracy.

    Raises:
        ValueError: the run lacks a key, or the fact ``group_size``.
    """
    if "group_size" not in run.facts:
        raise ValueError(
            f"run {run.name!r} has no facts['group_size']: the samples a prompt of its config"
        )
    (step_N, length_N), (group_step_N, groups_N) = curve(run, LENGTH), curve(run, "rollout/groups")
    if not np.array_equal(step_N, group_step_N):
        raise ValueError(f"run {run.name!r}: '{LENGTH}' and 'rollout/groups' differ in their steps")
    total_N = np.cumsum(length_N * groups_N) * float(run.facts["group_size"])
    validated_N, accuracy_N = curve(run, ACCURACY)
    rows_N = np.searchsorted(step_N, validated_N, side="right")  # rollouts before a validation
    return np.concatenate([[0.0], total_N])[rows_N], accuracy_N


def matched_compute(groups: Mapping[str, Sequence[Run]], base: str) -> dict[str, Any]:
    """Held-out accuracy of each label at one number of generated tokens.

    Returns:
        ``matched``: ``tokens``, the fewest of any run; by label ``accuracy`` after them, estimates,
        interpolated between validations, and ``accuracy_gain`` over ``base``, paired by seed. None
        if a run does not count its tokens; ``matched_missing`` then says why.
    """
    try:
        spent = {run.name: generated_tokens(run) for group in groups.values() for run in group}
    except ValueError as error:
        return {"matched": None, "matched_missing": str(error)}
    budget = min(float(tokens_N[-1]) for tokens_N, _ in spent.values())

    def value(run: Run) -> float:
        return float(np.interp(budget, *spent[run.name]))

    return {
        "matched": {
            "tokens": budget,
            "accuracy": {label: over_seeds(group, value) for label, group in groups.items()},
            "accuracy_gain": {
                label: gain(group, groups[base], value) for label, group in groups.items()
            },
        },
        "matched_missing": None,
    }
