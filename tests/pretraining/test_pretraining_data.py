"""Batches of pretraining: labels, padding, determinism."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch

from lit_entropy.pretraining.data import IGNORED, Batch, PretrainingBatches
from lit_entropy.pretraining.options import Average
from lit_entropy.pretraining.responses import Mixture, pretraining_texts
from lit_entropy.pretraining.tokenizer import character_tokenizer

MIXTURE = Mixture(0.4, 0.1, 4, 0.2, 0.3, 0.6, 0.05)
TOKENIZER = character_tokenizer()


def batches(steps: int, seed: int = 0, average: Average = "token") -> list[Batch]:
    texts = partial(pretraining_texts, max_length=6, mixture=MIXTURE, seed=seed)
    return list(PretrainingBatches(TOKENIZER, texts, 4, steps, seed, average))


def test_labels_cover_the_response_and_nothing_else() -> None:
    for ids_BL, labels_BL, _ in batches(5):
        for ids, labels in zip(ids_BL.tolist(), labels_BL.tolist(), strict=True):
            text = TOKENIZER.decode(ids, skip_special_tokens=True)
            scored = TOKENIZER.decode([i for i in labels if i != IGNORED])
            assert text.split(" ")[1] + "<eos>" == scored
            assert all(label in (IGNORED, i) for label, i in zip(labels, ids, strict=True))


def test_a_window_holds_every_text_once_and_is_bucketed() -> None:
    window = batches(16)
    texts = [
        TOKENIZER.decode(row, skip_special_tokens=True) for ids_BL, *_ in window for row in ids_BL
    ]
    expected = [p + r for p, r in pretraining_texts(torch.arange(64), 6, MIXTURE, 0)]
    assert sorted(texts) == sorted(expected)
    spans = sorted(
        (min(lengths), max(lengths))
        for lengths in ([(row != 0).sum().item() for row in ids_BL] for ids_BL, *_ in window)
    )
    assert all(high <= low for (_, high), (low, _) in pairwise(spans))


def test_all_tokens_of_a_window_weigh_the_same_or_those_of_a_batch() -> None:
    texts = pretraining_texts(torch.arange(64), 6, MIXTURE, 0)
    per_batch = sum(len(response) + 1 for _, response in texts) / 16
    window, own = batches(16), batches(16, average="batch")
    assert {batch.tokens for batch in window} == {per_batch}
    assert [batch.tokens for batch in own] == [batch.scored() for batch in window]
    assert sum(batch.scored() for batch in window) == 16 * per_batch
    # bucketed by length: a token of the shortest responses would weigh several times as much
    assert max(batch.tokens for batch in own) > 3 * min(batch.tokens for batch in own)


def test_batches_depend_on_the_seed_alone() -> None:
    first, again, other = batches(20), batches(20), batches(20, seed=1)
    assert len(first) == 20
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert any(
        a[0].shape != b[0].shape or (a[0] != b[0]).any() for a, b in zip(first, other, strict=True)
    )
