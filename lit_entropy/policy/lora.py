"""Low-rank adapters (Hu et al., arXiv 2106.09685) by peft, set into the model itself.

The model keeps its class: only its adapted layers are peft's. Its base weights are frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lit_entropy.functional.rng import uniforms

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

_ADAPTER = "default"


@dataclass
class LoraOptions:
    """Adapters W + (alpha / rank) B A on linear layers; the update starts at 0.

    Attributes:
        rank: rows of A and columns of B.
        alpha: scale; what is added to a weight is alpha / rank times B A.
        dropout: must be 0: dropout would make log-probs of the same weights differ.
        target_modules: names or endings of names of the layers, or all-linear for every linear
            layer but the head.
        seed: keys the random A.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: str | list[str] = "all-linear"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"lora.rank={self.rank}: use at least 1")
        if not self.alpha > 0:
            raise ValueError(f"lora.alpha={self.alpha}: must be above 0, 32 say")
        if self.dropout != 0:
            raise ValueError(
                f"lora.dropout={self.dropout}: must be 0, or log-probs of the same weights differ "
                "from call to call and ratios do not start at 1"
            )
        if not self.target_modules:
            raise ValueError("lora.target_modules is empty: name layers, or all-linear")


def add_adapters(model: PreTrainedModel, options: LoraOptions) -> None:
    """Freeze a model and set adapters into it, in place; what it computes stays the same.

    A is uniform in +-1/sqrt(inputs), as a linear layer's own weight, and B is 0. Both are float32
    whatever the dtype of the base.

    Raises:
        ValueError: peft is not installed, no layer has such a name, a named layer is not linear, or
            it is a head that is tied to the input embedding.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.lora import LoraLayer
    except ImportError as error:
        raise ValueError(
            "model.policy.lora needs the package peft: pip install 'lit_entropy[lora]', or leave "
            "model.policy.lora out"
        ) from error
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=0.0,
        target_modules=options.target_modules,
    )
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    try:
        with torch.random.fork_rng():  # peft draws from the global state; replaced below
            inject_adapter_in_model(config, model, _ADAPTER)
    except ValueError as error:
        raise ValueError(f"lora.target_modules={options.target_modules!r}: {error}") from error
    if tied and isinstance(model.get_output_embeddings(), LoraLayer):
        raise ValueError(
            f"lora.target_modules={options.target_modules!r}: the head shares its weight with the "
            "input embedding, so that it cannot be adapted alone; leave it out"
        )
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer):
            _start(name, layer, options)


def _start(name: str, layer: LoraLayer, options: LoraOptions) -> None:
    """Float32 adapters with an A that is a function of seed and name alone."""
    adapters = layer.lora_A
    if _ADAPTER not in adapters or not isinstance(down := adapters[_ADAPTER], nn.Linear):
        raise ValueError(
            f"lora.target_modules={options.target_modules!r}: {name} is no linear layer; name "
            "linear layers, or all-linear"
        )
    up = layer.lora_B[_ADAPTER]
    assert isinstance(up, nn.Linear)  # as its other half
    down.float(), up.float()  # in place
    rows, columns = (torch.arange(size) for size in down.weight.shape)
    draws = uniforms(options.seed, "lora", name, rows[:, None], columns)
    with torch.no_grad():
        down.weight.copy_((2 * draws - 1) / down.in_features**0.5)
        up.weight.zero_()


@torch.no_grad()
def fold_adapters(model: Any) -> None:
    """Add the adapters to the weights, in place, and start them again at 0.

    Sums are float32, rounded once to the dtype of the base weight.
    """
    for layer in model.modules():
        if _ADAPTER in getattr(layer, "lora_B", {}):
            weight = layer.base_layer.weight
            delta = layer.get_delta_weight(_ADAPTER)
            weight.copy_((weight.float() + delta.float()).to(weight.dtype))
            layer.lora_B[_ADAPTER].weight.zero_()


@torch.no_grad()
def merged_state_dict(model: Any) -> dict[str, Tensor]:
    """The model's state under the names of a model without adapters, with the adapters added in.

    Sums are float32, rounded once to the dtype of the base weight. The model is not changed;
    tensors without an adapter are the model's own, not copies.
    """
    state: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        owner, _, leaf = key.rpartition(".")
        if ".lora_" in key:
            continue
        name = owner.removesuffix(".base_layer")
        if name != owner and leaf == "weight":
            delta = model.get_submodule(name).get_delta_weight(_ADAPTER)
            value = (value.float() + delta.float()).to(value.dtype)
        state[f"{name}.{leaf}" if name else leaf] = value
    return state
