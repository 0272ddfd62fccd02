"""Processes of their own, forked from one that has imported everything: a start takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from lit_entropy.cli.main import main
from lit_entropy.jobs.runner import redirect

NOTHING: Mapping[str, str] = {}
#: Module that the process has imported which others are forked from: it has fitted once.
PRELOADED = "warm"


def start(
    log: Path,
    function: Callable[..., object],
    *arguments: Any,
    environment: Mapping[str, str] = NOTHING,
) -> BaseProcess:
    """Call a function of a module in a new process; what it prints goes to ``log``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    with pytest.MonkeyPatch.context() as patch:  # it looks for modules where its environment says
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()
    process = context.Process(target=_call, args=(log, dict(environment), function, arguments))
    process.start()
    return process


def start_command(
    log: Path, arguments: list[str], environment: Mapping[str, str] = NOTHING
) -> BaseProcess:
    """The command line in a new process."""
    return start(log, main, arguments, environment=environment)


def _call(
    log: Path, environment: dict[str, str], function: Callable[..., object], arguments: Any
) -> None:
    import torch
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    redirect(log)
    os.environ.update(environment)
    # Lightning reads it at import, which the process that is forked has behind it
    rank_zero_only.rank = int(environment.get("RANK", 0))
    torch.set_num_threads(1)
    try:
        function(*arguments)
    except SystemExit:  # of a command that has said why
        raise
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
