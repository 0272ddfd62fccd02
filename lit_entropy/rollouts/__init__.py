"""Rollout engines: where responses are sampled."""

from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.local import LocalEngine

__all__ = ["LocalEngine", "RolloutEngine"]
