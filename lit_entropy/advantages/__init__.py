"""Advantage estimators; name any of them by ``model.advantage.class_path``."""

from lit_entropy.advantages.base import AdvantageEstimator
from lit_entropy.advantages.controls import RandomRewards, ShuffledAdvantages
from lit_entropy.advantages.dr_grpo import DrGRPO
from lit_entropy.advantages.exact import ExactGradient
from lit_entropy.advantages.grpo import GRPO
from lit_entropy.advantages.prime import PRIME
from lit_entropy.advantages.reinforce_pp import ReinforcePlusPlus
from lit_entropy.advantages.rloo import RLOO

__all__ = [
    "GRPO",
    "PRIME",
    "RLOO",
    "AdvantageEstimator",
    "DrGRPO",
    "ExactGradient",
    "RandomRewards",
    "ReinforcePlusPlus",
    "ShuffledAdvantages",
]
