"""What a case of the GPU check returns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Measured:
    """The numbers of one case.

    Attributes:
        values: numbers, and words that say what was measured, by name.
        limits: the largest value that passes, of those that decide.
    """

    values: dict[str, float | str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """The values that exceed their limits or are no number, each with its limit."""
        return [
            f"{name}={self.values[name]} exceeds {limit}"
            for name, limit in self.limits.items()
            if not float(self.values[name]) <= limit
        ]
