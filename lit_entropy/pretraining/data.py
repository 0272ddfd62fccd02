"""Batches of pretraining: bucketed by length, determined by the seed."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerFast

from lit_entropy.functional.rng import permutation
from lit_entropy.pretraining.options import Average
from lit_entropy.pretraining.tokenizer import SPACE

IGNORED = -100  # the label that torch's cross entropy leaves out


class Batch(NamedTuple):
    """Texts of one step.

    Attributes:
        ids_BL: token ids.
        labels_BL: the same on response tokens, ``IGNORED`` elsewhere.
        tokens: what the summed loss of a step is divided by.
    """

    ids_BL: Tensor
    labels_BL: Tensor
    tokens: float

    def scored(self) -> int:
        """Number of response tokens."""
        return int((self.labels_BL != IGNORED).sum())


class PretrainingBatches(IterableDataset[Batch]):
    """Yields the texts of each step.

    Windows of 16 batches are sorted by length before they are cut, so that a batch holds texts
    of about one length and little padding; the order of the batches in a window is shuffled. A
    mean over each batch's own tokens would therefore weigh the tokens of short responses more, and
    a base would take to short styles more often than its mixture says: ``average`` "token"
    divides by the mean number of response tokens of the window's batches, so that all weigh the
    same.

    Args:
        tokenizer: the character tokenizer.
        texts: (prompt, response) number i for each of int64 indices i [N].
        batch_size: sequences a step.
        steps: number of batches.
        seed: determines the order of the batches.
        average: over the response tokens of all batches, or of each batch.
    """

    window = 16

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        texts: Callable[[Tensor], list[tuple[str, str]]],
        batch_size: int,
        steps: int,
        seed: int,
        average: Average = "token",
    ) -> None:
        self.tokenizer, self.texts = tokenizer, texts
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self.average = average
        self._ids = {
            symbol.replace(SPACE, " "): token for symbol, token in tokenizer.get_vocab().items()
        }

    def __iter__(self) -> Iterator[Batch]:
        per_window = self.window * self.batch_size
        for start in range(0, self.steps, self.window):
            first = start * self.batch_size
            texts = self.texts(torch.arange(first, first + per_window))
            texts.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
            order = permutation(self.window, self.seed, "pretrain-window", start).tolist()
            mean = sum(len(response) + 1 for _, response in texts) / self.window
            for place in order[: self.steps - start]:
                batch = self._collate(
                    texts[place * self.batch_size : (place + 1) * self.batch_size]
                )
                yield batch._replace(tokens=mean) if self.average == "token" else batch

    def _collate(self, texts: list[tuple[str, str]]) -> Batch:
        width = max(len(prompt) + len(response) for prompt, response in texts) + 1
        ids_BL = torch.full((len(texts), width), self.tokenizer.pad_token_id)
        labels_BL = torch.full((len(texts), width), IGNORED)
        for row, (prompt, response) in enumerate(texts):
            ids = [self._ids[c] for c in prompt + response] + [self.tokenizer.eos_token_id]
            ids_BL[row, : len(ids)] = torch.tensor(ids)
            labels_BL[row, len(prompt) : len(ids)] = ids_BL[row, len(prompt) : len(ids)]
        batch = Batch(ids_BL, labels_BL, 0)
        return batch._replace(tokens=batch.scored())
