"""Base models of any width and the LightningModule that pretrains one."""

import math
from collections.abc import Iterable

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from lit_entropy.pretraining.data import IGNORED, Batch

#: Hidden width of each named size; two layers, heads of 16, MLP of 2.5 times the width.
SIZES = {"xs": 32, "s": 64, "m": 128, "l": 256}
MAX_TOKENS = 256


def width_of(size: str) -> int:
    """The hidden width of a named size.

    Raises:
        ValueError: for another size.
    """
    if size not in SIZES:
        raise ValueError(f"size is {size!r}: choose one of {', '.join(SIZES)}")
    return SIZES[size]


def build_model(hidden: int, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """A fresh Qwen2 in float32; weights from the global generator.

    Args:
        hidden: width, a multiple of 16: 64 makes 96 k parameters, 256 1.5 M.
        tokenizer: sets the vocabulary and the special tokens.

    Raises:
        ValueError: for a width that is no positive multiple of 16.
    """
    if hidden < 16 or hidden % 16:
        raise ValueError(f"width is {hidden}: give a multiple of 16, that of a head")
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=5 * hidden // 2,
        num_hidden_layers=2,
        num_attention_heads=hidden // 16,
        num_key_value_heads=hidden // 16,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        use_sliding_window=False,
        initializer_range=hidden**-0.5 / 2,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen2ForCausalLM(config)


class Pretraining(LightningModule):
    """Next-token training on response tokens with AdamW, linear warm-up and cosine decay.

    Args:
        model: causal LM to train.
        learning_rate: peak learning rate.
        steps: optimizer steps of the whole run, for the schedule.
    """

    def __init__(self, model: Qwen2ForCausalLM, learning_rate: float, steps: int) -> None:
        super().__init__()
        self.model, self.learning_rate, self.steps = model, learning_rate, steps

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Summed cross entropy (nats) of the response tokens, divided by ``batch.tokens``."""
        loss = self._cross_entropy(batch) / batch.tokens
        self.log("pretrain/loss", loss, prog_bar=True)
        return loss

    @torch.no_grad()
    def mean_loss(self, batches: Iterable[Batch]) -> float:
        """Mean cross entropy (nats) a response token, over the tokens of all batches."""
        total, count = 0.0, 0
        for batch in batches:
            total += float(self._cross_entropy(batch))
            count += batch.scored()
        return total / count

    def _cross_entropy(self, batch: Batch) -> Tensor:
        logits_BLV = self.model(input_ids=batch.ids_BL[:, :-1], use_cache=False).logits
        return nn.functional.cross_entropy(
            logits_BLV.flatten(0, 1), batch.labels_BL[:, 1:].flatten(), ignore_index=IGNORED,
            reduction="sum",
        )  # fmt: skip

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.scale)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def scale(self, step: int) -> float:
        """Factor on the peak learning rate: 100 steps (at most a tenth) up, a cosine down to 0."""
        warmup = max(1, min(100, self.steps // 10))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup))
