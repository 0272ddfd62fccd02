"""Held-out prompts are encoded once a run, and again where another takes its id."""

from collections.abc import Sequence

from lit_entropy.evaluation.prompts import HeldOutPrompts
from lit_entropy.types import Problem


def test_a_problem_is_encoded_once() -> None:
    asked: list[list[str]] = []

    def encode(problems: Sequence[Problem]) -> list[list[int]]:
        asked.append([str(problem.prompt) for problem in problems])
        return [[len(asked), *map(ord, str(problem.prompt))] for problem in problems]

    known, (a, b) = HeldOutPrompts(), (Problem(0, "a", "1"), Problem(1, "b", "2"))
    assert known.encode([a, b], encode) == [[1, 97], [1, 98]]
    assert known.encode([b, a, b], encode) == [[1, 98], [1, 97], [1, 98]]
    assert known.encode([Problem(0, "a", "1")], encode) == [[1, 97]]  # made again by a lazy list
    assert known.encode([], encode) == [] and len(asked) == 1
    other = Problem(0, "c", "1")  # another problem of that id
    assert known.encode([b, other], encode) == [[1, 98], [2, 99]] and asked[1] == ["c"]
    assert known.encode([a, other], encode) == [[4, 97], [4, 99]]  # both at once


def test_a_text_is_decoded_once() -> None:
    known, asked = HeldOutPrompts(), []

    def decode(tokens: list[int]) -> str:
        asked.append(tokens)
        return " ".join(map(str, tokens))

    assert [known.text([1, 2], decode), known.text([1, 2], decode)] == ["1 2", "1 2"]
    assert known.text([12], decode) == "12" and asked == [[1, 2], [12]]
