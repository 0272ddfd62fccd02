"""One RL step: prompts, rollout, rewards, advantages, minibatches; no Trainer inside."""

from lit_entropy.step.collector import Collector

__all__ = ["Collector"]
