"""One RL step: prompts, rollout, rewards, advantages, minibatches; no Trainer inside."""
