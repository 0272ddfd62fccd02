"""Peak memory and time of log-probs and entropies with gradients: blocks against whole logits.

``plain`` keeps the logits [N, V], ``checkpointed`` computes chunks of tokens again in the backward
pass, ``blocks`` is the package's path for a linear head. The peak is what a fresh process grows by
after hidden states and weight are made. The full size is that of Qwen2.5-0.5B's head on four
responses of 512 tokens; the plain path then needs some 8 GB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from benchmarks.memory import peak_bytes, resident_bytes, start_peak
from benchmarks.records import Outcome, Series, Size, ratio
from benchmarks.rounds import alternate, clocked
from benchmarks.separate import separately
from torch import Tensor, nn

from lit_entropy.functional.head_logprobs import linear_logprobs_and_entropy
from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy, logprobs_and_entropy

PATHS = ("plain", "checkpointed", "blocks")


@dataclass(frozen=True)
class Head:
    """The sizes of a head and of what it is given."""

    tokens: int
    vocab: int
    hidden: int


HEADS: dict[Size, Head] = {"smoke": Head(16, 256, 8), "full": Head(2048, 151_936, 896)}


def measure(size: Size, rounds: int) -> Outcome:
    """Seconds and, at the full size, peak memory of each path, and what blocks save of plain."""
    found: dict[str, dict[str, Series]] = {}
    if size == "full":  # a process that loads torch takes seconds
        peaks = {path: partial(separately, peak, path, HEADS[size]) for path in PATHS}
        # before this process holds such a head itself
        found["peak memory"] = alternate(peaks, rounds, "GB", warm=False)
    found["time"] = alternate({n: clocked(_pass(n, HEADS[size])) for n in PATHS}, rounds)
    series: list[Series] = []
    for quantity, by_path in found.items():
        series += [Series(f"{quantity}, {n}", s.unit, s.values) for n, s in by_path.items()]
        name = f"head, {quantity}: blocks by plain"
        series.append(ratio(name, by_path["blocks"], by_path["plain"]))
    return Outcome(tuple(series))


def score(path: str, hidden_ND: Tensor, weight_VD: Tensor, tokens_N: Tensor) -> list[Tensor]:
    """Log-probs and entropies by one of the paths."""
    if path == "plain":
        return list(logprobs_and_entropy(nn.functional.linear(hidden_ND, weight_VD), tokens_N))
    if path == "blocks":
        return list(linear_logprobs_and_entropy(hidden_ND, weight_VD, None, tokens_N))
    return list(
        chunked_logprobs_and_entropy(
            hidden_ND,
            lambda hidden_nD: nn.functional.linear(hidden_nD, weight_VD),
            tokens_N,
            vocab_size=len(weight_VD),
            plain_logits=0,
        )
    )


def peak(path: str, head: Head) -> float:
    """GB by which this process grows in one pass, forward and backward, after its inputs."""
    torch.set_num_threads(1)
    work = _pass(path, head)
    before = resident_bytes()
    start_peak()
    work()
    return (peak_bytes() - before) / 1e9


def _pass(path: str, head: Head) -> Callable[[], None]:
    """A forward and backward pass on inputs that are made once."""
    generator = torch.Generator().manual_seed(0)
    tokens_N = torch.randint(head.vocab, (head.tokens,), generator=generator)
    hidden_ND = torch.randn(head.tokens, head.hidden, generator=generator).requires_grad_()
    weight_VD = torch.randn(head.vocab, head.hidden, generator=generator).mul_(0.05)
    weight_VD.requires_grad_()

    def work() -> None:
        hidden_ND.grad = weight_VD.grad = None
        logprobs_N, entropy_N = score(path, hidden_ND, weight_VD, tokens_N)
        (logprobs_N + 0.1 * entropy_N).sum().backward()

    return work
