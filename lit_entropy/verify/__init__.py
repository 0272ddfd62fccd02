"""Answer checkers: is the answer that a response gives the reference answer?"""

from lit_entropy.verify.base import AnswerChecker
from lit_entropy.verify.choice import ChoiceChecker
from lit_entropy.verify.countdown import CountdownChecker
from lit_entropy.verify.jail import CheckerError
from lit_entropy.verify.knights import KnightsChecker
from lit_entropy.verify.math_answers import MathChecker
from lit_entropy.verify.number import NumberChecker

__all__ = [
    "AnswerChecker",
    "CheckerError",
    "ChoiceChecker",
    "CountdownChecker",
    "KnightsChecker",
    "MathChecker",
    "NumberChecker",
]
