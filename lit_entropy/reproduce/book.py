"""Every figure of the paper in the order of the report."""

from __future__ import annotations

from lit_entropy.reproduce.entries import Entry

ENTRIES: tuple[Entry, ...] = ()
