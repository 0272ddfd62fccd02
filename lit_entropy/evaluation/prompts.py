"""Prompts of held-out problems, which every validation asks for again."""

from collections.abc import Callable, Sequence

from lit_entropy.types import Problem

#: Token ids of each problem's prompt.
Encode = Callable[[Sequence[Problem]], list[list[int]]]


class HeldOutPrompts:
    """Token ids and texts of prompts, each made once.

    A problem is known by being the same object: it is what a data module keeps for a run.
    """

    def __init__(self) -> None:
        self._ids: dict[int, tuple[Problem, list[int]]] = {}
        self._texts: dict[tuple[int, ...], str] = {}

    def encode(self, problems: Sequence[Problem], encode: Encode) -> list[list[int]]:
        """Token ids of each problem's prompt, by ``encode`` where they are not known."""
        new = [problem for problem in problems if id(problem) not in self._ids]
        for problem, tokens in zip(new, encode(new) if new else [], strict=True):
            self._ids[id(problem)] = (problem, tokens)  # kept, so that the id stays its own
        return [self._ids[id(problem)][1] for problem in problems]

    def text(self, tokens: list[int], decode: Callable[[list[int]], str]) -> str:
        """The text of a prompt, by ``decode`` where it is not known."""
        key = tuple(tokens)
        if key not in self._texts:
            self._texts[key] = decode(tokens)
        return self._texts[key]
