"""Entropy over the distinct final answers of a prompt's samples."""

import hashlib

import torch
from torch import Tensor

#: Code of a response that names no answer; all of them count as one answer.
NO_ANSWER = -1


def answer_code(answer: str | None) -> int:
    """A stable 63-bit code of an answer's text, never negative; ``NO_ANSWER`` for None."""
    if answer is None:
        return NO_ANSWER
    digest = hashlib.blake2b(answer.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def answer_entropy(answers_PG: Tensor) -> Tensor:
    """Plug-in entropy - sum_a p(a) log p(a) of the answers of each prompt, p(a) = count / G.

    Token entropy can rise while the entropy of the answers falls (2507.14843). The plug-in estimate
    is at most log G and biased low by about (answers - 1) / (2 G).

    Args:
        answers_PG: int64 codes [P, G]; equal codes are equal answers.

    Returns:
        float64 [P], nats.

    Raises:
        ValueError: the codes are not [P, G] with G >= 1.
    """
    if answers_PG.dim() != 2 or answers_PG.shape[1] < 1:
        raise ValueError(
            f"answers_PG has shape {tuple(answers_PG.shape)}: give [P, G], one sample or more"
        )
    equal_PGG = answers_PG[:, :, None] == answers_PG[:, None, :]
    shares_PG = equal_PGG.double().mean(2)  # p of each sample's own answer
    return -torch.log(shares_PG).mean(1) + 0.0  # the sum over samples weighs each answer by p
