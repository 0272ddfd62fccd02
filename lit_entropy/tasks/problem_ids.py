"""Ids of held-out problems, which key the random numbers of their samples and pair policies."""

from collections.abc import Sequence
from itertools import islice

from lit_entropy.tasks.prompt_limit import SAMPLE
from lit_entropy.types import Problem


def require_distinct(problems: Sequence[Problem]) -> None:
    """Refuse two held-out problems of one source with one id.

    A list is checked whole, a lazy sequence by its first ones.

    Raises:
        ValueError: names both and the remedy.
    """
    checked = problems if isinstance(problems, list) else islice(problems, SAMPLE)
    places: dict[tuple[str, int], int] = {}
    for place, problem in enumerate(checked):
        other = places.setdefault((problem.source, problem.id), place)
        if other != place:
            where = f" of {problem.source!r}" if problem.source else ""
            raise ValueError(
                f"data.task: validation problems {other} and {place}, from 0,{where} both have the "
                f"id {problem.id}, which keys their samples' random numbers and pairs policies in "
                "compare: give each its own Problem.id"
            )
