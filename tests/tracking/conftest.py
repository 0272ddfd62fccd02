"""W&B without the login, the settings and the service of this machine."""

from __future__ import annotations

import os

import pytest
import wandb


@pytest.fixture
def clean_wandb(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("WANDB") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield monkeypatch
    if wandb.run is not None:
        wandb.finish()
    wandb.teardown()  # the service of a process remembers the server of this test
