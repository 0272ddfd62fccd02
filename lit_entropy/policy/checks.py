"""Questions that a policy asks of a model and its tokenizer once, at construction."""

import inspect
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lit_entropy.policy.lora import LoraOptions

#: Config entries of models that transform the logits after their head (Gemma, Cohere, Granite...).
_LOGIT_TRANSFORMS = (
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "output_multiplier",
)


def check_tokenizer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, used_ids: list[int]
) -> None:
    """Refuse a tokenizer with ids that the model cannot embed.

    Args:
        model: the causal LM.
        tokenizer: its tokenizer.
        used_ids: further ids that must exist: padding and ends of sequence.

    Raises:
        ValueError: an id lies outside the input or output embedding.
    """
    rows = min(
        model.get_input_embeddings().get_parameter("weight").shape[0],
        model.get_output_embeddings().get_parameter("weight").shape[0],
    )
    largest = max([len(tokenizer) - 1, *used_ids])
    if largest >= rows:
        raise ValueError(
            f"tokenizer={tokenizer.name_or_path!r}: its largest id {largest} lies outside the "
            f"model's embedding of {rows} rows; use the tokenizer that belongs to the model"
        )


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids that end a response; a config class's default id that is an ordinary token is refused."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    ids = [int(i) for i in dict.fromkeys([tokenizer.eos_token_id, *ids]) if i is not None]
    if not ids:
        raise ValueError(
            "eos_token_id=None: neither the tokenizer nor the generation config names an "
            "end-of-sequence token; set one, or no response ever ends"
        )
    special = {tokenizer.eos_token_id, *tokenizer.added_tokens_decoder}
    if ordinary := [i for i in ids if i not in special]:
        raise ValueError(
            f"eos_token_id={ordinary}: the generation config ends responses at ordinary tokens "
            f"{tokenizer.convert_ids_to_tokens(ordinary)}; correct its eos_token_id"
        )
    return ids


def context_length(config: PreTrainedConfig) -> int | None:
    """Tokens of the longest sequence that a model computes in one way; None without a limit.

    With longrope the frequencies of all positions change once the longest sequence of a batch
    exceeds the original context: beyond it, a token's log-prob depends on what comes later.
    Dynamic frequencies change beyond ``max_position_embeddings``.

    Args:
        config: the model's; that of the text model in a multimodal one counts.
    """
    text = config.get_text_config()
    limits = [getattr(text, name, None) for name in ("max_position_embeddings", "max_seq_len")]
    ropes = getattr(text, "rope_parameters", None) or {}
    for rope in (ropes, *(value for value in ropes.values() if isinstance(value, dict))):
        if rope.get("rope_type") == "longrope":
            limits.append(rope["original_max_position_embeddings"])
    return min((int(limit) for limit in limits if limit is not None), default=None)


class Adaptable(Protocol):
    """A policy that may have adapters."""

    lora: LoraOptions | None


@torch.no_grad()
def has_plain_head(model: PreTrainedModel) -> bool:
    """Whether logits are the output embedding of the base model's last hidden states.

    Otherwise (softcapping, logit scales) the model's own forward pass is used, unchunked. Both the
    config and a probe are asked: a softcap is invisible at the small logits of a fresh model.
    """
    config = model.config.get_text_config()
    if any(getattr(config, name, None) is not None for name in _LOGIT_TRANSFORMS):
        return False
    if model.base_model is model:
        return False
    if model.device.type == "meta":  # a dry run: no numbers to probe with
        return True
    ids = torch.arange(4, device=model.device).unsqueeze(0)
    was_training = model.training
    model.eval()
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(hidden)
    expected = model(input_ids=ids, use_cache=False).logits
    model.train(was_training)
    return logits.shape == expected.shape and torch.allclose(logits, expected, 1e-3, 1e-3)


@torch.no_grad()
def check_packing(model: PreTrainedModel) -> None:
    """Refuse a model in which sequences of one row see each other.

    Two sequences in one row are told apart by positions that start again. The second one's hidden
    states must not change with the first one's tokens and must be those of the second one alone.

    Raises:
        ValueError: the model's forward takes no positions, or one sequence sees the other.
    """
    remedy = "set model.policy.packing to false"
    name = type(model).__name__
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise ValueError(f"packing=True: {name}.forward takes no position_ids; {remedy}")
    if model.device.type == "meta":  # a dry run: no numbers to probe with
        return
    ids = torch.arange(6, device=model.device)
    was_training = model.training
    model.eval()
    rows = [torch.cat([ids[:3], ids[2:]]), torch.cat([ids[3:], ids[2:]]), ids[2:]]
    positions = [torch.cat([ids[:3], ids[:4]])] * 2 + [ids[:4]]
    packed, other, alone = (
        model.base_model(input_ids=row[None], position_ids=place[None], use_cache=False)
        .last_hidden_state[0, -4:]
        .float()
        for row, place in zip(rows, positions, strict=True)
    )
    model.train(was_training)
    size = float(alone.abs().max())
    rounding = torch.finfo(next(model.parameters()).dtype).eps
    leak, error = (float((value - packed).abs().max()) / size for value in (other, alone))
    if leak > rounding or error > 100 * rounding:
        raise ValueError(
            f"packing=True: in {name} sequences of one row see each other (a change of the first "
            f"moves the second by {leak:.1e} of its size, and it is off by {error:.1e}); {remedy}"
        )


def check_adapters(policy: Adaptable, parts: Iterable[Any]) -> None:
    """Refuse adapters with a part that compares the policy to its frozen reference.

    Args:
        policy: the policy of the run.
        parts: its advantage estimator and regularizers.

    Raises:
        ValueError: names the parts and the remedy.
    """
    names = [type(part).__name__ for part in parts if part.needs_reference]
    if policy.lora is not None and names:
        raise ValueError(
            f"model.policy.lora is set, but {' and '.join(names)} needs the frozen reference "
            "policy, which is not built for a policy with adapters: leave out model.policy.lora, "
            f"or {' and '.join(names)}"
        )
