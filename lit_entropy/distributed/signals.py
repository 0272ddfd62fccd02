"""SIGTERM to one rank ends all of them, and none waits for another that has gone."""

import os
import threading
from types import FrameType

import torch
import torch.distributed as dist
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from lightning.pytorch.utilities.exceptions import SIGTERMException

#: Seconds that the ranks have to agree on the end, before the one with the signal leaves.
GRACE = 30.0
#: Exit code of a process that SIGTERM ended.
TERMINATED = 143


def end_together(
    connector: _SignalConnector, epoch_loop: _TrainingEpochLoop, device: torch.device
) -> None:
    """Let the ranks end after the same batch, whichever of them has received SIGTERM.

    Lightning's handler makes a broadcast while the other ranks are anywhere else, and asks rank 0
    alone: a signal to another one left both waiting. Here the handler notes the signal, and the
    ranks ask each other before each batch, where Lightning asks rank 0. A rank that is not asked
    within :data:`GRACE` seconds ends at once, which its peers notice at their next exchange; a
    checkpoint is whole at any time. Ranks that have agreed have all the time that loggers need.

    Args:
        connector: the trainer's, before it registers its handlers.
        epoch_loop: of the fit.
        device: where the ranks exchange tensors.
    """
    noted = threading.Event()
    timer = threading.Timer(GRACE, os._exit, (TERMINATED,))
    timer.daemon = True  # ranks that end sooner do not wait for it

    def note(signum: int, frame: FrameType | None) -> None:
        if not noted.is_set():
            noted.set()
            timer.start()

    def agree() -> None:
        flag = torch.tensor([int(noted.is_set())], device=device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        if flag.item():
            timer.cancel()  # for good: a signal to this rank from now on changes nothing
            raise SIGTERMException

    connector._sigterm_notifier_fn = note  # type: ignore[method-assign, assignment]
    epoch_loop._broadcast_sigterm_tensor = agree  # type: ignore[method-assign]
