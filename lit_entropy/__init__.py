"""Study, reproduce and control policy entropy in RL of reasoning language models (2505.22617)."""

from importlib.metadata import version

__version__ = version("lit_entropy")
