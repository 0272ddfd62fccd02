"""Decoding with a small model of Llama's kind in fewer operations than its own pass has.

With few rows or little width a decoding step costs what its calls cost, and attention of one query
a row is slow in kernels that are made for many. Here weights that read the same numbers are joined,
positions are looked up, and attention is two products of batches: 109 operations in place of 186
for two layers, and none that would make the host wait for a GPU.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

#: Kinds of models whose pass this is; ones with sliding windows or norms of queries are not.
FAMILIES = ("Llama", "Qwen2")
#: Most parameters: beyond, products rule the time, and joined weights are a second copy.
LARGEST = 20_000_000
#: Rotary frequencies that do not depend on the length of a sequence.
_ROTARY = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True)
class Layer:
    """Weights of a layer: joined copies, and for products of ``x @ W`` transposed views."""

    norm: Tensor
    queries_keys_values: Tensor
    bias: Tensor | None
    output: Tensor
    later_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class LlamaWeights:
    """What a decoding step reads of a model.

    Attributes:
        layers: its layers.
        embedding: [V, D].
        norm: of the last hidden states.
        head: [V, D].
        eps: of every norm.
        heads: query heads.
        kv_heads: heads of keys and values.
        scaling: of the scores.
        cos: [L, head size], of each position.
        sin: the same, the first half negated.
    """

    layers: list[Layer]
    embedding: Tensor
    norm: Tensor
    head: Tensor
    eps: float
    heads: int
    kv_heads: int
    scaling: float
    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, model: nn.Module, positions: int) -> Self | None:
        """The weights of a model, or None for one that is not decoded by them.

        Args:
            model: the causal LM; its weights are copied in part.
            positions: most tokens of a sequence.
        """
        if not is_plain_llama(model):
            return None
        base: Any = model.model
        first = base.layers[0].self_attn
        places = torch.arange(positions, device=base.norm.weight.device)[None]
        cos_1LD, sin_1LD = base.rotary_emb(base.norm.weight, places)
        half = first.head_dim // 2
        sin_LD = torch.cat([-sin_1LD[0, :, :half], sin_1LD[0, :, half:]], -1)
        config: Any = model.config
        return cls(
            layers=[_layer(layer) for layer in base.layers],
            embedding=base.embed_tokens.weight,
            norm=base.norm.weight,
            head=model.lm_head.weight,  # type: ignore[union-attr, arg-type]
            eps=config.rms_norm_eps,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            scaling=first.scaling,
            cos=cos_1LD[0],
            sin=sin_LD,
        )


def is_plain_llama(model: nn.Module) -> bool:
    """Whether a decoding step of a model is that of this file.

    It is for transformers' own classes of :data:`FAMILIES`, small, in float32 or float64 without
    autocast, whose layers are as they were made: no hook, adapter or shard, no other forward or
    attention.
    """
    family = type(model).__name__.removesuffix("ForCausalLM")
    config: Any = getattr(model, "config", None)
    if family not in FAMILIES or set(_layer_types(config)) != {"full_attention"}:
        return False
    if sum(parameter.numel() for parameter in model.parameters()) > LARGEST:
        return False
    weight = next(model.parameters())
    single = weight.dtype in (torch.float32, torch.float64)
    kind = weight.device.type
    if not single or (kind != "meta" and torch.is_autocast_enabled(kind)):
        return False
    home = f"transformers.models.{family.lower()}.modeling_{family.lower()}"
    rotary: Any = model.get_submodule("model.rotary_emb")
    return (
        config.hidden_act == "silu"
        and config._attn_implementation in ("sdpa", "eager")
        and rotary.rope_type in _ROTARY
        and all(_untouched(module, home) for module in model.modules())
        and not any(
            module.bias is not None
            for name, module in model.named_modules()
            if name.endswith(("o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"))
        )
    )


def cache_bytes(model: nn.Module) -> int:
    """Bytes of the keys and values of a token, of a model that :func:`is_plain_llama`."""
    base: Any = model.model
    numbers = sum(
        part.out_features
        for layer in base.layers
        for part in (layer.self_attn.k_proj, layer.self_attn.v_proj)
    )
    return int(numbers) * base.norm.weight.element_size()


def _layer_types(config: Any) -> list[str]:
    kinds: list[str] | None = getattr(config, "layer_types", None)
    return kinds or ["full_attention"]


def _untouched(module: nn.Module, home: str) -> bool:
    """Whether a module is one of the model's file or torch's own, with nothing added to it."""
    kind = type(module)
    known = kind.__module__ in (home, "transformers.activations") or kind in (
        nn.Linear, nn.Embedding, nn.ModuleList, nn.SiLU,
    )  # fmt: skip
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    weights = [weight for weight in module._parameters.values() if weight is not None]
    plain = all(type(weight) is nn.Parameter for weight in weights)
    own = kind is nn.ModuleList or kind.forward.__module__ == kind.__module__
    return known and plain and own and not any(hooks) and "forward" not in vars(module)


def _layer(layer: Any) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    biases = [part.bias for part in parts if part.bias is not None]
    return Layer(
        norm=layer.input_layernorm.weight,
        queries_keys_values=torch.cat([part.weight for part in parts]),
        bias=torch.cat(biases) if biases else None,
        output=attention.o_proj.weight.t(),
        later_norm=layer.post_attention_layernorm.weight,
        gate_up=torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]),
        down=mlp.down_proj.weight.t(),
    )


@dataclass
class LlamaContinuation:
    """Continues rows token by token; see :class:`lit_entropy.rollouts.cached.Continuation`.

    Attributes:
        weights: of the model.
        cache: keys and values of each row, by layer.
        bias_N1L: 0 on tokens and -inf on padding, N for each row and head of keys.
        positions_B: of the next token of each row.
    """

    weights: LlamaWeights
    cache: Any
    bias_N1L: Tensor
    positions_B: Tensor

    @classmethod
    def after(cls, weights: LlamaWeights, cache: Any, mask_BL: Tensor, width: int) -> Self:
        """Continue prompts of ``width`` columns.

        Args:
            weights: of the model.
            cache: keys and values of the prompts, by layer.
            mask_BL: bool, False on padding alone; columns of tokens to come are True.
            width: columns of the prompts.
        """
        bias = torch.zeros(mask_BL.shape, dtype=weights.norm.dtype, device=mask_BL.device)
        bias = bias.masked_fill(~mask_BL, -torch.inf).repeat_interleave(weights.kv_heads, 0)
        return cls(weights, cache, bias[:, None], mask_BL[:, :width].sum(1))

    def next_logits(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token of each row."""
        weights = self.weights
        turn = weights.cos[self.positions_B, None], weights.sin[self.positions_B, None]
        self.positions_B = self.positions_B + 1
        states_BD = nn.functional.embedding(tokens_B, weights.embedding)
        for layer, held in zip(weights.layers, self.cache.layers, strict=True):
            states_BD = self._through(layer, held, states_BD, turn)
        return nn.functional.linear(self._normed(states_BD, weights.norm), weights.head)

    def keep(self, rows_N: Tensor) -> None:
        """Keep these rows (int64), in this order."""
        self.cache.reorder_cache(rows_N)
        self.positions_B = self.positions_B[rows_N]
        heads = self.weights.kv_heads
        self.bias_N1L = self.bias_N1L.unflatten(0, (-1, heads))[rows_N].flatten(0, 1)

    def _through(
        self, layer: Layer, held: Any, states_BD: Tensor, turn: tuple[Tensor, Tensor]
    ) -> Tensor:
        """The states after a layer."""
        weights, rows = self.weights, len(states_BD)
        heads, kv_heads = weights.heads, weights.kv_heads
        normed_BD = self._normed(states_BD, layer.norm)
        every = nn.functional.linear(normed_BD, layer.queries_keys_values, layer.bias)
        every_BHE = every.view(rows, heads + 2 * kv_heads, -1)
        turned_BHE = _turned(every_BHE[:, : heads + kv_heads], *turn)
        keys, values = held.update(
            turned_BHE[:, heads:, None], every_BHE[:, heads + kv_heads :, None]
        )
        queries = turned_BHE[:, :heads].reshape(rows * kv_heads, heads // kv_heads, -1)
        scores = torch.baddbmm(
            self.bias_N1L[:, :, : keys.shape[2]],
            queries, keys.flatten(0, 1).transpose(1, 2), alpha=weights.scaling,
        )  # fmt: skip
        seen = torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(rows, -1)
        states_BD = torch.addmm(states_BD, seen, layer.output)
        normed_BD = self._normed(states_BD, layer.later_norm)
        gate, up = nn.functional.linear(normed_BD, layer.gate_up).chunk(2, -1)
        return torch.addmm(states_BD, nn.functional.silu(gate) * up, layer.down)

    def _normed(self, states_BD: Tensor, weight_D: Tensor) -> Tensor:
        return nn.functional.rms_norm(states_BD, weight_D.shape, weight_D, self.weights.eps)


def _turned(states_BHE: Tensor, cos_B1E: Tensor, sin_B1E: Tensor) -> Tensor:
    """Queries and keys rotated to their positions."""
    swapped_BHE = states_BHE.roll(states_BHE.shape[-1] // 2, -1)
    return torch.addcmul(states_BHE * cos_B1E, swapped_BHE, sin_B1E)
