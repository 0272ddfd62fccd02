"""Evaluation on held-out problems: decoding, records, scores and reports."""

from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.evaluation.sampling import SetSampling

__all__ = ["Evaluation", "SetSampling"]
