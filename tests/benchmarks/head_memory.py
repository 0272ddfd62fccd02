"""Peak memory and time of log-probs and entropies with gradients: blocks against whole logits.

Each path runs in a process of its own, one after the other: ``plain`` keeps the logits [N, V],
``checkpointed`` computes chunks of tokens again in the backward pass, ``blocks`` is the package's
path for a linear head. The peak is what the process grew by after hidden states and weight were
made; seconds are those of the processor, over all threads, so that other processes disturb them
little; gradients are compared with the plain path's. The default size is that of Qwen2.5-0.5B's
head on four responses of 512 tokens; the plain path then needs some 8 GB.

    python tests/benchmarks/head_memory.py --repeats 3 --threads 1
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from lit_entropy.functional.head_logprobs import linear_logprobs_and_entropy
from lit_entropy.functional.logprobs import chunked_logprobs_and_entropy, logprobs_and_entropy

PATHS = ("plain", "checkpointed", "blocks")


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


def peak_bytes() -> int:
    """Largest resident size of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(path: str, options: argparse.Namespace) -> None:
    """Run one path in this process; print its numbers and save its results."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    tokens_N = torch.randint(options.vocab, (options.tokens,))
    hidden_ND = torch.randn(options.tokens, options.hidden).requires_grad_()
    weight_VD = torch.randn(options.vocab, options.hidden).mul_(0.05).requires_grad_()
    weights_N = torch.randn(options.tokens)
    before, peaks, seconds = peak_bytes(), [], []
    for _ in range(options.repeats):
        hidden_ND.grad = weight_VD.grad = None
        start = time.process_time()
        logprobs_N, entropy_N = score(path, hidden_ND, weight_VD, tokens_N)
        (weights_N * (logprobs_N + 0.1 * entropy_N)).sum().backward()
        seconds.append(time.process_time() - start)
        peaks.append(peak_bytes() - before)
    results = [logprobs_N, entropy_N, hidden_ND.grad, weight_VD.grad]
    torch.save([value.detach() for value in results], options.save)
    print(json.dumps({"peak_bytes": peaks[0], "seconds": seconds}))


def run(path: str, folder: str, options: argparse.Namespace) -> dict[str, object]:
    """Run one path in a fresh process."""
    sizes = ("tokens", "vocab", "hidden", "repeats", "threads")
    command = [sys.executable, __file__, "--path", path, "--save", str(Path(folder) / path)]
    command += [f"--{name}={getattr(options, name)}" for name in sizes]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, object] = json.loads(output)
    return result | {"seconds_median": statistics.median(result["seconds"])}  # type: ignore[arg-type]


def largest_errors(folder: str, path: str) -> dict[str, float]:
    """Largest difference from the plain path over the plain path's largest value."""
    pairs = zip(torch.load(f"{folder}/plain"), torch.load(f"{folder}/{path}"), strict=True)
    names = ("logprobs", "entropy", "hidden_gradient", "weight_gradient")
    return {
        name: float((got - expected).abs().max() / expected.abs().max())
        for name, (expected, got) in zip(names, pairs, strict=True)
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=4 * 512)
    parser.add_argument("--vocab", type=int, default=151_936)
    parser.add_argument("--hidden", type=int, default=896)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--path", choices=PATHS, help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.path:
        measure(options.path, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {path: run(path, folder, options) for path in PATHS}
        for path in PATHS[1:]:
            memory, seconds = (
                results[path][key] / results["plain"][key]  # type: ignore[operator]
                for key in ("peak_bytes", "seconds_median")
            )
            results[path] |= {"memory_ratio": memory, "time_ratio": seconds}
            results[path] |= {"errors": largest_errors(folder, path)}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
