"""How large the cases of the GPU check are: for a card, or as small as they run at all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The sizes of one check.

    Attributes:
        base: shipped base of the parity cases.
        prompts: prompts of their rollout.
        samples: responses a prompt.
        limit: most tokens of a response.
        fitted: prompts and samples an RL step, and sequences of a minibatch, of the runs.
        models: architectures with random weights, each updated and, the first one, decoded from.
        rows: sequences of an update.
        tokens: tokens of a sequence, a quarter of them the prompt.
        decoded_rows: sequences decoded at once.
        decoded: most tokens of each.
        head: tokens, vocabulary and width of the head whose memory is measured.
        side: rows of the matrices by which the peak is measured.
        copied: bytes of the copy by which the bandwidth is measured.
        repeats: timed calls, the best of which counts.
        backend: of torch.compile.
    """

    base: str
    prompts: int
    samples: int
    limit: int
    fitted: tuple[int, int, int]
    models: tuple[str, ...]
    rows: int
    tokens: int
    decoded_rows: int
    decoded: int
    head: tuple[int, int, int]
    side: int
    copied: int
    repeats: int
    backend: str


SIZES = {
    "full": Size(
        base="chain-s",
        prompts=32,
        samples=8,
        limit=80,
        fitted=(32, 8, 32),
        models=("qwen2.5-0.5b", "qwen2.5-1.5b"),
        rows=8,
        tokens=512,
        decoded_rows=64,
        decoded=256,
        head=(8192, 151_936, 896),
        side=8192,
        copied=2**30,
        repeats=5,
        backend="inductor",
    ),
    "tiny": Size(
        base="chain-xs",
        prompts=4,
        samples=2,
        limit=24,
        fitted=(4, 4, 8),
        models=("chain-xs",),
        rows=2,
        tokens=16,
        decoded_rows=4,
        decoded=8,
        head=(32, 1024, 16),
        side=64,
        copied=2**16,
        repeats=1,
        backend="eager",  # traced, and left uncompiled: no compiler is needed
    ),
}
