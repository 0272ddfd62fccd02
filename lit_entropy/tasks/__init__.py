"""Tasks: where problems come from and how answers are scored."""

from lit_entropy.tasks.base import Task
from lit_entropy.tasks.chain import ChainArithmetic
from lit_entropy.tasks.countdown import Countdown
from lit_entropy.tasks.dataset import DatasetTask
from lit_entropy.tasks.discovery import StrategyDiscovery
from lit_entropy.tasks.reasoning_gym import ReasoningGym
from lit_entropy.tasks.records import DataFile
from lit_entropy.tasks.sums import ShortSums

__all__ = [
    "ChainArithmetic",
    "Countdown",
    "DataFile",
    "DatasetTask",
    "ReasoningGym",
    "ShortSums",
    "StrategyDiscovery",
    "Task",
]
