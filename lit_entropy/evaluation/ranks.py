"""The same calls of an engine on every rank, although ranks differ in their held-out problems.

A sharded policy that no rank holds whole answers in step: taking its weights and asking it for
entropies are collectives, so that ranks make as many calls, each of as many rows.
"""

from collections.abc import Sequence
from typing import TypeVar

from lit_entropy.types import Problem

Batch = Sequence[Problem]
Item = TypeVar("Item")


def rank_batches(problems: Batch, ranks: int, size: int, index: int) -> list[Batch]:
    """Batch ``index`` of every rank; an empty one of a rank that has no more problems.

    Args:
        problems: all held-out problems, dealt to the ranks in turn.
        ranks: their number.
        size: problems of a batch.
        index: number of the batch.
    """
    return [problems[rank::ranks][index * size : (index + 1) * size] for rank in range(ranks)]


def most_batches(problems: int, ranks: int, size: int, limit: int | float) -> int:
    """Batches of the first rank, which has the most.

    Args:
        problems: number of held-out problems, dealt to the ranks in turn.
        ranks: their number.
        size: problems of a batch.
        limit: the trainer's: a number of batches, or as float a share of them.
    """
    share = -(-problems // ranks)
    batches = -(-share // size)
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def in_problem_order(shares: Sequence[Sequence[Item]]) -> list[Item]:
    """What the ranks have found of their problems, in the order in which those were dealt.

    Args:
        shares: of each rank, one item a problem.
    """
    rounds = range(max(map(len, shares), default=0))
    return [share[dealt] for dealt in rounds for share in shares if dealt < len(share)]


def in_step(own: Batch, peers: Sequence[Batch]) -> list[Problem]:
    """``own`` problems, filled up by repeated ones to the number of the rank with the most.

    Args:
        own: this rank's.
        peers: all ranks'; none where ranks may differ.
    """
    missing = max(map(len, peers), default=0) - len(own)
    everyone = (problem for peer in peers for problem in peer)
    return [*own, *([next(everyone)] * missing if missing > 0 else [])]
