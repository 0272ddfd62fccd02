"""Prompts of held-out problems, which every validation asks for again."""

from collections.abc import Callable, Sequence

from lit_entropy.types import Problem

#: Token ids of each problem's prompt.
Encode = Callable[[Sequence[Problem]], list[list[int]]]


class HeldOutPrompts:
    """Token ids and texts of prompts, each made once for a problem that stays the same."""

    def __init__(self) -> None:
        self._ids: dict[int, tuple[Problem, list[int]]] = {}  # by the problem's id
        self._texts: dict[tuple[int, ...], str] = {}

    def encode(self, problems: Sequence[Problem], encode: Encode) -> list[list[int]]:
        """Token ids of each problem's prompt, by ``encode`` where they are not known."""
        new = [problem for problem in problems if not self._knows(problem)]
        found = encode(new) if new else []
        for problem, tokens in zip(new, found, strict=True):
            self._ids[problem.id] = (problem, tokens)
        if all(map(self._knows, problems)):
            return [self._ids[problem.id][1] for problem in problems]
        return encode(problems)  # two problems of one id

    def _knows(self, problem: Problem) -> bool:
        known = self._ids.get(problem.id)
        return known is not None and (known[0] is problem or known[0] == problem)

    def text(self, tokens: list[int], decode: Callable[[list[int]], str]) -> str:
        """The text of a prompt, by ``decode`` where it is not known."""
        key = tuple(tokens)
        if key not in self._texts:
            self._texts[key] = decode(tokens)
        return self._texts[key]
