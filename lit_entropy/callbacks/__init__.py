"""Lightning callbacks that measure a run; each reads what the module offers and logs numbers."""

from lit_entropy.callbacks.base import RolloutCallback
from lit_entropy.callbacks.covariance import CovarianceMonitor
from lit_entropy.callbacks.entropy import EntropyMonitor
from lit_entropy.callbacks.entropy_delta import EntropyDelta
from lit_entropy.callbacks.initial_validation import InitialValidation
from lit_entropy.callbacks.progress import RLProgressBar
from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.callbacks.samples import Samples
from lit_entropy.callbacks.summary import RunSummary

__all__ = [
    "CovarianceMonitor",
    "EntropyDelta",
    "EntropyMonitor",
    "InitialValidation",
    "RLProgressBar",
    "RolloutCallback",
    "RunCheckpoint",
    "RunSummary",
    "Samples",
]
