"""Regularizers: per-token losses added to any policy loss; list them in ``model.regularizers``."""

from lit_entropy.regularizers.adaptive_entropy import AdaptiveEntropy
from lit_entropy.regularizers.base import Regularizer
from lit_entropy.regularizers.entropy_bonus import EntropyBonus
from lit_entropy.regularizers.reference_kl import ReferenceKL

__all__ = ["AdaptiveEntropy", "EntropyBonus", "ReferenceKL", "Regularizer"]
