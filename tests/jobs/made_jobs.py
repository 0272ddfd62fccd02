"""A run of any settings, for tests of what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lit_entropy.jobs.job import Job


@dataclass(frozen=True)
class Made(Job):
    """A run of some arguments of ``fit``."""

    settings: tuple[str, ...] = ("--config", "own.yaml")
    folder: Path = Path()
    name: str = "own"

    @property
    def root(self) -> Path:
        """The folder of its configuration files."""
        return self.folder
