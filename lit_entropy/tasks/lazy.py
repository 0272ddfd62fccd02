"""Training problems of a procedural task, each made when it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

from lit_entropy.types import Problem

#: Problems that an iteration makes at a time: a draw costs as much for one as for many.
BLOCK = 64


class LazyProblems(Sequence[Problem]):
    """A sequence of problems that are pure functions of their numbers.

    Args:
        size: number of problems.
        make: the problems of some numbers, in their order.
    """

    def __init__(self, size: int, make: Callable[[Sequence[int]], list[Problem]]) -> None:
        self.size, self._make = size, make

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Problem: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Problem]: ...

    def __getitem__(self, index: int | slice) -> Problem | Sequence[Problem]:
        """Problem ``index``, or the list of a slice, which is made in one go."""
        if isinstance(index, slice):
            return self._make(range(*index.indices(self.size)))
        if not -self.size <= index < self.size:
            raise IndexError(f"problem {index} of {self.size}")
        return self._make([int(index) % self.size])[0]

    def __iter__(self) -> Iterator[Problem]:
        """All problems, made some at a time."""
        for start in range(0, self.size, BLOCK):
            yield from self[start : start + BLOCK]
