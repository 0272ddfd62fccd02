"""A rollout as requests to a vLLM engine in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from lit_entropy.rollouts.responses import Response

if TYPE_CHECKING:
    from vllm import LLM, CompletionOutput


def sample(
    llm: LLM,
    prompts: list[list[int]],
    seeds: Sequence[int],
    stop_ids: Sequence[int],
    max_new_tokens: int,
    temperature: float,
) -> list[Response]:
    """Sample one response per row from the whole softmax; each row is a request with its own seed.

    Args:
        llm: the ``vllm.LLM``, built by :func:`lit_entropy.rollouts.vllm_build.build`.
        prompts: token ids of each row's prompt.
        seeds: one per row; not used at temperature 0.
        stop_ids: ids that end a response; the one that did is part of it.
        max_new_tokens: limit of a response.
        temperature: 0 decodes greedily; the log-probs are then those of temperature 1.
    """
    from vllm import SamplingParams

    parameters = [
        SamplingParams(
            temperature=temperature,
            seed=seed if temperature > 0 else None,
            max_tokens=max_new_tokens,
            stop_token_ids=list(stop_ids),
            logprobs=0,  # of the sampled token alone
            detokenize=False,
        )
        for seed in seeds
    ]
    inputs = [{"prompt_token_ids": prompt} for prompt in prompts]
    eager = llm.model_config.enforce_eager
    with torch.compiler.set_stance("force_eager" if eager else "default"):
        rows = llm.generate(inputs, parameters, use_tqdm=False)
    return [_response(row.outputs[0]) for row in rows]


def _response(output: CompletionOutput) -> Response:
    tokens = list(output.token_ids)
    places = zip(output.logprobs, tokens, strict=True)
    logprobs = [place[token].logprob for place, token in places]
    return Response(tokens, logprobs, output.finish_reason == "length")


@contextmanager
def plain_numbers(device_type: str) -> Iterator[None]:
    """Without the trainer's autocast and default dtype, which would reach into vLLM's model."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        torch.set_default_dtype(dtype)
