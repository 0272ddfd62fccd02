"""Clip-Cov and KL-Cov that note which tokens they select, by identity."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from lit_entropy.losses import ClipCov, KLCov, PolicyLoss
from lit_entropy.types import LossBatch, PolicyOutput

Tokens = set[tuple[int, int, int]]


class Recording(PolicyLoss):
    """Mixin: the selection of every update, as (prompt id, sample id, token index).

    With the environment variable SELECTIONS set, also written to ``<SELECTIONS>-<rank>.jsonl``.
    """

    selections: ClassVar[list[Tokens]] = []

    def select(self, policy: PolicyOutput, batch: LossBatch) -> Tensor:
        selected_BT = super().select(policy, batch)
        assert batch.prompt_ids_B is not None and batch.sample_ids_B is not None
        tokens = {
            (int(batch.prompt_ids_B[row]), int(batch.sample_ids_B[row]), token)
            for row, token in selected_BT.nonzero().tolist()
        }
        Recording.selections.append(tokens)
        if "SELECTIONS" in os.environ:
            rank = os.environ.get("LOCAL_RANK", "0")
            with Path(f"{os.environ['SELECTIONS']}-{rank}.jsonl").open("a") as file:
                file.write(json.dumps(sorted(tokens)) + "\n")
        return selected_BT


class RecordingKLCov(Recording, KLCov):
    """KL-Cov on a tenth of the tokens."""

    def __init__(self) -> None:
        super().__init__(fraction=0.1)


class RecordingClipCov(Recording, ClipCov):
    """Clip-Cov that draws a twentieth of the tokens out of a wide band."""

    def __init__(self) -> None:
        super().__init__(fraction=0.05, bounds=(0.05, 10.0), clip_low=0.2, clip_high=0.2)
