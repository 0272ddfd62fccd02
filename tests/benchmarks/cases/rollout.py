"""A rollout alone: sampled tokens a second of ``LocalEngine`` and of transformers' ``generate``.

Prompts and responses are ragged. A shipped base ends its responses itself; weights of a published
shape are random, and a hundredth of the vocabulary ends a response.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from benchmarks.plan_cases import Case
from benchmarks.records import Outcome, Series, Size, ratio
from benchmarks.rounds import alternate, rated

from lit_entropy.functional.padding import left_pad
from lit_entropy.policy.dry_run import is_published
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.rollouts.local import evaluation_mode
from lit_entropy.tasks import ChainArithmetic


@dataclass(frozen=True)
class Sampled:
    """A rollout that is measured.

    Attributes:
        model: a shipped base or a published shape.
        prompts: different prompts.
        group: responses to each.
        limit: most tokens of a response.
    """

    model: str
    prompts: int
    group: int
    limit: int


ROLLOUTS: dict[Size, list[Sampled]] = {
    "smoke": [Sampled("chain-xs", 2, 2, 4)],
    "full": [
        Sampled("chain-s", 32, 8, 80),
        Sampled("chain-l", 32, 8, 80),
        Sampled("smollm2-135m", 4, 8, 64),
    ],
}


def measure(size: Size, rounds: int) -> Outcome:
    """Tokens a second of both samplers and their ratio, for each model."""
    found: list[Series] = []
    for rollout in ROLLOUTS[size]:
        policy = Case(rollout.model, 1, 1, 1).policy().eval()
        if is_published(rollout.model):
            policy.eos_token_ids = list(range(0, policy.vocab_size, 100))
        engine, generate = f"LocalEngine, {rollout.model}", f"generate, {rollout.model}"
        prompts = prompts_of(rollout, policy)
        rates = alternate(
            {
                engine: rated(lambda p=policy, q=prompts, r=rollout: engine_tokens(p, q, r)),
                generate: rated(
                    lambda p=policy, q=prompts, r=rollout: generated_tokens(p, q, r.limit)
                ),
            },
            rounds,
            "tokens/s",
        )
        found += rates.values()
        name = f"rollout, {rollout.model}: LocalEngine by generate"
        found.append(ratio(name, rates[engine], rates[generate]))
    return Outcome(tuple(found))


def prompts_of(rollout: Sampled, policy: Policy) -> list[list[int]]:
    """Prompts of chain arithmetic, each repeated; of the same lengths for a published shape."""
    task = ChainArithmetic()
    problems = task.train_problems()[: rollout.prompts]
    if is_published(rollout.model):
        encoded = [[1 + ord(letter) for letter in str(problem.prompt)] for problem in problems]
    else:
        encoded = [task.encode(problem, policy.tokenizer) for problem in problems]
    return [prompt for prompt in encoded for _ in range(rollout.group)]


def engine_tokens(policy: Policy, prompts: list[list[int]], rollout: Sampled) -> int:
    """Tokens that the local engine samples."""
    rows = torch.arange(len(prompts))
    completions = LocalEngine().generate(
        policy, prompts, rows // rollout.group, rows % rollout.group,
        max_new_tokens=rollout.limit, temperature=1.0, keys=(0, "benchmark", 1),
    )  # fmt: skip
    return int(completions.mask_BT.sum())


@torch.no_grad()
def generated_tokens(policy: Policy, prompts: list[list[int]], limit: int) -> int:
    """Tokens that ``generate`` samples up to and with each row's end."""
    device = next(policy.parameters()).device
    tokens_BS, mask_BS = left_pad(prompts, policy.pad_token_id, device)
    with evaluation_mode(policy):
        output_BL = policy.model.generate(
            tokens_BS, attention_mask=mask_BS.long(), max_new_tokens=limit,
            do_sample=True, top_k=0, top_p=1.0, temperature=1.0,
            eos_token_id=policy.eos_token_ids, pad_token_id=policy.pad_token_id,
        )  # fmt: skip
    response_BT = output_BL[:, tokens_BS.shape[1] :]
    ended_BT = torch.isin(response_BT, torch.tensor(policy.eos_token_ids, device=device))
    return int(((ended_BT.cumsum(1) - ended_BT.long()) == 0).sum())
