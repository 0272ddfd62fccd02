"""A softmax table as a causal LM: the policy for which the paper's theorems are proved."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    DynamicCache,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast


class SoftmaxTableConfig(PreTrainedConfig):
    """Shape of a :class:`SoftmaxTable`.

    Args:
        vocab_size: V, states and actions alike.
        initializer_range: standard deviation of the logits of a fresh table.
        options: as of every configuration, special tokens say.
    """

    model_type = "softmax_table"

    def __init__(
        self, vocab_size: int = 16, initializer_range: float = 1.0, **options: Any
    ) -> None:
        self.vocab_size, self.initializer_range = vocab_size, initializer_range
        options.setdefault("tie_word_embeddings", False)
        super().__init__(**options)


class SoftmaxTable(PreTrainedModel, GenerationMixin):
    """Logits z(s, a) that depend on the last token s alone: row s of a table [V, V].

    No parameter is shared by two states, so that a gradient step moves each state by itself, as
    Proposition 1 and Theorems 1 and 2 of 2505.22617 assume. It is loaded as every causal LM is
    (``model_type`` ``softmax_table``), and has nothing to cache: decoding is given an empty cache.

    Args:
        config: the shape.
    """

    config_class = SoftmaxTableConfig
    base_model_prefix = "model"  # no such part: logits are no head of hidden states
    _no_split_modules: list[str] = []  # noqa: RUF012  read by transformers

    def __init__(self, config: SoftmaxTableConfig) -> None:
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: DynamicCache | None = None,
        use_cache: bool | None = None,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [B, N, V] after each of the tokens [B, N]; mask and cache change nothing."""
        cache = DynamicCache() if past_key_values is None else past_key_values
        return CausalLMOutputWithPast(
            logits=self.table(input_ids), past_key_values=cache if use_cache is not False else None
        )

    def get_input_embeddings(self) -> nn.Module:
        """The table: a row for each state."""
        return self.table

    def get_output_embeddings(self) -> nn.Module:
        """The table: a column for each action."""
        return self.table

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self.table:
            module.weight.normal_(0.0, self.config.initializer_range)


AutoConfig.register(SoftmaxTableConfig.model_type, SoftmaxTableConfig, exist_ok=True)
AutoModelForCausalLM.register(SoftmaxTableConfig, SoftmaxTable, exist_ok=True)
