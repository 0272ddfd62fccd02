"""Loads the fixtures where tests run; xdist's main process runs none and needs no torch."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
#: They start first, the longest at the head: a worker that starts one last works alone at the end.
LONG = (
    "reliability/test_kills.py",
    "advantages/test_prime_training.py",
    "cli/test_cli.py",
    "reliability/test_faults.py",
    "jobs/test_runner.py",
    "docs/test_docs_commands.py",
    "reliability/test_wandb_runs.py",
    "reproduce/test_smoke.py",
    "test_module.py",
    "checkpoints/test_resume.py",
    "reliability/test_error_census.py",
    "callbacks/test_run_checkpoint.py",
    "test_notebooks.py",
    "sweep/test_sweep_command.py",
    "step/test_selected_tokens.py",
    "docs/test_metric_dictionary.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Load them, but for the process that only hands tests to workers."""
    distributes = bool(config.getoption("numprocesses", None)) and not hasattr(
        config, "workerinput"
    )
    if not distributes:
        gc.disable()  # half a million objects are imported, none of them garbage
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that are long first; the others stay in the order in which they were found."""
    places = {TESTS / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """What was imported is not looked at in the collections of every fit."""
    gc.freeze()
    gc.enable()
