"""Notices of other packages at every start that are not about the run."""

import logging
import warnings


def is_no_advertisement(record: logging.LogRecord) -> bool:
    """Whether a message of Lightning is about the run, not about packages to install."""
    return "💡 Tip" not in record.getMessage()


def hide_notices() -> None:
    """Hide them; what they are about need not be imported yet."""
    # values that are logged have been reduced over the ranks already
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(is_no_advertisement)
    # a notice of torch to Lightning, on every start
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    # said at every resume; the folders of another run are refused, see RunCheckpoint
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    # the arguments are always given: those of the process, with shipped configurations found
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
