"""Parameter counts by formula, against published numbers and against models that are built."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

from lit_entropy.planning.shape import Shape, shape_of
from lit_entropy.policy.dry_run import published_config
from lit_entropy.policy.published import published_models

TINY = {"vocab_size": 50, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}


@pytest.mark.parametrize("name", sorted(published_models()))
def test_the_formula_gives_the_published_number_of_parameters(name: str) -> None:
    assert shape_of(published_config(name)).parameters == published_models()[name].parameters


def test_qwen_7b_by_hand() -> None:
    shape = shape_of(published_config("Qwen/Qwen2.5-7B"))
    # q and o 3584 x 3584, k and v 3584 x 512; three of 3584 x 18944; two norms; biases of q, k, v
    layer = 2 * 3584**2 + 2 * 3584 * 512 + 3 * 3584 * 18944 + 2 * 3584 + 3584 + 2 * 512
    assert shape.layer_parameters == layer == 233_057_792
    assert shape.outside == 2 * 152_064 * 3584 + 3584 == 1_089_998_336
    assert shape.parameters == 28 * layer + 1_089_998_336 == 7_615_616_512


@pytest.mark.parametrize("kind", [Qwen2Config, LlamaConfig])
@pytest.mark.parametrize("tied", [True, False])
def test_a_built_model_has_as_many(kind: type, tied: bool) -> None:
    config = kind(**TINY, **HEADS, tie_word_embeddings=tied)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = shape_of(config)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    linear = [m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"]
    products = sum(layer.weight.numel() for layer in linear)
    assert shape.layers * shape.layer_products == products
    assert shape.decode_products == products + 50 * 24
    adapters = sum(5 * (layer.in_features + layer.out_features) for layer in linear)
    assert shape.low_rank(5) == adapters


def test_a_model_that_the_formulas_do_not_describe_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model_type='gpt2'.*qwen2"):
        shape_of(GPT2Config())


def test_the_width_of_a_head_may_be_left_out() -> None:
    config = Qwen2Config(**TINY, num_attention_heads=4, num_key_value_heads=2)
    assert shape_of(config) == Shape(24, 3, 24, 12, 4, 40, 50, False, True)
