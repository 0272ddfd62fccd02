"""Runs in bfloat16: float32 scores, float64 sums and first ratios of exactly 1 on every path."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import ALONE, experience_of, fit, metrics

import lit_entropy.policy.scoring as policy_scoring
import lit_entropy.tracking.means as means
from lit_entropy.cli.main import EntropyCLI
from lit_entropy.losses import PPOClip
from lit_entropy.policy.policy import Policy
from lit_entropy.types import LossBatch, PolicyOutput


class Watched(PPOClip):
    """PPO clip that notes dtypes and log-ratios."""

    dtypes: set[torch.dtype] = set()  # noqa: RUF012  one run a test, cleared there
    log_ratios: list[torch.Tensor] = []  # noqa: RUF012

    def forward(self, policy: PolicyOutput, batch: LossBatch) -> Any:
        output = super().forward(policy, batch)
        tensors = (*policy, batch.old_logprobs_BT, batch.advantages_BT, output.token_loss_BT)
        Watched.dtypes |= {value.dtype for value in tensors}
        log_ratio_BT = policy.logprobs_BT - batch.old_logprobs_BT
        Watched.log_ratios.append(log_ratio_BT[batch.mask_BT].detach())
        return output


EVERYTHING = [
    "--model.policy.packing=true",
    "--model.policy.lora.rank=4",
    "--model.policy.gradient_checkpointing=true",
    "--trainer.accumulate_grad_batches=2",
]


@pytest.mark.parametrize(
    ("precision", "arguments"),
    [
        ("bf16-true", []),
        ("bf16-mixed", EVERYTHING[:1]),
        ("bf16-true", EVERYTHING),
        ("32-true", EVERYTHING),
    ],
)
def test_numbers_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, arguments: list[str]
) -> None:
    """With the head's scores in blocks; tests/test_module.py has those of whole logits."""
    score = functools.partial(policy_scoring.chunked_logprobs_and_entropy, plain_logits=0)
    monkeypatch.setattr(policy_scoring, "chunked_logprobs_and_entropy", score)
    sums: set[torch.dtype] = set()
    reduce_means = means.reduce_means

    def watched_means(values: Any, device: Any) -> Any:
        sums.update(part.dtype for mean in values.values() for part in mean)
        return reduce_means(values, device)

    monkeypatch.setattr(means, "reduce_means", watched_means)
    Watched.dtypes.clear()
    Watched.log_ratios.clear()
    cli = fit(
        tmp_path,
        "--model.policy.model=chain-xs",
        "--model.loss=test_precision.Watched",
        f"--trainer.precision={precision}",
        "--trainer.max_epochs=1",
        "--trainer.limit_val_batches=0",
        "--trainer.callbacks=null",
        "--data.prompts_per_step=4",
        "--data.minibatch_size=8",
        *arguments,
    )
    weight = torch.bfloat16 if precision == "bf16-true" else torch.float32
    assert {value.dtype for value in cli.model.policy.parameters()} == {weight}
    assert {value.dtype for value in cli.model.policy.buffers()} == {torch.float32}  # rotary
    assert Watched.dtypes == {torch.float32} and sums == {torch.float64}
    experience = experience_of(cli)
    assert experience.entropies_BT.dtype == experience.old_logprobs_BT.dtype == torch.float32
    first = 2 if arguments == EVERYTHING else 1  # microbatches
    assert all(len(value) and (value == 0).all() for value in Watched.log_ratios[:first])
    assert any((value != 0).any() for value in Watched.log_ratios[first:])
    assert metrics(tmp_path)["policy/grad_norm"][-1] > 0


def test_gradients_are_clipped_before_a_fused_step_in_mixed_precision(tmp_path: Path) -> None:
    norms = []

    def run(folder: str, *arguments: str) -> EntropyCLI:
        return fit(
            tmp_path / folder,
            *ALONE,
            "--model.policy.model=chain-xs",
            "--trainer.max_epochs=1",
            "--trainer.precision=bf16-mixed",
            "--trainer.gradient_clip_val=1e-3",
            "--model.optimizer=torch.optim.SGD",  # whose step is as long as the gradient
            "--model.optimizer.lr=1e3",
            "--data.prompts_per_step=4",
            "--data.minibatch_size=16",  # one update
            *arguments,
        )

    start = dict(Policy("chain-xs").named_parameters())
    for fused in ("true", "false"):
        cli = run(f"fused-{fused}", f"--model.optimizer.fused={fused}")
        assert cli.trainer.optimizers[0].param_groups[0]["fused"] == (fused == "true")
        end = dict(cli.model.policy.named_parameters())
        moves = torch.stack([(end[name] - start[name]).double().norm() for name in start])
        norms.append(float(moves.norm()))
        assert metrics(tmp_path / f"fused-{fused}")["policy/grad_norm"][-1] > 1e-2
    assert norms == pytest.approx([1.0, 1.0], rel=1e-3)
