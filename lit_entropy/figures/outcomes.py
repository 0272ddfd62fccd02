"""What a run came to: levels of the last fifth, and gains over another method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lit_entropy.figures.estimates import (
    Estimate,
    Paired,
    by_seed,
    first,
    middle,
    over_seeds,
    paired,
    paired_ratio,
    plateau,
)
from lit_entropy.figures.runs import Run
from lit_entropy.figures.seeds import course

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


def change(run: Run, key: str) -> float:
    """The last finite ``key`` of a run minus the first.

    Raises:
        ValueError: the run has it once or never.
    """
    _, value_N = course(run, key)
    return float(value_N[-1] - value_N[0])


def gain(group: Sequence[Run], base: Sequence[Run], value: Callable[[Run], float]) -> Paired | None:
    """``value`` of ``group`` minus that of ``base``, paired by seed."""
    return paired(by_seed(group, value), by_seed(base, value))


def ratio(
    group: Sequence[Run], base: Sequence[Run], value: Callable[[Run], float]
) -> Estimate | None:
    """``value`` of ``group`` as a multiple of that of ``base``, paired by seed."""
    return paired_ratio(by_seed(group, value), by_seed(base, value))


@dataclass(frozen=True)
class Levels:
    """What the runs of one method came to; estimates over seeds."""

    seeds: list[int]
    # of the first rollout and the last fifth, nats
    entropy_first: Estimate
    entropy_plateau: Estimate
    # differences to the baseline, paired by seed
    entropy_gain: Paired | None
    # of responses, tokens
    length_first: Estimate
    length_plateau: Estimate
    length_gain: Paired | None
    accuracy: Estimate  # of the validations in the last fifth
    accuracy_gain: Paired | None
    late_change: Estimate  # accuracy of the last fifth minus that around the middle of the run
    # entropy of the last fifth as a multiple of the baseline's, paired by seed
    entropy_ratio: Estimate | None


def levels(group: Sequence[Run], base: Sequence[Run]) -> Levels:
    """What ``group`` came to, beside ``base``.

    Raises:
        ValueError: a run lacks a key.
    """
    return Levels(
        seeds=[run.seed for run in group],
        entropy_first=over_seeds(group, lambda run: first(run, ENTROPY)),
        entropy_plateau=over_seeds(group, entropy_plateau),
        entropy_gain=gain(group, base, entropy_plateau),
        length_first=over_seeds(group, lambda run: first(run, LENGTH)),
        length_plateau=over_seeds(group, length_plateau),
        length_gain=gain(group, base, length_plateau),
        accuracy=over_seeds(group, accuracy_plateau),
        accuracy_gain=gain(group, base, accuracy_plateau),
        late_change=over_seeds(group, lambda run: accuracy_plateau(run) - middle(run, ACCURACY)),
        entropy_ratio=ratio(group, base, entropy_plateau),
    )
