"""How many selected tokens change with the microbatches: ``python tests/step/selected_tokens.py``.

The eight updates of the first RL step of ``chain-s``: their rollout is the same whatever the
microbatches, their policies differ from the second update on by what rounding does to gradients.
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from recording_losses import Recording, Tokens  # noqa: E402
from runs import ALONE, fit  # noqa: E402

LOSSES = ("RecordingKLCov", "RecordingClipCov")
PRECISIONS = ("32-true", "bf16-mixed")
#: Microbatches of an update, compared with one; and the responses of all, in groups of 8.
MICROBATCHES, RESPONSES, UPDATES = (2, 8, 32), 256, 8


@cache
def selected(
    loss: str, precision: str, microbatches: int, seed: int, responses: int
) -> list[Tokens]:
    """The tokens that a loss selects for each update by the rollout of a seed."""
    Recording.selections.clear()
    with tempfile.TemporaryDirectory() as folder:
        fit(
            Path(folder), *ALONE, f"--model.loss=recording_losses.{loss}",
            f"--trainer.precision={precision}", "--trainer.max_epochs=1",
            f"--trainer.accumulate_grad_batches={microbatches}", "--data.group_size=8",
            f"--data.prompts_per_step={responses // 8}",
            f"--data.minibatch_size={responses // UPDATES}", f"--seed_everything={seed}",
        )  # fmt: skip
    assert len(Recording.selections) == UPDATES
    return list(Recording.selections)


def changed(
    loss: str, precision: str, microbatches: int, seeds: range, responses: int = RESPONSES
) -> tuple[int, int]:
    """Of the tokens selected with one microbatch, those that are not with more; and all."""
    missing = total = 0
    for seed in seeds:
        with_one = selected(loss, precision, 1, seed, responses)
        with_more = selected(loss, precision, microbatches, seed, responses)
        missing += sum(len(one - more) for one, more in zip(with_one, with_more, strict=True))
        total += sum(map(len, with_one))
    return missing, total


def main(seeds: range) -> None:
    """Print the table of docs/pitfalls.md."""
    for loss in LOSSES:
        for precision in PRECISIONS:
            counts = [changed(loss, precision, count, seeds) for count in MICROBATCHES]
            print(loss, precision, *[f"{a} of {b}, {a / b:.2%};" for a, b in counts], flush=True)


if __name__ == "__main__":
    main(range(3))
