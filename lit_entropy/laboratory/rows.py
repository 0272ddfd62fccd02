"""The words that the rules are written in: a row compares, a setting says when it holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What is compared: a prediction with the realised change of entropy.

    Attributes:
        label: the assumption that is given up, in words.
        condition: name of the cell that is trained.
        prediction: column of the runs' states.
        held_out: the states are the held-out prompts.
        foretold_by_training: of held-out prompts: in the means over states the prediction is that
            of the training prompts, which is all that a theorem knows.
        costs: giving it up is claimed to cost R².
        reference: label of the row that has all but this; empty for the first.
    """

    label: str
    condition: str
    prediction: str
    held_out: bool = False
    foretold_by_training: bool = False
    costs: bool = False
    reference: str = ""


@dataclass(frozen=True)
class Setting:
    """When a prediction holds, of 95 % t intervals over seeds.

    Attributes:
        least_r2: limit above which that of R² from state to state lies.
        slope_within: largest distance from 1 of that of the slope.
        sign_agreement: limit above which that of the share of states with the same sign lies; 0
            where signs are not asked for.
    """

    least_r2: float
    slope_within: float
    sign_agreement: float = 0.0

    @property
    def rule(self) -> str:
        """It in words."""
        sign = f" and the same sign at more than {100 * self.sign_agreement:g} % of the states"
        return (
            f"95 % intervals from state to state: R² above {self.least_r2:g}, slope within "
            f"{self.slope_within:g} of 1{sign if self.sign_agreement else ''}"
        )
