"""A model tried on three short sequences: are its log-probs a function of its weights and a row?

Three forward passes of at most twelve tokens, in training mode, as updates make them.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from lit_entropy.policy.casts import autocast_dtype

#: Arguments of a model's forward from tokens [B, N] and the mask [B, L] of all tokens so far.
Inputs = Callable[[Tensor, Tensor], dict[str, Tensor]]


def check_model(name: str, model: PreTrainedModel, inputs: Inputs) -> None:
    """Refuse a model of which ratios between two passes would say nothing.

    Args:
        name: what the error calls the model.
        model: the causal LM; a model on the meta device is taken on trust.
        inputs: arguments of its forward.

    Raises:
        ValueError: it gives NaN, draws random numbers in training mode, a token's log-probs change
            with the tokens after it, or a row's with padding and the other rows of its batch.
    """
    title = f"model={name!r}: {type(model).__name__}"
    _check_jitter(title, model.config)
    if model.device.type == "meta":
        return
    with _training(model):
        row_T = torch.arange(3, 6, device=model.device) % _rows(model)
        first, again = (_batched(model, inputs, row_T) for _ in range(2))
        alone, changed = _pair(model, inputs, row_T)
    if bool(first.isnan().any()):
        raise ValueError(
            f"{title} gives NaN for an ordinary sequence: its weights are damaged or unfinished; "
            "fetch them again, or name another model"
        )
    if not torch.equal(first, again):
        raise ValueError(
            f"{title} draws random numbers in training mode: two passes over the same tokens "
            f"differ by {difference(first, again):.1e} nats, so that no ratio starts at 1; set its "
            "noise to 0 in config.json, or name another model"
        )
    if (gap := difference(alone[:2], changed[:2])) > tolerance(model, alone):
        raise ValueError(
            f"{title} is no causal language model: a token's log-probs change by {gap:.1e} nats "
            "with the token after it; name a decoder (a BERT is one with is_decoder=true only)"
        )
    if (gap := difference(first, alone)) > tolerance(model, alone):
        raise ValueError(
            f"{title}: the log-probs of a row change by {gap:.1e} nats with padding and the other "
            "rows of its batch, so that rollouts and updates would see different policies; name "
            "another model"
        )


def tolerance(model: PreTrainedModel, logprobs: Tensor) -> float:
    """What rounding explains, in nats: a hundred last bits of the largest, at most a twentieth.

    The bits are those of the weights, or of autocast where it is on.
    """
    dtype = autocast_dtype(model) or next(model.parameters()).dtype
    rounding = torch.finfo(dtype).eps
    sizes = torch.where(logprobs.isfinite(), logprobs.abs(), 0.0)
    return min(100 * rounding, 0.05) * float(sizes.max())


def difference(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference, infinite with a NaN; equal infinities do not differ."""
    gap = (one - other).abs().masked_fill(one == other, 0.0)
    return float(gap.nan_to_num(nan=math.inf, posinf=math.inf).max())


@contextmanager
def _training(model: PreTrainedModel) -> Iterator[None]:
    """Training mode without gradients; modes and the global random state are restored."""
    modes = {module: module.training for module in model.modules()}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model.train()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode


def _rows(model: PreTrainedModel) -> int:
    return int(model.get_input_embeddings().get_parameter("weight").shape[0])


def _batched(model: PreTrainedModel, inputs: Inputs, row_T: Tensor) -> Tensor:
    """Log-probs [3, V] of the row with padding on both sides, beside a longer one."""
    longer_L = torch.arange(6, 12, device=row_T.device).flip(0) % _rows(model)
    tokens_BL = torch.stack([torch.zeros_like(longer_L), longer_L])
    tokens_BL[0, 1:4] = row_T
    mask_BL = torch.ones_like(tokens_BL, dtype=torch.bool)
    mask_BL[0, [0, 4, 5]] = False
    return _logprobs(model, inputs(tokens_BL, mask_BL))[0, 1:4]


def _pair(model: PreTrainedModel, inputs: Inputs, row_T: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probs [3, V] of the row without padding, and those with another last token."""
    changed_T = row_T.clone()
    changed_T[-1] = row_T[0]
    tokens_BT = torch.stack([row_T, changed_T])
    logprobs_BTV = _logprobs(model, inputs(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool)))
    return logprobs_BTV[0], logprobs_BTV[1]


def _logprobs(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    logits: Tensor = model(**inputs, use_cache=False).logits
    return logits.float().log_softmax(-1)


def _check_jitter(title: str, config: PreTrainedConfig) -> None:
    """Noise that a config names may touch few tokens (PhiMoE's near ties): it needs no probe."""
    values = vars(config.get_text_config()).items()
    noise = {key: value for key, value in values if "jitter" in key and value}
    if noise:
        named = ", ".join(f"{key}={value}" for key, value in noise.items())
        raise ValueError(
            f"{title} routes tokens with random noise in training mode ({named}): no ratio would "
            "start at 1; set it to 0 in the model's config.json, or name another model"
        )
