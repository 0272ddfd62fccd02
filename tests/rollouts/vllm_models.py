"""A tiny model that vLLM runs on a CPU: its attention heads have size 32."""

from __future__ import annotations

from pathlib import Path

from tiny_models import build_tiny_model

from lit_entropy.policy import Policy


def policy(folder: Path, seed: int = 0) -> Policy:
    """A random model with the symbols of the chain task."""
    return Policy(build_tiny_model(folder, hidden=64, seed=seed))
