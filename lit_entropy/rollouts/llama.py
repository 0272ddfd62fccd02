"""What decoding reads of a small model of Llama's kind: weights of the same inputs, joined.

See :mod:`lit_entropy.rollouts.llama_step` for what is computed with it.
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
    if not single or torch.is_autocast_enabled(weight.device.type):
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
