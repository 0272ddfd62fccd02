"""Lightning callbacks that measure a run; each reads what the module offers and logs numbers."""

from lit_entropy.callbacks.base import RolloutCallback
from lit_entropy.callbacks.covariance import CovarianceMonitor
from lit_entropy.callbacks.entropy import EntropyMonitor
from lit_entropy.callbacks.entropy_delta import EntropyDelta
from lit_entropy.callbacks.entropy_dynamics import EntropyDynamics
from lit_entropy.callbacks.entropy_law import EntropyLaw
from lit_entropy.callbacks.initial_validation import InitialValidation
from lit_entropy.callbacks.progress import RLProgressBar
from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.callbacks.samples import Samples
from lit_entropy.callbacks.strategy_shares import StrategyShares
from lit_entropy.callbacks.summary import RunSummary
from lit_entropy.callbacks.theorem_check import TheoremCheck
from lit_entropy.callbacks.token_page import TokenPage
from lit_entropy.callbacks.update_anatomy import UpdateAnatomy

__all__ = [
    "CovarianceMonitor",
    "EntropyDelta",
    "EntropyDynamics",
    "EntropyLaw",
    "EntropyMonitor",
    "InitialValidation",
    "RLProgressBar",
    "RolloutCallback",
    "RunCheckpoint",
    "RunSummary",
    "Samples",
    "StrategyShares",
    "TheoremCheck",
    "TokenPage",
    "UpdateAnatomy",
]
