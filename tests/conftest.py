"""Loads the fixtures where tests run; xdist's main process runs none and needs no torch."""

from __future__ import annotations

import gc

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Load them, but for the process that only hands tests to workers."""
    distributes = bool(config.getoption("numprocesses", None)) and not hasattr(
        config, "workerinput"
    )
    if not distributes:
        gc.disable()  # half a million objects are imported, none of them garbage
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_collection_finish() -> None:
    """What was imported is not looked at in the collections of every fit."""
    gc.freeze()
    gc.enable()
