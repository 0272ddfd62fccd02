"""What was probably meant by a word that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names nearest to a word, the nearest first; none where none is near.

    Args:
        word: as written; the last part of a path counts alone as well.
        names: what is known.
        count: most names.
    """
    names = list(dict.fromkeys(names))
    near = get_close_matches(word, names, n=count, cutoff=0.7)
    if not near and "/" in word:
        near = get_close_matches(word.rpartition("/")[2], names, n=count, cutoff=0.7)
    return near


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """``; did you mean KLCov?``, empty where no name is near."""
    near = closest(word, names)
    return f"; did you mean {' or '.join(near)}?" if near else ""
