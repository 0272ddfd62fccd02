"""Checkpoints with one bit flipped: refused in a few lines, or what was written bit for bit."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from same_runs import apart

from lit_entropy.checkpoints.io import AtomicCheckpointIO
from lit_entropy.errors import CheckpointError

MOST_LINES = 5


@dataclass
class Flips:
    """What became of copies with one bit flipped.

    Attributes:
        flips: how many were read.
        refused: of these.
        identical: those that hold what was written.
        wrong: those that hold anything else, or end in another error; the bit and what happened.
    """

    flips: int = 0
    refused: int = 0
    identical: int = 0
    wrong: list[str] = field(default_factory=list)


def flip_bits(checkpoint: Path, count: int, copy: Path, seed: int = 0) -> Flips:
    """Read copies of a checkpoint as a resume does.

    Args:
        checkpoint: as it was written.
        count: bits to flip, one a copy, in equal distances over the file.
        copy: a place for the copies.
        seed: of the first of them.
    """
    content, found = bytearray(checkpoint.read_bytes()), Flips()
    written = torch.load(checkpoint, weights_only=True)
    distance = max(1, len(content) * 8 // count) | 1  # odd: every place within a byte
    for bit in range(random.Random(seed).randrange(distance), len(content) * 8, distance):
        content[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(content)
        content[bit // 8] ^= 1 << bit % 8
        found.flips += 1
        try:
            differs = apart(AtomicCheckpointIO().load_checkpoint(copy), written, "")
        except CheckpointError as error:
            found.refused += 1
            if not 1 <= len(str(error).splitlines()) <= MOST_LINES:
                found.wrong.append(f"bit {bit}: {error}")
        except Exception as error:
            found.wrong.append(f"bit {bit}: {type(error).__name__}: {error}"[:300])
        else:
            found.identical += not differs
            found.wrong += [f"bit {bit}: {differs[:3]}"] * bool(differs)
    return found
