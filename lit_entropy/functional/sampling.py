"""Inverse-CDF sampling from the full softmax, with the exact log-prob and entropy of each draw."""

import torch
from torch import Tensor


def sample_tokens(
    logits_BV: Tensor, uniforms_B: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one token per row from softmax(logits / temperature), or the argmax at temperature 0.

    One uniform decides a draw, so a sample is reproducible from its counter alone.

    Args:
        logits_BV: next-token logits, any floating dtype.
        uniforms_B: float64 uniforms in [0, 1); unused at temperature 0.
        temperature: sampling temperature; at 0 the log-prob and entropy are those of temperature 1.

    Returns:
        tokens_B int64, logprobs_B float32, entropies_B float32 (nats).
    """
    scaled_BV = logits_BV.float() if temperature in (0, 1) else logits_BV.float() / temperature
    logprobs_BV = torch.log_softmax(scaled_BV, dim=-1)
    probs_BV = logprobs_BV.exp()
    # a logit of -inf has probability 0 and contributes nothing: 0 log 0 = 0
    entropies_B = -(probs_BV * logprobs_BV.clamp_min(torch.finfo(torch.float32).min)).sum(-1)
    if temperature == 0:
        tokens_B = logits_BV.argmax(dim=-1)
    else:
        cdf_BV = probs_BV.double().cumsum(-1)
        points_B1 = (uniforms_B * cdf_BV[:, -1]).unsqueeze(1)
        tokens_B = torch.searchsorted(cdf_BV, points_B1, right=True).squeeze(1)
        # NaN logits find no place: a valid index lets the NaN reach the caller's check
        tokens_B = tokens_B.clamp_max(logits_BV.shape[1] - 1)
    return tokens_B, logprobs_BV.gather(1, tokens_B.unsqueeze(1)).squeeze(1), entropies_B
