"""The module: on-policy ratios, exact normalisation, group filters, regularizers, sentinels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from recording_losses import Recording
from runs import ALONE, experience_of, fit, metrics, rollout_of

from lit_entropy.advantages import AdvantageEstimator
from lit_entropy.cli.main import EntropyCLI
from lit_entropy.errors import NonFiniteError
from lit_entropy.losses import PPOClip
from lit_entropy.rollouts import LocalEngine
from lit_entropy.types import LossBatch, PolicyOutput


class Recorder(Callback):
    """Keeps the first optimizer steps' gradients (before clipping) and microbatches."""

    def __init__(self, steps: int = 1) -> None:
        self.steps = steps
        self.gradients: list[dict[str, torch.Tensor]] = []
        self.batches: list[LossBatch] = []
        self.first_outputs: list[PolicyOutput] = []

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        if len(self.gradients) < self.steps:
            self.batches.append(batch.loss_batch)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if len(self.gradients) < self.steps:
            named = pl_module.policy.named_parameters()
            self.gradients.append({name: p.grad.clone() for name, p in named if p.grad is not None})


def record(folder: Path, *arguments: str, steps: int = 1) -> tuple[Recorder, EntropyCLI]:
    """One RL step with a recorder."""
    recorder = Recorder(steps)
    original = EntropyCLI.instantiate_trainer

    def with_recorder(self: EntropyCLI, **kwargs: Any) -> Any:
        trainer = original(self, **kwargs)
        trainer.callbacks.insert(0, recorder)
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EntropyCLI, "instantiate_trainer", with_recorder)
        cli = fit(folder, *ALONE, "--trainer.max_epochs=1", *arguments)
    return recorder, cli


class Probe(PPOClip):
    """PPO clip that keeps the log-ratios it saw."""

    seen: list[torch.Tensor] = []  # noqa: RUF012  one run a test, cleared there

    def forward(self, policy: PolicyOutput, batch: LossBatch) -> Any:
        Probe.seen.append((policy.logprobs_BT - batch.old_logprobs_BT)[batch.mask_BT].detach())
        return super().forward(policy, batch)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("accumulation", [1, 4])
def test_the_first_ratios_are_exactly_one(
    tmp_path: Path, precision: str, accumulation: int
) -> None:
    Probe.seen.clear()
    fit(
        tmp_path,
        *ALONE,
        f"--trainer.precision={precision}",
        f"--trainer.accumulate_grad_batches={accumulation}",
        "--trainer.max_epochs=1",
        "--model.loss=test_module.Probe",
    )
    assert len(Probe.seen) == 2 * accumulation  # 32 sequences in minibatches of 16
    for log_ratio in Probe.seen[:accumulation]:
        assert log_ratio.numel() > 0 and (log_ratio == 0).all()
    assert any((log_ratio != 0).any() for log_ratio in Probe.seen[accumulation:])


@pytest.mark.parametrize(("choice", "found"), [((), True), (("fused=false",), False)])
def test_the_optimizer_takes_its_fused_step(
    tmp_path: Path, choice: tuple[str, ...], found: bool
) -> None:
    arguments = [f"--model.optimizer.init_args.{each}" for each in choice]
    cli = fit(tmp_path, *ALONE, "--trainer.max_epochs=1", *arguments)
    (optimizer,) = cli.trainer.optimizers
    assert optimizer.param_groups[0]["fused"] is found
    assert optimizer.state  # it has taken steps


def test_gradient_does_not_depend_on_the_microbatch(tmp_path: Path) -> None:
    """1 x 16 = 2 x 8 = 8 x 2 sequences, and equal to the objective written out by hand."""
    recorder, cli = record(tmp_path / "1", steps=2)
    experience = experience_of(cli)
    rows = cli.datamodule.plan.minibatches(torch.arange(32), 1, 0)[0]
    batch = experience.rows(rows)  # untrimmed: other padding than in the run
    base = type(cli.model.policy)("chain-s")
    policy = base(batch.sequences, 1.0)
    ratio_BT = (policy.logprobs_BT - batch.old_logprobs_BT).exp()
    objective = -torch.minimum(
        ratio_BT * batch.advantages_BT, ratio_BT.clamp(0.8, 1.2) * batch.advantages_BT
    )
    (objective * batch.mask_BT).sum().div(batch.mask_BT.sum()).backward()
    for name, parameter in base.named_parameters():
        expected = recorder.gradients[0][name]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)
    for count in (2, 8):
        other, _ = record(
            tmp_path / str(count), f"--trainer.accumulate_grad_batches={count}", steps=2
        )
        assert len(other.batches) == 2 * count
        for step in range(2):
            for name, expected in recorder.gradients[step].items():
                actual = other.gradients[step][name]
                # float32 sums in another order, and after one Adam step in the second update
                torch.testing.assert_close(actual, expected, rtol=1e-3, atol=2e-6 * 10**step)


@pytest.mark.parametrize("loss", ["RecordingKLCov", "RecordingClipCov"])
def test_selection_and_gradient_do_not_depend_on_the_microbatch(tmp_path: Path, loss: str) -> None:
    """The unsplit minibatch, and 2, 8 and 16 microbatches (of one sequence), at two updates."""
    selections, runs = {}, {}
    for count in (1, 2, 8, 16):
        Recording.selections.clear()
        runs[count], _ = record(
            tmp_path / str(count),
            f"--model.loss=recording_losses.{loss}",
            f"--trainer.accumulate_grad_batches={count}",
            steps=2,
        )
        selections[count] = list(Recording.selections)
    assert len(selections[1]) == 2 and all(len(tokens) >= 4 for tokens in selections[1])
    assert selections[1] == selections[2] == selections[8] == selections[16]
    for count in (2, 8, 16):
        for step in range(2):
            for name, expected in runs[1].gradients[step].items():
                actual = runs[count].gradients[step][name]
                # float32 sums in another order, and after one Adam step in the second update
                torch.testing.assert_close(actual, expected, rtol=1e-3, atol=2e-6 * 10**step)


class Foreign(LocalEngine):
    """The local engine, as if it ran other weights than the policy's."""

    runs_policy = False


def test_old_logprobs_are_scored_again_where_they_must_be(tmp_path: Path) -> None:
    """The first minibatch always; all rows for another engine or precision."""
    _, local = record(tmp_path / "local")
    _, foreign = record(tmp_path / "foreign", "--model.engine=test_module.Foreign")
    _, mixed = record(tmp_path / "mixed", "--trainer.precision=bf16-mixed")
    first = set(local.datamodule.plan.minibatches(torch.arange(32), 1, 0)[0].tolist())
    mine, theirs = experience_of(local), experience_of(foreign)
    assert set(mine.rescored_B.nonzero().flatten().tolist()) == first
    assert theirs.rescored_B.all() and experience_of(mixed).rescored_B.all()
    others = ~mine.rescored_B
    assert torch.equal(mine.old_logprobs_BT[others], mine.sampler_logprobs_BT[others])
    assert (mine.old_logprobs_BT != mine.sampler_logprobs_BT).any()
    # float32 with and without a KV cache, in other batches
    torch.testing.assert_close(mine.old_logprobs_BT, theirs.old_logprobs_BT, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(mine.entropies_BT, theirs.entropies_BT, rtol=1e-4, atol=2e-5)


def test_masked_groups_leave_the_objective(tmp_path: Path) -> None:
    recorder, cli = record(tmp_path, "--data.group_filter=mask", "--data.prompts_per_step=16")
    experience = experience_of(cli)
    signal_P = (experience.rewards_B.view(16, 4).std(1) > 0).repeat_interleave(4)
    assert 0 < signal_P.sum() < 64  # both kinds occur in this rollout
    assert torch.equal(experience.mask_BT, experience.response_mask_BT & signal_P[:, None])
    rows = cli.datamodule.plan.minibatches(torch.arange(64), 1, 0)[0]
    assert recorder.batches[0].minibatch_tokens == int(experience.mask_BT[rows].sum())


def test_resampling_fills_the_step_with_groups_that_have_signal(tmp_path: Path) -> None:
    _, cli = record(tmp_path, "--data.group_filter=resample", "--data.max_resamples=5")
    experience, rows = experience_of(cli), rollout_of(cli).train_rows
    assert len(rows) == 32 and len(experience) > 32
    assert (experience.rewards_B[rows].view(8, 4).std(1) > 0).all()
    assert torch.equal(experience.mask_BT[rows], experience.response_mask_BT[rows])
    others = torch.ones(len(experience), dtype=torch.bool)
    others[rows] = False
    assert not experience.mask_BT[others].any() and experience.response_mask_BT[others].any()
    groups = metrics(tmp_path)["rollout/groups"][-1]
    assert groups == len(experience) / 4  # reported before the filter


def test_bounded_resampling_gives_up_and_masks(tmp_path: Path) -> None:
    hard = ["--data.task.min_length=10", "--data.max_resamples=1", "--data.group_size=2"]
    sizes = ["--data.minibatch_size=8", "--data.group_filter=resample"]
    _, cli = record(tmp_path, *hard, *sizes)
    experience, rows = experience_of(cli), rollout_of(cli).train_rows
    assert len(experience) == 32 and len(rows) == 16  # two draws of 8 groups, 8 kept
    kept = experience.rewards_B[rows].view(8, 2)
    signal = kept[:, 0] != kept[:, 1]
    assert not signal.all()  # the budget did not suffice here
    assert torch.equal(experience.mask_BT[rows].any(1).view(8, 2)[:, 0], signal)


def test_regularizers_add_to_the_loss_and_the_gradient(tmp_path: Path) -> None:
    plain, _ = record(tmp_path / "plain")
    bonus, cli = record(
        tmp_path / "bonus",
        "--model.regularizers+=lit_entropy.regularizers.EntropyBonus",
        "--model.regularizers.coef=0.05",
    )
    rows = cli.datamodule.plan.minibatches(torch.arange(32), 1, 0)[0]
    batch = experience_of(cli).rows(rows)
    base = type(cli.model.policy)("chain-s")
    entropy_BT = base(batch.sequences, 1.0).entropy_BT
    (-0.05 * (entropy_BT * batch.mask_BT).sum() / batch.mask_BT.sum()).backward()
    for name, parameter in base.named_parameters():
        difference = bonus.gradients[0][name] - plain.gradients[0][name]
        torch.testing.assert_close(difference, parameter.grad, rtol=1e-3, atol=2e-6)


def test_reference_kl_starts_at_zero_and_grows(tmp_path: Path) -> None:
    reference = "--model.regularizers+=lit_entropy.regularizers.ReferenceKL"
    one_update = "--data.minibatch_size=32"
    _, cli = record(tmp_path, reference, one_update, "--trainer.max_epochs=2")
    experience = experience_of(cli)  # of the second RL step: the policy has moved
    base = type(cli.model.policy)("chain-s")
    with torch.no_grad():
        expected = base(experience.sequences, 1.0).logprobs_BT
    torch.testing.assert_close(experience.reference_logprobs_BT, expected, rtol=1e-4, atol=2e-5)
    assert not any("reference" in name for name in cli.model.state_dict())
    divergence = metrics(tmp_path)["policy/reference_kl"]
    assert divergence[0] == 0.0 and divergence[1] > 1e-6


class FixedAdvantages(AdvantageEstimator):
    """Notes the groups that it sees."""

    seen: list[torch.Tensor] = []  # noqa: RUF012  one run a test, cleared there

    def __call__(self, rewards_PG: torch.Tensor) -> torch.Tensor:
        FixedAdvantages.seen.append(rewards_PG)
        return rewards_PG - rewards_PG.mean()


def test_batch_statistics_come_from_the_groups_that_are_trained(tmp_path: Path) -> None:
    FixedAdvantages.seen.clear()
    _, cli = record(
        tmp_path, "--model.advantage=test_module.FixedAdvantages", "--data.group_filter=resample"
    )
    trained = FixedAdvantages.seen[0]
    rewards = experience_of(cli).rewards_B[rollout_of(cli).train_rows].view(8, 4)
    assert torch.equal(trained, rewards) and (trained.std(1) > 0).all()
    others = experience_of(cli).rewards_B.sum() - rewards.sum()
    assert len(FixedAdvantages.seen) == 2 and FixedAdvantages.seen[1].sum() == others


def test_resampled_sequences_keep_distinct_names(tmp_path: Path) -> None:
    """A task of 12 problems must repeat prompts within an RL step: their samples differ."""
    _, cli = record(
        tmp_path, "--data.task.train_size=12", "--data.group_filter=resample",
        "--data.task.min_length=8",
    )  # fmt: skip
    experience = experience_of(cli)
    ids = (experience.prompt_ids_B.tolist(), experience.sample_ids_B.tolist())
    names = set(zip(*ids, strict=True))
    assert len(experience) > 48 and len(names) == len(experience)


class Broken(PPOClip):
    """A loss that turns non-finite at its second update."""

    def forward(self, policy: PolicyOutput, batch: LossBatch) -> Any:
        output = super().forward(policy, batch)
        if batch.update == 1:
            output.token_loss_BT = output.token_loss_BT * float("inf")
        return output


class BrokenGradient(PPOClip):
    """A finite loss whose gradient is NaN: the square root of zero."""

    def forward(self, policy: PolicyOutput, batch: LossBatch) -> Any:
        output = super().forward(policy, batch)
        output.token_loss_BT = output.token_loss_BT + (policy.logprobs_BT * 0).abs().sqrt()
        return output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.loss=test_module.Broken"], "loss"),
        (["--model.loss=test_module.BrokenGradient"], "gradient norm"),
        (["--data.task=broken_parts.NaNReward"], "reward of problem"),
        (["--model.advantage=broken_parts.InfiniteAdvantage"], "advantages"),
        (["--model.policy.model=BROKEN"], "log-probs of the evaluation"),
    ],
)
def test_non_finite_numbers_stop_the_run_with_their_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    if "BROKEN" in arguments[0]:
        # as if its weights broke after the checks of a model
        monkeypatch.setattr("lit_entropy.policy.policy.check_model", lambda *_: None)
        monkeypatch.setattr("lit_entropy.rollouts.local.check_cache", lambda _: None)
        arguments = [arguments[0].replace("BROKEN", broken_base(tmp_path / "base"))]
    with pytest.raises(NonFiniteError, match=message) as error:
        fit(tmp_path / "runs", *arguments)
    assert "RL step" in str(error.value)
    assert not list((tmp_path / "runs").rglob("*.ckpt"))


def broken_base(folder: Path) -> str:
    """The shipped base with one NaN weight."""
    from lit_entropy.policy.policy import Policy

    policy = Policy("chain-s")
    with torch.no_grad():
        policy.model.model.norm.weight[0] = float("nan")
    policy.save(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--model.temperature=0", "model.temperature=0"),
        ("--model.max_new_tokens=0", "model.max_new_tokens=0"),
        ("--trainer.precision=16-true", "trainer.precision=16-true"),
        ("--trainer.max_steps=3", "trainer.max_steps=3 ends within an RL step of 2 updates"),
        ("--trainer.limit_train_batches=1", "limit_train_batches"),
        ("--trainer.max_time=00:00:01:00", "trainer.max_time=0:01:00"),
        ("--data.max_resamples=-1", "data.max_resamples=-1"),
        ("--data.max_prompt_tokens=0", "data.max_prompt_tokens=0"),
    ],
)
def test_bad_arguments(tmp_path: Path, argument: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, argument)
