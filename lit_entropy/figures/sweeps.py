"""Level of entropy and accuracy for every coefficient of a regularizer."""

from collections.abc import Sequence
from dataclasses import dataclass

from lit_entropy.figures.estimates import Estimate, Paired, by_x, labelled, over_seeds
from lit_entropy.figures.outcomes import accuracy_plateau, entropy_plateau, gain, ratio
from lit_entropy.figures.runs import Run

BASELINE = "GRPO"


@dataclass(frozen=True)
class Sweep:
    """Lists over ``coefficients``."""

    label: str
    coefficients: list[float]  # ascending, 0 first
    seeds: list[list[int]]
    # means of the last fifth, nats and fraction
    entropy: list[Estimate]
    accuracy: list[Estimate]
    # differences to coefficient 0 and multiples of it, paired by seed; None without a common seed
    entropy_gain: list[Paired | None]
    accuracy_gain: list[Paired | None]
    entropy_ratio: list[Estimate | None]

    def place(self, coefficient: float) -> int | None:
        """Place of a coefficient in the lists; None if it was not run."""
        near = [i for i, c in enumerate(self.coefficients) if abs(c - coefficient) < 1e-12]
        return near[0] if near else None


def sweep(runs: Sequence[Run], label: str) -> dict[float, list[Run]]:
    """The runs of a label by coefficient, ascending; coefficient 0 is GRPO.

    Where no run of ``label`` has ``x = 0``, those labelled "GRPO" are taken for it.

    Raises:
        ValueError: no run of the label, one without ``x``, or none for coefficient 0.
    """
    groups = by_x(labelled(runs, label)[label])
    return groups if 0.0 in groups else {0.0: labelled(runs, BASELINE)[BASELINE], **groups}


def measure_sweep(runs: Sequence[Run], label: str) -> Sweep:
    """What each coefficient came to.

    Raises:
        ValueError: as :func:`sweep`, or a run lacks ``entropy/token_mean`` or ``val/accuracy``.
    """
    groups = sweep(runs, label)
    return Sweep(
        label,
        list(groups),
        [[run.seed for run in group] for group in groups.values()],
        [over_seeds(group, entropy_plateau) for group in groups.values()],
        [over_seeds(group, accuracy_plateau) for group in groups.values()],
        [gain(group, groups[0.0], entropy_plateau) for group in groups.values()],
        [gain(group, groups[0.0], accuracy_plateau) for group in groups.values()],
        [ratio(group, groups[0.0], entropy_plateau) for group in groups.values()],
    )
