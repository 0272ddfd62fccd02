"""The pretraining module: the loss by a slow route, the schedule by hand."""

from __future__ import annotations

import pytest
import torch

from lit_entropy.pretraining.data import IGNORED, Batch
from lit_entropy.pretraining.model import Pretraining, build_model, width_of
from lit_entropy.pretraining.tokenizer import character_tokenizer


def test_the_loss_is_summed_over_response_tokens_and_divided() -> None:
    torch.manual_seed(0)
    model = build_model(32, character_tokenizer())
    ids_BL = torch.randint(4, 21, (3, 9))
    labels_BL = ids_BL.clone()
    labels_BL[:, :4] = IGNORED
    labels_BL[1, 6:] = IGNORED
    module = Pretraining(model, 1e-3, 10)
    total, count = 0.0, 0
    for row in range(3):
        logp = model(ids_BL[row : row + 1]).logits[0].log_softmax(-1)
        for place in range(1, 9):
            if labels_BL[row, place] != IGNORED:
                total -= logp[place - 1, labels_BL[row, place]].item()
                count += 1
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = Batch(ids_BL, labels_BL, 0)
    assert batch.scored() == count
    for tokens in (count, 40.0):
        loss = module.training_step(batch._replace(tokens=tokens), 0)
        assert loss.item() == pytest.approx(total / tokens, rel=1e-5)
    # over several batches every token counts alike: the second has rows 0 alone
    lone = Batch(ids_BL[:1], labels_BL[:1], 1)
    alone = module.training_step(lone, 0).item()
    expected = (total + alone) / (count + lone.scored())
    assert module.mean_loss([batch, lone]) == pytest.approx(expected, rel=1e-5)


def test_schedule_by_hand() -> None:
    module = Pretraining(torch.nn.Linear(1, 1), 1e-3, 20)
    # Warm-up of 20 // 10 = 2 steps, then half a cosine over 18.
    scales = [module.scale(step) for step in (0, 1, 2, 11, 20)]
    assert scales == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0], abs=1e-12)


def test_sizes_have_widths_of_whole_heads() -> None:
    assert [width_of(size) for size in ("xs", "s", "m", "l")] == [32, 64, 128, 256]
    assert build_model(48, character_tokenizer()).config.num_attention_heads == 3
    with pytest.raises(ValueError, match="size is 'big'"):
        width_of("big")
    for width in (0, 8, 40, -16):
        with pytest.raises(ValueError, match=f"width is {width}: give a multiple of 16"):
            build_model(width, character_tokenizer())
