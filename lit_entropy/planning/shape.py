"""The numbers of a decoder-only transformer that decide its memory and its operations."""

from dataclasses import dataclass

from transformers import PreTrainedConfig

from lit_entropy.errors import DryRunError

#: Model types whose layers are grouped-query attention and a gated MLP, as the formulas assume.
KNOWN_TYPES = ("qwen2", "llama", "mistral")


@dataclass(frozen=True)
class Shape:
    """Widths and counts of a model.

    Attributes:
        hidden: D, width of the residual stream.
        layers: number of transformer layers.
        queries: heads times the width of a head.
        keys: key-value heads times the width of a head; values have the same width.
        heads: query heads.
        intermediate: inner width of the gated MLP.
        vocab: V.
        tied: whether the head is the input embedding.
        biased: whether query, key and value projections have a bias.
    """

    hidden: int
    layers: int
    queries: int
    keys: int
    heads: int
    intermediate: int
    vocab: int
    tied: bool
    biased: bool

    @property
    def layer_products(self) -> int:
        """Parameters of a layer that take part in matrix products."""
        attention = 2 * self.hidden * (self.queries + self.keys)
        return attention + 3 * self.hidden * self.intermediate

    @property
    def layer_parameters(self) -> int:
        """Parameters of a layer: products, two norms and biases."""
        bias = self.queries + 2 * self.keys if self.biased else 0
        return self.layer_products + 2 * self.hidden + bias

    @property
    def embedding(self) -> int:
        """Parameters of one embedding, V * D."""
        return self.vocab * self.hidden

    @property
    def outside(self) -> int:
        """Parameters outside the layers: embedding, head if it is its own, and final norm."""
        return self.embedding * (1 if self.tied else 2) + self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.layer_parameters + self.outside

    @property
    def decode_products(self) -> int:
        """Parameters that a generated token is multiplied with: the layers' and the head's."""
        return self.layers * self.layer_products + self.embedding

    def low_rank(self, rank: int) -> int:
        """Parameters of LoRA adapters (2106.09685) of a rank on every projection of the layers."""
        inputs = 3 * self.hidden + self.queries + 2 * self.hidden + self.intermediate
        outputs = self.queries + 2 * self.keys + self.hidden
        return self.layers * rank * (inputs + outputs + 2 * self.intermediate + self.hidden)


def shape_of(config: PreTrainedConfig) -> Shape:
    """The shape of a model from its transformers configuration.

    Raises:
        DryRunError: a model type that the formulas do not describe.
    """
    if config.model_type not in KNOWN_TYPES:
        raise DryRunError(
            f"model_type={config.model_type!r}: the plan's formulas are for {KNOWN_TYPES}; name a "
            "model of a like size and one of these types"
        )
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        queries=config.num_attention_heads * head,
        keys=config.num_key_value_heads * head,
        heads=config.num_attention_heads,
        intermediate=config.intermediate_size,
        vocab=config.vocab_size,
        tied=bool(config.tie_word_embeddings),
        biased=config.model_type == "qwen2" or bool(getattr(config, "attention_bias", False)),
    )
