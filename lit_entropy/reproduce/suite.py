"""The runs behind the figures: what is trained, with how many seeds, and for which figure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from lit_entropy.figures.comparison import DISTRIBUTIONS
from lit_entropy.figures.controls import SINGLE

Kind = Literal["claim", "sweep", "control"]

#: Coefficients of the entropy bonus, Fig. 9; 0 is GRPO itself.
BONUS_COEFFICIENTS = (1e-4, 1e-3, 5e-3, 1e-2)
#: Coefficients of the reference KL, Fig. 10; 0 is GRPO itself.
REFERENCE_COEFFICIENTS = (1e-3, 1e-2, 5e-2, 1e-1)
#: Multiples of Clip-Cov's fraction, Fig. 12; 1 is Clip-Cov itself, whose fraction is 7e-3.
FRACTION_MULTIPLES = (2, 4, 5, 7)
CLIP_COV_FRACTION = 7e-3
#: Coefficients of KL-Cov's penalty, Fig. 12; 1 is KL-Cov itself.
KL_COEFFICIENTS = (0.0, 0.05, 0.1, 0.5)
#: Bases of Fig. 7, smallest first.
LADDER = ("xs", "s", "m", "l")


@dataclass(frozen=True)
class Cell:
    """One setting, trained with several seeds.

    Attributes:
        name: First part of the names of its runs.
        label: The curve it belongs to in the figures.
        experiment: Overlay in ``configs/experiment``, without ``.yaml``.
        figures: Figures and tables that need it.
        overrides: Further settings of the command line, key and value.
        kind: Whether a claim rests on it, or it is one point of a sweep, or a control.
        single_update: Whether a rollout is one minibatch, so that every update is on-policy.
    """

    name: str
    label: str
    experiment: str
    figures: tuple[str, ...]
    overrides: dict[str, str] = field(default_factory=dict)
    kind: Kind = "claim"
    single_update: bool = False


def tiny_suite() -> list[Cell]:
    """Every cell of the tiny suite, those that most figures need first."""
    return [*_methods(), *_algorithms(), *_law(), *_controls(), *_sweeps()]


def _methods() -> list[Cell]:
    return [
        Cell("grpo", "GRPO", "grpo",
             ("1", "2", "3", "5", "6", "7", "9", "10", "11", "13", "table-1", "table-2",
              "dynamics", "controls")),
        Cell("kl_cov", "KL-Cov", "kl_cov", ("11", "12", "table-2")),
        Cell("clip_cov", "Clip-Cov", "clip_cov", ("11", "12", "table-2")),
        Cell("clip_higher", "clip-higher", "clip_higher", ("11", "table-2")),
    ]  # fmt: skip


def _algorithms() -> list[Cell]:
    return [
        Cell("policy_gradient", "policy gradient", "policy_gradient", ("8", "dynamics"),
             single_update=True),
        Cell("rloo", "RLOO", "rloo", ("6",)),
        Cell("reinforce_pp", "REINFORCE++", "reinforce_pp", ("6",)),
        Cell("prime", "PRIME", "prime", ("6",)),
    ]  # fmt: skip


def _law() -> list[Cell]:
    ladder = [
        Cell(f"grpo_{size}", "GRPO", "grpo", ("7",), {"model.policy.model": f"chain-{size}"})
        for size in LADDER
        if size != "s"
    ]
    return [
        Cell("grpo_countdown", "GRPO", "grpo_countdown", ("4", "5b")),
        Cell("grpo_short", DISTRIBUTIONS[1], "grpo_short", ("13",),
             {"data.task.init_args.validation_max_length": "12",
              "data.task.init_args.validation_size": "240"}),
        *ladder,
    ]  # fmt: skip


def _controls() -> list[Cell]:
    cells = {
        "random_rewards": "random rewards",
        "shuffled_advantages": "shuffled advantages",
        "kl_cov_single_update": SINGLE,
    }
    return [
        Cell(name, label, name, ("controls",), kind="control",
             single_update=name.endswith("single_update"))
        for name, label in cells.items()
    ]  # fmt: skip


def _sweeps() -> list[Cell]:
    bonus = [
        Cell(f"entropy_bonus_{c:g}", "entropy bonus", "entropy_bonus", ("9",),
             _regularizer("EntropyBonus", c), "sweep")
        for c in BONUS_COEFFICIENTS
    ]  # fmt: skip
    reference = [
        Cell(f"reference_kl_{c:g}", "reference KL", "reference_kl", ("10",),
             _regularizer("ReferenceKL", c), "sweep")
        for c in REFERENCE_COEFFICIENTS
    ]  # fmt: skip
    clip = [
        Cell(f"clip_cov_x{m}", "Clip-Cov", "clip_cov", ("12",),
             {"model.loss.init_args.fraction": f"{m * CLIP_COV_FRACTION:g}"}, "sweep")
        for m in FRACTION_MULTIPLES
    ]  # fmt: skip
    kl = [
        Cell(f"kl_cov_beta_{c:g}", "KL-Cov", "kl_cov", ("12",),
             {"model.loss.init_args.kl_coef": f"{c:g}"}, "sweep")
        for c in KL_COEFFICIENTS
    ]  # fmt: skip
    return [*bonus, *reference, *clip, *kl]


def _regularizer(name: str, coefficient: float) -> dict[str, str]:
    item = {
        "class_path": f"lit_entropy.regularizers.{name}",
        "init_args": {"coef": coefficient},
    }
    return {"model.regularizers": json.dumps([item])}
