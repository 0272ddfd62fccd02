"""GRPO on chain arithmetic in one plain file: the reference for the framework's speed and curves.

No Lightning and no classes: a Hugging Face model, a KV-cache rollout, exact entropies, the PPO clip
(or KL-Cov, Clip-Cov), AdamW. Run ``python tests/benchmarks/plain_grpo.py --help``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

import lit_entropy
from lit_entropy.tasks.chain import ChainArithmetic

ASSETS = Path(lit_entropy.__file__).parent / "assets"


def pad_left(prompts: list[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Prompt tokens [P, S] and their mask."""
    width = max(map(len, prompts))
    tokens_PS = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask_PS = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    return tokens_PS, mask_PS


@torch.no_grad()
def rollout(model, tokenizer, prompts, group, limit, temperature, generator):  # type: ignore[no-untyped-def]
    """Sample ``group`` responses a prompt (greedy at temperature 0); rows are prompt-major.

    The prefill runs once a prompt; finished rows leave the batch when a quarter has finished.
    """
    prompt_PS, mask_PS = pad_left(prompts, tokenizer.pad_token_id)
    cache = DynamicCache()
    positions = (mask_PS.cumsum(1) - 1).clamp(min=0)
    logits_BV = model(
        prompt_PS,
        attention_mask=mask_PS,
        position_ids=positions,
        past_key_values=cache,
        logits_to_keep=1,
    ).logits[:, -1]
    cache.batch_repeat_interleave(group)
    logits_BV = logits_BV.repeat_interleave(group, 0)
    mask_BL = mask_PS.repeat_interleave(group, 0)
    rows = len(prompts) * group
    tokens_BT = torch.full((rows, limit), tokenizer.pad_token_id)
    response_BT = torch.zeros(rows, limit, dtype=torch.bool)
    logprobs_BT, entropy_BT = torch.zeros(rows, limit), torch.zeros(rows, limit)
    live = torch.arange(rows)  # original row of each batch row
    running = torch.ones(rows, dtype=torch.bool)
    for step in range(limit):
        logp_BV = (logits_BV.float() / (temperature or 1.0)).log_softmax(-1)
        if temperature:
            cumulative = logp_BV.exp().cumsum(-1)
            threshold = torch.rand(rows, 1, generator=generator)[live] * cumulative[:, -1:]
            token_B = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
            token_B = token_B.clamp(max=logp_BV.shape[1] - 1)
        else:
            token_B = logp_BV.argmax(-1)
        kept = live[running]
        tokens_BT[kept, step] = token_B[running]
        response_BT[kept, step] = True
        logprobs_BT[kept, step] = logp_BV.gather(1, token_B[:, None])[running, 0]
        entropy_BT[kept, step] = -(logp_BV.exp() * logp_BV).sum(-1)[running]
        running = running & (token_B != tokenizer.eos_token_id)
        if not running.any():
            break
        if running.float().mean() < 0.75:
            keep = running.nonzero()[:, 0]
            cache.batch_select_indices(keep)
            live, token_B, mask_BL, running = (
                live[keep],
                token_B[keep],
                mask_BL[keep],
                running[keep],
            )
        mask_BL = torch.cat([mask_BL, torch.ones(len(live), 1, dtype=mask_BL.dtype)], 1)
        logits_BV = model(
            token_B[:, None],
            attention_mask=mask_BL,
            past_key_values=cache,
            position_ids=mask_BL.sum(1, keepdim=True) - 1,
        ).logits[:, -1]
    width = int(response_BT.sum(1).max())
    return {
        "prompt": prompt_PS.repeat_interleave(group, 0),
        "prompt_mask": mask_PS.repeat_interleave(group, 0),
        "tokens": tokens_BT[:, :width],
        "mask": response_BT[:, :width],
        "logprobs": logprobs_BT[:, :width],
        "entropy": entropy_BT[:, :width],
    }


def score(task, tokenizer, problems, tokens_BT, group):  # type: ignore[no-untyped-def]
    """Rewards [P, G]."""
    texts = tokenizer.batch_decode(tokens_BT, skip_special_tokens=True)
    rewards = [task.reward(problems[row // group], text) for row, text in enumerate(texts)]
    return torch.tensor(rewards).view(-1, group)


def response_logprobs(model, batch, parts=3):  # type: ignore[no-untyped-def]
    """Log-probs [B, T] of a minibatch's response tokens, differentiable.

    Rows of about one length go through the model together, so that little padding is computed.
    """
    width = batch["mask"].shape[1]
    order = (batch["prompt_mask"].sum(1) + batch["mask"].sum(1)).argsort()
    pieces = []
    for index in order.chunk(parts):
        part = rows_of(batch, index)
        tokens_BL = torch.cat([part["prompt"], part["tokens"]], 1)
        mask_BL = torch.cat([part["prompt_mask"], part["mask"].long()], 1)
        positions = (mask_BL.cumsum(1) - 1).clamp(min=0)
        length = part["tokens"].shape[1]
        logits = (
            model(
                tokens_BL,
                attention_mask=mask_BL,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=length + 1,
            )
            .logits[:, :-1]
            .float()
        )
        logp = logits.log_softmax(-1).gather(2, part["tokens"][:, :, None])[:, :, 0]
        pieces.append(torch.nn.functional.pad(logp, (0, width - length)))
    return torch.cat(pieces)[order.argsort()]


def policy_loss(logp_BT, batch, options, generator):  # type: ignore[no-untyped-def]
    """Token-mean loss and the number of selected tokens: PPO clip, KL-Cov or Clip-Cov."""
    mask = batch["mask"]
    count = mask.sum()
    log_ratio = logp_BT - batch["logprobs"]
    ratio = log_ratio.exp()
    advantages = batch["advantages"][:, None].expand_as(ratio)
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - options.clip_low, 1 + options.clip_high)
    if options.loss == "ppo":
        return (torch.maximum(unclipped, clipped) * mask).sum() / count, 0
    x, a = logp_BT.detach()[mask], advantages[mask]
    covariance = torch.full_like(ratio, -torch.inf)
    covariance[mask] = (x - x.mean()) * (a - a.mean())  # eq. 10
    quota = int(options.fraction * int(count))
    selected = torch.zeros_like(mask)
    if options.loss == "kl_cov":
        selected.view(-1)[covariance.view(-1).topk(quota).indices] = True
        loss = unclipped + options.kl_coef * log_ratio.abs() * selected
    else:
        inside = (covariance > options.band[0]) & (covariance < options.band[1])
        candidates = (inside & (clipped <= unclipped)).view(-1).nonzero()[:, 0]
        order = torch.randperm(len(candidates), generator=generator)[:quota]
        selected.view(-1)[candidates[order]] = True
        loss = torch.maximum(unclipped, clipped) * ~selected
    return (loss * mask).sum() / count, int(selected.sum())


def rows_of(batch, index):  # type: ignore[no-untyped-def]
    """Rows of a rollout, without the columns that are padding in all of them."""
    batch = {name: value[index] for name, value in batch.items()}
    width = int(batch["mask"].sum(1).max())
    for name in ("tokens", "mask", "logprobs", "entropy"):
        batch[name] = batch[name][:, :width]
    prompt_width = int(batch["prompt_mask"].sum(1).max())
    for name in ("prompt", "prompt_mask"):
        batch[name] = batch[name][:, -prompt_width:]
    return batch


def evaluate(model, tokenizer, task, options, samples=0):  # type: ignore[no-untyped-def]
    """Held-out greedy accuracy (all, by length); with samples also avg@n, pass@n, entropy."""
    problems = task.validation_problems()
    prompts = [task.encode(problem, tokenizer) for problem in problems]
    lengths = torch.tensor([problem.difficulty for problem in problems])
    greedy = rollout(model, tokenizer, prompts, 1, options.limit, 0.0, None)
    right = score(task, tokenizer, problems, greedy["tokens"], 1)[:, 0]
    by_length = {n: right[lengths == n].mean().item() for n in lengths.unique().tolist()}
    result = {"greedy": right.mean().item(), "by_length": by_length}
    if samples:
        generator = torch.Generator().manual_seed(1)
        drawn = rollout(model, tokenizer, prompts, samples, options.limit, 1.0, generator)
        rewards = score(task, tokenizer, problems, drawn["tokens"], samples)
        result["sampled"], result["pass"] = rewards.mean().item(), rewards.amax(1).mean().item()
        for name, values in (("sampled", rewards.mean(1)), ("pass", rewards.amax(1))):
            result[f"{name}_by_length"] = {n: values[lengths == n].mean().item() for n in by_length}
        result["entropy"] = drawn["entropy"][drawn["mask"]].mean().item()
        result["length"] = drawn["mask"].sum(1).float().mean().item()
    return result


def collect(model, tokenizer, task, problems, options, generator):  # type: ignore[no-untyped-def]
    """A rollout with its GRPO advantages (eq. 3), and the rewards [P, G]."""
    prompts = [task.encode(problem, tokenizer) for problem in problems]
    batch = rollout(model, tokenizer, prompts, options.group, options.limit, 1.0, generator)
    rewards_PG = score(task, tokenizer, problems, batch["tokens"], options.group)
    centred_PG = rewards_PG - rewards_PG.mean(1, keepdim=True)
    batch["advantages"] = (centred_PG / (rewards_PG.std(1, keepdim=True) + 1e-6)).view(-1)
    return batch, rewards_PG


def update(model, optimizer, batch, options, generator):  # type: ignore[no-untyped-def]
    """One pass over the rollout in shuffled minibatches; returns the selected fraction."""
    selected = 0
    for index in torch.randperm(len(batch["mask"]), generator=generator).chunk(options.updates):
        minibatch = rows_of(batch, index)
        logp_BT = response_logprobs(model, minibatch)
        loss, count = policy_loss(logp_BT, minibatch, options, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        selected += count
    return selected / int(batch["mask"].sum())


def train(options):  # type: ignore[no-untyped-def]
    """Run the RL steps; yields one record a step, the evaluated base as step 0."""
    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    model = AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32)
    longest, size = options.validation_max_length, options.validation_size
    task = ChainArithmetic(1, options.max_length, longest, 1_000_000, size, options.seed)
    problems = task.train_problems()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.0)
    generator = torch.Generator().manual_seed(options.seed)
    yield {"step": 0, **evaluate(model, tokenizer, task, options, samples=8)}
    for step in range(1, options.steps + 1):
        start = time.perf_counter()
        chosen = problems[(step - 1) * options.prompts : step * options.prompts]
        batch, rewards_PG = collect(model, tokenizer, task, chosen, options, generator)
        middle = time.perf_counter()
        selected = update(model, optimizer, batch, options, generator)
        end = time.perf_counter()
        record = {
            "step": step,
            "reward": rewards_PG.mean().item(),
            "entropy": batch["entropy"][batch["mask"]].mean().item(),
            "length": batch["mask"].sum(1).float().mean().item(),
            "selected": selected,
            "rollout_seconds": middle - start,
            "update_seconds": end - middle,
        }
        if step == options.steps or step % options.evaluate_every == 0:
            record |= evaluate(model, tokenizer, task, options, 8 * (step == options.steps))
        yield record


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; that of this process by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {
        "base": str(ASSETS / "chain-s"),
        "loss": "ppo",
        "output": "",
        "steps": 150,
        "seed": 0,
        "lr": 2e-4,
        "prompts": 32,
        "group": 8,
        "updates": 8,
        "limit": 80,
        "threads": 1,
        "clip_low": 0.2,
        "clip_high": 0.2,
        "fraction": 2e-2,
        "kl_coef": 1.0,
        "max_length": 10,
        "validation_max_length": 10,
        "validation_size": 200,
        "evaluate_every": 10,
    }.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--band", type=float, nargs=2, default=(0.5, float("inf")))
    return parser.parse_args(arguments)


def main() -> None:
    """Print one line a step; with --output also write JSON lines."""
    options = parse()
    lines = []
    for record in train(options):
        lines.append(json.dumps(record))
        print(
            " ".join(
                f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}"
                for k, v in record.items()
                if not isinstance(v, dict)
            ),
            flush=True,
        )
        if options.output:
            Path(options.output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
