"""Study, reproduce and control policy entropy in RL of reasoning language models (2505.22617)."""

from importlib import import_module
from typing import Any

from lit_entropy.release import VERSION

__version__ = VERSION
__all__ = ["EntropyModule", "Policy", "PromptDataModule"]

_HOMES = {
    "EntropyModule": "lit_entropy.module",
    "Policy": "lit_entropy.policy",
    "PromptDataModule": "lit_entropy.data",
}


def __getattr__(name: str) -> Any:
    """The short names, imported when they are asked for: torch is not loaded before."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lit_entropy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
